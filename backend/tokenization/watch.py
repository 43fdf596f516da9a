"""Answer `tokenize/run` tags: each tag starts one run, whichever watcher sees it first.

An answered tag is a row that stays until the tag is gone; a tag put on again is a new request.
Before a run starts, the dataset itself is read: the search index lags, and events come late.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.exc import IntegrityError

from backend.connections import environments, resolve
from backend.connections.schemas import ConnectionConfig
from backend.core import access, clock
from backend.core.access import Actor, Permission
from backend.core.database import Database
from backend.core.errors import Conflict, PortalError, UpstreamError, Waiting
from backend.core.log import get_logger
from backend.integrations.datahub.client import DataHubClient
from backend.integrations.datahub.schemas import Dataset
from backend.tokenization import (
    detection,
    patterns,
    refusal,
    repository,
    service,
    sources,
    tags,
)
from backend.tokenization.engines.base import NoSuchColumn
from backend.tokenization.errors import NothingChosen
from backend.tokenization.schemas import RunView, Trigger

log = get_logger(__name__)

MAX_DATASETS = 5_000


@dataclass(frozen=True)
class Answer:
    """What became of a tag. run None: not started, `note` says why."""

    dataset: str
    run: RunView | None
    note: str = ""


def poll(
    database: Database,
    actor: Actor,
    *,
    environment: str | None = None,
    trouble: Callable[[str], None] | None = None,
) -> tuple[Answer, ...]:
    """Look once for tags in one environment, or in every one that has a DataHub connection.

    Returns the tags answered now. trouble: gets a sentence for each DataHub that could not be asked
    and each tag that could not be answered yet (default: the log); the next look tries again.
    """
    access.require(actor, Permission.TOKENIZATION_RUN)
    trouble = trouble or log.warning
    answers: list[Answer] = []
    datahubs = _datahubs(database, environment)
    if not datahubs:
        trouble("No environment has a DataHub connection, so there are no tags to look for.")
    for config in datahubs:
        try:
            with sources.datahub_client(config) as client:
                answers += _poll(database, actor, config, client, trouble)
        except PortalError as exc:
            trouble(f"{config.environment.name} could not be asked for tags: {exc.message}")
    return tuple(answers)


def answer(
    database: Database,
    actor: Actor,
    *,
    dataset: str,
    environment: str | None = None,
    trigger: Trigger,
) -> Answer | None:
    """Answer the tag of one dataset; None when it carries none now or has been answered before.

    environment: None means the default one. Raises UpstreamError while DataHub or the source
    database is away (nothing is recorded then; try again), NotFound without a DataHub connection.
    """
    access.require(actor, Permission.TOKENIZATION_RUN)
    config = database.ask(resolve.connection, environment=environment, kind="datahub")
    with sources.datahub_client(config) as client:
        return _answer(database, actor, config, client, dataset, trigger)


def forget(database: Database, *, dataset: str, environment: str | None = None) -> None:
    """The tag was taken off: put on again, it is a new request."""
    with database.write() as session:
        environment_id = resolve.environment(session, environment).id
        repository.forget_tag(session, environment_id, dataset)


def _datahubs(database: Database, environment: str | None) -> list[ConnectionConfig]:
    with database.read() as session:
        if environment:
            return [resolve.connection(session, environment=environment, kind="datahub")]
        found = [
            resolve.find(session, environment=each.name, kind="datahub")
            for each in environments.list_all(session, access.SYSTEM)
        ]
    return [config for config in found if config is not None]


def _poll(
    database: Database,
    actor: Actor,
    config: ConnectionConfig,
    client: DataHubClient,
    trouble: Callable[[str], None],
) -> list[Answer]:
    tagged = list(client.datasets_with_tag(tags.RUN, limit=MAX_DATASETS))
    with database.read() as session:
        known = {r.dataset: r.run_id for r in repository.list_tags(session, config.environment.id)}
    _forget_gone(database, config, client, set(known) - set(tagged), trouble)
    answers = []
    for dataset in tagged:
        # A tag without a run was refused; what it needed may have come since.
        if known.get(dataset) is not None:
            continue
        try:
            found = _answer(database, actor, config, client, dataset, Trigger.WATCH)
        except (UpstreamError, Conflict) as exc:
            trouble(f"{dataset} waits for the next look: {exc.message}")
            continue
        if found is not None:
            answers.append(found)
    return answers


def _forget_gone(
    database: Database,
    config: ConnectionConfig,
    client: DataHubClient,
    missing: set[str],
    trouble: Callable[[str], None],
) -> None:
    """Forget the tags that were taken off. The search index lags, so the dataset itself is read."""
    for dataset in sorted(missing):
        try:
            found = sources.find_dataset(client, dataset)
            gone = found is None or not _is_tagged(found)
            if found is not None and gone:
                refusal.withdraw(client, found)
        except UpstreamError as exc:
            trouble(f"{dataset} waits for the next look: {exc.message}")
            continue
        if gone:
            database.change(repository.forget_tag, config.environment.id, dataset)


def _answer(
    database: Database,
    actor: Actor,
    config: ConnectionConfig,
    client: DataHubClient,
    dataset: str,
    trigger: Trigger,
) -> Answer | None:
    environment = config.environment
    current = sources.find_dataset(client, dataset)
    if current is None or not _is_tagged(current):
        return None
    refused = _reopen(database, environment.id, current)
    if not _claim(database, environment.id, dataset):
        return None
    try:
        run = _start(database, actor, environment.name, dataset, trigger)
    except Waiting as exc:
        _note(database, environment.id, dataset, None, exc.message)
        return Answer(dataset, None, exc.message)
    except (UpstreamError, Conflict):
        # It may work in a moment, so the tag must not count as answered.
        database.change(repository.forget_tag, environment.id, dataset)
        raise
    except PortalError as exc:
        _note(database, environment.id, dataset, None, exc.message)
        if exc.message == refused and {tags.WAITING, tags.FAILED} & set(current.tags):
            return None
        log.warning("A tag cannot be answered by a run.", dataset=dataset, error=exc.message)
        _refuse(database, actor, environment.name, client, current, exc)
        return Answer(dataset, None, exc.message)
    _note(database, environment.id, dataset, run.id, "")
    return Answer(dataset, run)


def _start(
    database: Database, actor: Actor, environment: str, dataset: str, trigger: Trigger
) -> RunView:
    """A run of the tagged columns, of those tokenized before, or of the likely ones.

    Those tokenized before: an ingestion that puts its tag on each time asks for them once more. The
    likely ones: only where the environment says so.
    """
    try:
        return service.start(
            database, actor, dataset=dataset, environment=environment, trigger=trigger
        )
    except NothingChosen:
        again = _start_again(database, actor, environment, dataset, trigger)
        if again is not None:
            return again
        if not refusal.runs_likely_columns(database, environment):
            raise
        likely = refusal.likely_columns(database, actor, dataset=dataset, environment=environment)
        if not likely:
            raise
    return service.start(
        database,
        actor,
        dataset=dataset,
        columns=list(likely),
        environment=environment,
        trigger=trigger,
        reasons=likely,
    )


def _start_again(
    database: Database, actor: Actor, environment: str, dataset: str, trigger: Trigger
) -> RunView | None:
    """A run of what earlier runs tokenized and the table still has; None where that is nothing."""
    with database.read() as session:
        environment_id = resolve.environment(session, environment).id
        known = repository.tokenized(session, environment_id, dataset)
    while known:
        try:
            return service.start(
                database,
                actor,
                dataset=dataset,
                columns=list(known),
                environment=environment,
                trigger=trigger,
                reasons={name: choice.reason for name, choice in known.items()},
                schemes={name: choice.scheme for name, choice in known.items() if choice.scheme},
            )
        except NoSuchColumn as exc:
            known = {name: known[name] for name in known if name not in exc.missing}
    return None


def _reopen(database: Database, environment_id: int, current: Dataset) -> str:
    """Let a refused tag be answered again once something may have changed; its last reason.

    One that waits for columns is asked again when a field carries a tag; any other one each time.
    """
    with database.write() as session:
        row = repository.find_tag(session, environment_id, current.urn)
        if row is None or row.run_id is not None or not row.note:
            return ""
        # A change request that waits for its approval is no refusal, and wrote no tag.
        if not {tags.WAITING, tags.FAILED} & set(current.tags):
            return ""
        waits = tags.WAITING in current.tags
        if waits and not detection.choose(None, current, patterns.load()):
            return ""
        repository.forget_tag(session, environment_id, current.urn)
        return row.note


def _refuse(
    database: Database,
    actor: Actor,
    environment: str,
    client: DataHubClient,
    current: Dataset,
    error: PortalError,
) -> None:
    """Say it in DataHub; the tag counts as answered even when that fails."""
    try:
        found = refusal.explain(
            database, actor, dataset=current.urn, environment=environment, error=error
        )
        refusal.write(client, current, found)
    except PortalError as exc:
        log.warning("A refusal is not in DataHub.", dataset=current.urn, error=exc.message)


def _is_tagged(found: Dataset) -> bool:
    on_fields = (tag for field_tags in found.field_tags.values() for tag in field_tags)
    return not found.removed and (tags.RUN in found.tags or tags.RUN in on_fields)


def _claim(database: Database, environment_id: int, dataset: str) -> bool:
    """True for the one watcher that answers this tag."""
    try:
        with database.write() as session:
            if repository.find_tag(session, environment_id, dataset) is not None:
                return False
            repository.add_tag(session, environment_id, dataset, clock.now())
    except IntegrityError:
        return False
    return True


def _note(
    database: Database, environment_id: int, dataset: str, run_id: int | None, note: str
) -> None:
    database.change(repository.note_tag, environment_id, dataset, run_id=run_id, note=note)
