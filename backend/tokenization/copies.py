"""Where else a value lives: the copies of columns that DataHub knows and nobody has tokenized.

Copies by column lineage (either direction, any number of steps, through jobs too), by siblings,
and columns of the same name elsewhere. What DataHub says is a hint, so the next step is a preview.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

from pydantic import Field

from backend.connections import resolve
from backend.core import access
from backend.core.access import SYSTEM, Actor, Permission
from backend.core.database import Database, ReadSession, WriteSession
from backend.core.errors import InvalidInput, NotFound, PortalError
from backend.core.views import View
from backend.integrations.datahub.client import DataHubClient
from backend.integrations.datahub.schemas import ColumnRef, Dataset
from backend.integrations.datahub.urns import parse_dataset
from backend.jobs import service as jobs
from backend.jobs.enqueue import enqueue
from backend.jobs.registry import JobContext
from backend.tokenization import detection, patterns, preview, repository, sources
from backend.tokenization.sources import PLATFORMS

KIND = "tokenization.copies"
#: Datasets whose lineage is asked for, datasets taken by a column's name, previews in one job.
MAX_ASKED, MAX_NAMED, MAX_PREVIEWS = 100, 100, 50
_BATCH = 20


class Asked(TypedDict):
    """What `find` and `queue_previews` are asked with."""

    dataset: str
    columns: Sequence[str] | None
    environment: str | None


Via = Literal["lineage", "sibling", "name"]
_NEAREST: tuple[Via, ...] = ("lineage", "sibling", "name")


class Copy(View):
    """A column that may hold the values of `of`, and that no run has tokenized.

    via: what leads there; reason: the same in words. problem: why it cannot be previewed in this
    environment, "" when it can.
    """

    dataset: str
    table: str
    column: str
    of: str
    via: Via
    reason: str
    problem: str = ""


class CopyList(View):
    """items: nearest first. tokenized: copies that a run has taken. note: what was left out."""

    dataset: str
    environment: str
    columns: tuple[str, ...]
    items: list[Copy]
    tokenized: int
    note: str = ""


class CopyPreview(View):
    """What a run on the copies in one table would do. error: why no preview could be made."""

    dataset: str
    table: str
    columns: tuple[str, ...]
    rows_total: int | None = None
    rows_to_update: int | None = None
    blockers: tuple[str, ...] = ()
    error: str = ""


class CopyPreviews(View):
    """The newest previews of a dataset's copies; `items` once the job has ended."""

    job_id: int
    status: str
    items: list[CopyPreview] = Field(default_factory=list)
    note: str = ""


@dataclass
class _Search:
    """The walk so far. origin: the column each copy comes from; cut: something was left out."""

    client: DataHubClient
    found: dict[ColumnRef, tuple[str, Via, str]] = field(default_factory=dict)
    known: dict[str, Dataset] = field(default_factory=dict)
    asked: dict[str, tuple[str, ...]] = field(default_factory=dict)
    next: dict[ColumnRef, dict[ColumnRef, str]] = field(default_factory=lambda: defaultdict(dict))
    cut: bool = False


