"""What waits for a steward: each dataset once, where it stands, and the tables to choose from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Literal

from backend.changes import service as changes
from backend.connections import resolve
from backend.core import access, choices, clock, stopping
from backend.core.access import Actor, Permission
from backend.core.database import Database, ReadSession
from backend.core.errors import InvalidInput, PortalError
from backend.core.views import View
from backend.integrations.datahub.schemas import Dataset
from backend.integrations.datahub.urns import parse_dataset
from backend.models import TokenizationRun
from backend.tokenization import check, comparison, detection, patterns, repository, sources, tags
from backend.tokenization.engines import MOST_TABLES, list_tables
from backend.tokenization.patterns import Patterns
from backend.tokenization.schemas import RunState
from backend.tokenization.sources import PLATFORMS

Status = Literal["running", "waiting", "drifted", "failed", "tagged", "done"]
#: In this order a dataset that is several things is shown as the first of them.
STATUSES: tuple[Status, ...] = ("running", "waiting", "drifted", "failed", "tagged", "done")
MAX_PAGE = 200
MAX_TAGGED = 200
MAX_FAILED = 1_000
_MORE_TAGGED = (
    f"More datasets carry the tag than the {MAX_TAGGED} that are looked at here; the others follow "
    "as these are done, and each can be named by its URN now."
)
_BATCH = 20
_RECENT = timedelta(days=30)
_BAD = (RunState.FAILED, RunState.INTERRUPTED)


class WorkItem(View):
    """A dataset of the work list.

    columns: likely ones of a tagged dataset, those of the run or the difference otherwise.
    rows_plain: rows that still hold a plain value, where somebody counted. reason: why it stands
    there. since: when it came there, None where DataHub does not say.
    """

    dataset: str
    table: str
    status: Status
    columns: tuple[str, ...] = ()
    rows_plain: int | None = None
    reason: str = ""
    since: datetime | None = None
    run_id: int | None = None


class WorkList(View):
    """counts: by status, and `open` for all but done. note: why DataHub's tags are not in it."""

    environment: str
    items: list[WorkItem]
    counts: dict[str, int]
    note: str = ""
    next_cursor: int | None = None


class TablePlace(View):
    """A table that could be tokenized. rows: the server's estimate, None when it has none."""

    dataset: str
    database: str
    table_schema: str
    table: str
    rows: int | None = None


class TableList(View):
    """note: which connection could not be asked, and why, or has more tables."""

    environment: str
    items: list[TablePlace]
    note: str = ""


@dataclass(frozen=True)
class Tagged:
    """Datasets that carry `tokenize/run`, with their likely columns by tag or by name."""

    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    note: str = ""


def tagged(database: Database, actor: Actor, *, environment: str | None = None) -> Tagged:
    """Asks DataHub, at most for 200 datasets; that it is away is a note."""
    access.require(actor, Permission.TOKENIZATION_READ)
    with database.read() as session:
        name = resolve.environment(session, environment).name
        config = resolve.find(session, environment=name, kind="datahub")
    if config is None:
        return Tagged(note=f"{name} has no DataHub connection, so no tags are read.")
    rules = patterns.load()
    try:
        with sources.datahub_client(config) as client:
            every = iter(client.datasets_with_tag(tags.RUN, limit=MAX_TAGGED + 1))
            urns = [urn for urn in islice(every, MAX_TAGGED) if _platform(urn) in PLATFORMS]
            note = _MORE_TAGGED if next(every, None) is not None else ""
            found: dict[str, tuple[str, ...]] = dict.fromkeys(urns, ())
            for start in range(0, len(urns), _BATCH):
                for urn, known in client.datasets(urns[start : start + _BATCH]).items():
                    found[urn] = _likely(known, rules)
    except PortalError as exc:
        return Tagged(note=exc.message)
    return Tagged(found, note)


def work_list(
    session: ReadSession,
    actor: Actor,
    *,
    environment: str | None = None,
    tagged: Tagged,
    text: str = "",
    only: str = "open",
    limit: int = 50,
    cursor: int = 0,
) -> WorkList:
    """Datasets by what they need, those that need it most first.

    only: a status, "open" (all but done) or "all". text: part of a table's or column's name.
    Raises UnknownChoice for another `only`, InvalidInput for a limit beyond 200.
    """
    access.require(actor, Permission.TOKENIZATION_READ)
    choices.check("status", only, ("open", "all", *STATUSES))
    choices.check_limit(limit, MAX_PAGE)
    found = resolve.environment(session, environment)
    every: dict[str, WorkItem] = {}
    for item in _items(session, actor, found.id, found.name, tagged):
        every.setdefault(item.dataset, item)
    words = text.strip().casefold()
    fitting = [
        each
        for each in sorted(every.values(), key=lambda each: STATUSES.index(each.status))
        if words in " ".join([each.table, *each.columns]).casefold()
    ]
    counts = {status: sum(each.status == status for each in fitting) for status in STATUSES}
    wanted = [each for each in fitting if _wanted(each.status, only)]
    return WorkList(
        environment=found.name,
        items=wanted[cursor : cursor + limit],
        counts={"open": len(fitting) - counts["done"], "all": len(fitting), **counts},
        note=tagged.note,
        next_cursor=cursor + limit if len(wanted) > cursor + limit else None,
    )


