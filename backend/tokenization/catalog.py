"""What the page asks DataHub: which datasets there are, and what it says about one now."""

from dataclasses import dataclass

from backend.connections import resolve
from backend.core import access
from backend.core.access import Actor, Permission
from backend.core.database import Database
from backend.core.errors import InvalidInput, NotFound
from backend.integrations.datahub import urns
from backend.tokenization import repository, sources, tags, write_back
from backend.tokenization.schemas import CatalogStatus
from backend.tokenization.sources import PLATFORMS

MAX_CANDIDATES = 50


@dataclass(frozen=True)
class Candidate:
    """A dataset that could be tokenized."""

    urn: str
    name: str
    platform: str
    tags: tuple[str, ...] = ()


def find_datasets(
    database: Database,
    actor: Actor,
    *,
    environment: str | None = None,
    text: str = "",
    tagged: bool = False,
) -> tuple[Candidate, ...]:
    """Datasets of platforms that can be tokenized, at most 50.

    tagged: those that carry `tokenize/run` themselves or on a field; then `text` narrows by name.
    Raises NotFound without a DataHub connection, and DataHub's errors.
    """
    access.require(actor, Permission.TOKENIZATION_READ)
    config = database.ask(resolve.connection, environment=environment, kind="datahub")
    with sources.datahub_client(config) as client:
        if tagged:
            found = [_named(urn) for urn in client.datasets_with_tag(tags.RUN, limit=500)]
            wanted = [
                each for each in found if each and text.strip().casefold() in each.name.casefold()
            ]
        else:
            page = client.search_datasets(text or "*", count=MAX_CANDIDATES)
            wanted = [
                Candidate(hit.urn, hit.name, hit.platform, hit.tags)
                for hit in page.items
                if _named(hit.urn)
            ]
    return tuple(each for each in wanted if each)[:MAX_CANDIDATES]


def status_of_run(database: Database, actor: Actor, *, run_id: int) -> CatalogStatus | None:
    """What DataHub says about the run's dataset now; None when it is not connected or unknown.

    Raises RunNotFound and DataHub's errors.
    """
    access.require(actor, Permission.TOKENIZATION_READ)
    with database.read() as session:
        row = repository.get(session, run_id)
        config = resolve.find(
            session, environment=sources.environment_of(session, row), kind="datahub"
        )
    if config is None:
        return None
    with sources.datahub_client(config) as client:
        try:
            return write_back.read_status(client, row.dataset)
        except NotFound:
            return None


def _named(urn: str) -> Candidate | None:
    """The candidate that a URN names, None on platforms that cannot be tokenized."""
    try:
        parsed = urns.parse_dataset(urn)
    except InvalidInput:
        return None
    if parsed.platform not in PLATFORMS:
        return None
    return Candidate(urn, parsed.name, parsed.platform)