def find(
    database: Database,
    actor: Actor,
    *,
    dataset: str,
    columns: Sequence[str] | None = None,
    environment: str | None = None,
) -> CopyList:
    """Ask DataHub; no table is read.

    columns: None takes those that runs have tokenized, else the tagged ones. Raises InvalidInput
    when there are none, NotFound without a DataHub connection, and DataHub's errors.
    """
    access.require(actor, Permission.TOKENIZATION_READ)
    detection.check_names(columns or ())
    parse_dataset(dataset)
    with database.read() as session:
        config = resolve.connection(session, environment=environment, kind="datahub")
        done = repository.tokenized_columns(session, config.environment.id, [dataset])
    with sources.datahub_client(config) as client:
        names = list(dict.fromkeys(columns or done.get(dataset) or _tagged(client, dataset)))
        if not names:
            raise InvalidInput("No run took a column of this dataset and none is tagged; name one.")
        search = _Search(client)
        for name in names:
            _follow(search, ColumnRef(dataset, name))
        for name in names:
            _same_name(search, dataset, name)
    with database.read() as session:
        places = {ref.dataset for ref in search.found}
        done = repository.tokenized_columns(session, config.environment.id, places)
        left = [
            ref
            for ref in search.found
            if detection.column_of(ref.path) not in done.get(ref.dataset, ())
        ]
        items = list(_shown(session, search, left, config.environment.name))
    return CopyList(
        dataset=dataset,
        environment=config.environment.name,
        columns=tuple(names),
        items=items,
        tokenized=len(search.found) - len(left),
        note="There may be more copies than these: only a part of the lineage and of the datasets "
        "with such a column was looked at."
        if search.cut
        else "",
    )


def queue_previews(
    session: WriteSession,
    actor: Actor,
    *,
    dataset: str,
    columns: Sequence[str] | None = None,
    environment: str | None = None,
) -> int:
    """Preview every copy in the background; the job's id. Raises NotFound without DataHub."""
    access.require(actor, Permission.TOKENIZATION_PREVIEW)
    detection.check_names(columns or ())
    parse_dataset(dataset)
    name = resolve.connection(session, environment=environment, kind="datahub").environment.name
    arguments = {"dataset": dataset, "columns": columns and list(columns), "environment": name}
    return enqueue(session, actor, KIND, arguments, subject=_subject(name, dataset))


def previews(
    session: ReadSession, actor: Actor, *, dataset: str, environment: str | None = None
) -> CopyPreviews:
    """The newest previews of the dataset's copies. Raises NotFound when nobody asked for them."""
    access.require(actor, Permission.TOKENIZATION_READ)
    name = resolve.environment(session, environment).name
    newest = jobs.list_jobs(
        session, SYSTEM, kind=KIND, subject=_subject(name, dataset), limit=1
    ).items
    if not newest:
        raise NotFound("No previews of this dataset's copies were asked for yet.")
    return CopyPreviews(job_id=newest[0].id, status=newest[0].state, **(newest[0].result or {}))


def run(
    ctx: JobContext, *, dataset: str, columns: list[str] | None, environment: str
) -> dict[str, Any]:
    """{"items": [CopyPreview …], "note"}: one preview for each table that holds copies."""
    found = find(ctx.database, ctx.actor, dataset=dataset, columns=columns, environment=environment)
    tables: dict[str, list[str]] = defaultdict(list)
    for each in found.items:
        if not each.problem:
            tables[each.dataset].append(each.column)
    chosen = list(tables.items())[:MAX_PREVIEWS]
    items = []
    for number, (urn, names) in enumerate(chosen):
        ctx.progress(number, len(chosen), note=sources.name_of(urn))
        items.append(_previewed(ctx, urn, names, environment).model_dump(mode="json"))
    more = len(tables) - len(chosen)
    note = f"{more} more tables were not previewed." if more else ""
    return {"items": items, "note": " ".join(filter(None, (found.note, note)))}


def _previewed(ctx: JobContext, urn: str, names: list[str], environment: str) -> CopyPreview:
    seen = CopyPreview(dataset=urn, table=sources.name_of(urn), columns=tuple(names))
    try:
        report = preview.preview(
            ctx.database, ctx.actor, dataset=urn, columns=names, environment=environment
        ).report
    except PortalError as exc:
        return seen.model_copy(update={"error": exc.message})
    return seen.model_copy(
        update={
            "rows_total": report.rows_total,
            "rows_to_update": report.rows_to_update,
            "blockers": report.all_blockers,
        }
    )