def tables(database: Database, actor: Actor, *, environment: str | None = None) -> TableList:
    """The tables of the environment's connections, at most MOST_TABLES of each database.

    What cannot be asked is a note. Databricks' tables are found by DataHub's search or by URN.
    """
    access.require(actor, Permission.TOKENIZATION_PREVIEW)
    with database.read() as session:
        name = resolve.environment(session, environment).name
        configs = {
            kind: resolve.find(session, environment=name, kind=kind)
            for kind in dict.fromkeys(PLATFORMS.values())
        }
    items, notes = [], []
    for kind, config in configs.items():
        if config is None:
            continue
        for each in sources.databases(config.settings):
            stopping.step(f"the tables of {each}")
            try:
                found = list_tables(kind, config, each)
            except PortalError as exc:
                notes.append(f"{each}: {exc.message}")
                continue
            if len(found) >= MOST_TABLES:
                notes.append(
                    f"{each}: only its first {MOST_TABLES:,} tables are listed; name another one's "
                    "dataset by its URN."
                )
            items += [
                TablePlace(
                    dataset=f"urn:li:dataset:(urn:li:dataPlatform:{kind},{table},PROD)",
                    database=table.database,
                    table_schema=table.schema,
                    table=table.table,
                    rows=rows,
                )
                for table, rows in found
            ]
    return TableList(environment=name, items=items, note=" ".join(notes))


def _wanted(status: Status, only: str) -> bool:
    return only in (status, "all") or (only == "open" and status != "done")


def _platform(urn: str) -> str:
    try:
        return parse_dataset(urn).platform
    except InvalidInput:
        return ""


def _likely(dataset: Dataset, rules: Patterns) -> tuple[str, ...]:
    found = list(detection.tagged_columns(dataset, rules))
    for each in dataset.fields:
        column = detection.column_of(each.path)
        guess = patterns.guess(rules, column, ())
        if guess is not None and guess.convincing and column not in found:
            found.append(column)
    return tuple(found)


def _items(
    session: ReadSession, actor: Actor, environment_id: int, name: str, tagged: Tagged
) -> Iterator[WorkItem]:
    """A dataset may come several times; its first place counts."""
    runs = [row for row in repository.list_active(session) if row.environment_id == environment_id]
    yield from (_of_run(row, "running", row.created_at) for row in runs)
    yield from _waiting(session, actor, environment_id, name)
    yield from _drifted(session, actor, name)
    failed = repository.last_ended(session, _BAD, since=clock.now() - _RECENT, limit=MAX_FAILED)
    yield from (
        _of_run(row, "failed", row.finished_at)
        for row in failed
        if row.environment_id == environment_id
    )
    for urn, columns in tagged.columns.items():
        yield WorkItem(dataset=urn, table=sources.name_of(urn), status="tagged", columns=columns)
    for row in repository.latest_succeeded(session, environment_id):
        yield _of_run(row, "done", row.finished_at)


def _waiting(
    session: ReadSession, actor: Actor, environment_id: int, name: str
) -> Iterator[WorkItem]:
    if actor.may(Permission.CHANGES_READ):
        for change in changes.waiting_for(
            session, actor, environment=name, domain="tokenization", limit=MAX_PAGE
        ):
            yield WorkItem(
                dataset=str(change.shown.get("dataset", "")),
                table=str(change.shown.get("table", change.subject)),
                status="waiting",
                columns=tuple(change.shown.get("columns") or ()),
                reason=f"Change {change.id} waits for approval.",
                since=change.created_at,
            )
    for row in repository.list_tags(session, environment_id):
        if row.note:
            yield WorkItem(
                dataset=row.dataset,
                table=sources.name_of(row.dataset),
                status="waiting",
                reason=row.note,
                since=row.seen_at,
            )


def _drifted(session: ReadSession, actor: Actor, name: str) -> Iterator[WorkItem]:
    """Differences of the newest comparison that no later run has mended."""
    newest = comparison.latest(session, actor, environment=name)
    if newest is None or newest.finished_at is None:
        return
    environment_id = resolve.environment(session, name).id
    mended = {
        row.dataset
        for row in repository.latest_succeeded(session, environment_id)
        if row.finished_at and row.finished_at > newest.finished_at
    }
    for each in newest.open:
        if each["finding"] != check.NOT_CHECKED and each["dataset"] not in mended:
            yield WorkItem(
                dataset=each["dataset"],
                table=sources.name_of(each["dataset"]),
                status="drifted",
                columns=tuple(each["columns"]),
                rows_plain=each["rows_plain"],
                reason=f"{each['finding']}. {each['detail']}",
                since=newest.finished_at,
            )


def _of_run(row: TokenizationRun, status: Status, since: datetime | None) -> WorkItem:
    return WorkItem(
        dataset=row.dataset,
        table=row.source_table,
        status=status,
        columns=tuple(choice.name for choice in repository.choices(row)),
        reason=row.details,
        since=since,
        run_id=row.id,
    )
