"""Answer a tag that no run can answer where the person put it: in DataHub's dataset itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from backend.connections import resolve
from backend.core import access
from backend.core.access import Actor, Permission
from backend.core.database import Database
from backend.core.errors import PortalError
from backend.core.log import get_logger
from backend.core.settings import get_settings
from backend.integrations.datahub.client import DataHubClient
from backend.integrations.datahub.schemas import Dataset, DatasetPatch
from backend.tokenization import documentation, preview, tags
from backend.tokenization.errors import NothingChosen

log = get_logger(__name__)


@dataclass(frozen=True)
class Refusal:
    """Why a tag started no run. suggested: likely columns with their reasons; they need a person's
    word, by a tag on the field or a tick in the portal."""

    reason: str
    waiting: bool = False
    suggested: Mapping[str, str] = field(default_factory=dict)

    @property
    def tag(self) -> str:
        return tags.WAITING if self.waiting else tags.FAILED


def runs_likely_columns(database: Database, environment: str) -> bool:
    """Whether a tag on a dataset alone tokenizes the likely columns in this environment."""
    found = database.ask(resolve.connection, environment=environment, kind="tokenization")
    return found.settings.get("dataset_tag") == "run"


def likely_columns(
    database: Database, actor: Actor, *, dataset: str, environment: str
) -> dict[str, str]:
    """Columns that names and values speak for and nothing blocks, with their reasons."""
    access.require(actor, Permission.TOKENIZATION_PREVIEW)
    found = preview.preview(database, actor, dataset=dataset, columns=None, environment=environment)
    return {
        column.name: column.reason
        for column in found.report.columns
        if column.suggested and not column.blockers
    }


def explain(
    database: Database, actor: Actor, *, dataset: str, environment: str, error: PortalError
) -> Refusal:
    """The refusal with what a person could do about it."""
    access.require(actor, Permission.TOKENIZATION_PREVIEW)
    if not isinstance(error, NothingChosen):
        return Refusal(error.message)
    try:
        suggested = likely_columns(database, actor, dataset=dataset, environment=environment)
    except PortalError as exc:
        return Refusal(f"{error.message} {exc.message}", waiting=True)
    return Refusal(error.message, waiting=True, suggested=suggested)


def write(client: DataHubClient, current: Dataset, refusal: Refusal) -> None:
    """Put it into the documentation and the tags; the tag that asked stays. Safe to repeat."""
    tag = refusal.tag
    client.ensure_tag(tag, name=tag.removeprefix(tags.PREFIX), description=tags.DESCRIPTIONS[tag])
    client.patch_dataset(
        current.urn,
        DatasetPatch(
            add_tags=[tag],
            remove_tags=[
                each for each in current.tags if each.startswith(tags.STATUS_PREFIX) and each != tag
            ],
            editable_description=documentation.with_section(
                current.editable_description or "",
                documentation.refusal_section(
                    waiting=refusal.waiting,
                    reason=refusal.reason,
                    suggested=refusal.suggested,
                    link=f"{get_settings().public_url}/tokenization?dataset={quote(current.urn)}",
                ),
            ),
        ),
    )


def withdraw(client: DataHubClient, current: Dataset) -> None:
    """The tag that asked was taken off: nothing waits any more."""
    if tags.WAITING not in current.tags:
        return
    client.patch_dataset(
        current.urn,
        DatasetPatch(
            remove_tags=[tags.WAITING],
            editable_description=documentation.without_section(current.editable_description or ""),
        ),
    )