def _follow(search: _Search, start: ColumnRef) -> None:
    """Every column that is joined to `start` by lineage or siblings, in either direction."""
    waiting = deque([_spelled(search, start)])
    seen = set(waiting)
    while waiting:
        here = waiting.popleft()
        for other, via, reason in _beside(search, here):
            if other not in seen:
                seen.add(other)
                waiting.append(other)
                if other.dataset != start.dataset:
                    search.found.setdefault(other, (start.path, via, reason))


def _beside(search: _Search, here: ColumnRef) -> Iterator[tuple[ColumnRef, Via, str]]:
    if here.dataset not in search.asked:
        if len(search.asked) >= MAX_ASKED:
            search.cut = True
            return
        _ask(search, here.dataset)
    where = f"{detection.column_of(here.path)} of {sources.name_of(here.dataset)}"
    for other, way in search.next[here].items():
        yield other, "lineage", f"{way} {where}"
    for urn in search.asked[here.dataset]:
        for ref in _named(search, urn, detection.column_of(here.path)):
            yield ref, "sibling", f"sibling of {where}"


def _ask(search: _Search, urn: str) -> None:
    seen = search.client.column_lineage(urn)
    search.asked[urn] = seen.siblings
    search.cut = search.cut or not seen.complete
    _read(search, seen.siblings)
    for upstream, downstream in seen.edges:
        search.next[upstream].setdefault(downstream, "made from")
        search.next[downstream].setdefault(upstream, "source of")


def _same_name(search: _Search, dataset: str, name: str) -> None:
    """Columns called the same in tables that can be tokenized; a likelihood, not more."""
    urns = list(search.client.datasets_with_column(name, limit=MAX_NAMED + 1))
    search.cut = search.cut or len(urns) > MAX_NAMED
    wanted = [
        urn
        for urn in urns[:MAX_NAMED]
        if urn != dataset and parse_dataset(urn).platform in PLATFORMS
    ]
    _read(search, wanted)
    for urn in wanted:
        for ref in _named(search, urn, name):
            search.found.setdefault(ref, (name, "name", "column of the same name"))


def _read(search: _Search, urns: Iterable[str]) -> None:
    missing = [urn for urn in dict.fromkeys(urns) if urn not in search.known]
    for start in range(0, len(missing), _BATCH):
        search.known.update(search.client.datasets(missing[start : start + _BATCH]))


def _named(search: _Search, urn: str, name: str) -> Iterator[ColumnRef]:
    """Fields called so; the case is the platform's (dbt and its warehouse spell differently)."""
    known = search.known.get(urn)
    for each in known.fields if known else ():
        if detection.column_of(each.path).casefold() == name.casefold():
            yield ColumnRef(urn, each.path)


def _spelled(search: _Search, ref: ColumnRef) -> ColumnRef:
    """The column as DataHub's field path has it, which may carry version and type."""
    _read(search, [ref.dataset])
    return next(_named(search, ref.dataset, ref.path), ref)


def _tagged(client: DataHubClient, dataset: str) -> list[str]:
    return list(detection.tagged_columns(client.dataset(dataset), patterns.load()))


def _shown(
    session: ReadSession, search: _Search, refs: Sequence[ColumnRef], environment: str
) -> Iterator[Copy]:
    problems = {
        urn: _problem(session, urn, environment) for urn in dict.fromkeys(r.dataset for r in refs)
    }
    for ref in sorted(refs, key=lambda each: _NEAREST.index(search.found[each][1])):
        of, via, reason = search.found[ref]
        yield Copy(
            dataset=ref.dataset,
            table=sources.name_of(ref.dataset),
            column=detection.column_of(ref.path),
            of=detection.column_of(of),
            via=via,
            reason=reason,
            problem=problems[ref.dataset],
        )


def _problem(session: ReadSession, urn: str, environment: str) -> str:
    try:
        source = sources.locate(session, dataset=urn, environment=environment)
    except PortalError as exc:
        return exc.message
    return "" if source.runnable else f"{sources.NOT_CONFIGURED}."


def _subject(environment: str, dataset: str) -> str:
    return f"copies in {environment} of {dataset}"
