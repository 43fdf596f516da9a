"""The datasets that can be run, each with its target, last outcome and trend.

They are those of exact rules, those that have been run and the actor's favourites; what only a
prefix, a tag or the default covers is known to DataHub alone and is found by its search. Nobody
outside is asked.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from backend.connections import resolve as connections
from backend.core import access, choices, clock
from backend.core.access import Actor, Permission
from backend.core.database import ReadSession, WriteSession
from backend.core.errors import InvalidInput, PortalError
from backend.core.views import document
from backend.ingestion import dataset_repository, resolve, run_context
from backend.ingestion.answers import DatasetAnswer, DatasetCounts, DatasetList
from backend.ingestion.run_context import RunContext
from backend.ingestion.targets import Target
from backend.integrations.datahub import urns

DAYS = 14
MAX_PAGE = 200
MAX_FAVOURITES = 500
#: Runs that are read for the trends, the newest.
MAX_RUNS = 10_000
#: Datasets that are looked at because they were run, the last ones.
MAX_RAN = 5_000
Only = Literal["all", "failed", "running", "never"]
ONLY: tuple[Only, ...] = ("all", "failed", "running", "never")


@dataclass(frozen=True)
class DatasetView:
    """target: None for those who may not read the mapping, and where only DataHub knows its rule.

    daily: runs per day of the last 14, oldest first. seconds: how long its last runs took, oldest
    first. last_…: of its newest run, None and "" for one that was never run.
    """

    urn: str
    name: str
    target: Target | None
    last_run_id: str | None
    last_status: str
    last_at: datetime | None
    daily: tuple[int, ...]
    seconds: tuple[float, ...]
    favourite: bool = False

    def document(self) -> DatasetAnswer:
        """The dataset as REST and `--json` print it."""
        last = self.last_status or None
        return document(DatasetAnswer, self, datasetUrn=self.urn, lastStatus=last)


@dataclass(frozen=True)
class DatasetPage:
    """counts: of each filter before paging. next_cursor: pass it for the page after, or None.
    note: which datasets and runs are not looked at, "" for none."""

    items: tuple[DatasetView, ...]
    counts: DatasetCounts
    next_cursor: int | None
    note: str = ""

    def document(self) -> DatasetList:
        """The page as REST and `--json` print it."""
        return document(DatasetList, self)


def list_datasets(
    session: ReadSession,
    actor: Actor,
    *,
    environment: str | None = None,
    text: str = "",
    only: str = "all",
    limit: int = 50,
    cursor: int = 0,
) -> DatasetPage:
    """Datasets: the actor's favourites first, the most recently run first, those never run by name.

    text: a part of the name or target. Raises UnknownChoice for an unknown filter.
    """
    access.require(actor, Permission.INGESTION_READ)
    choices.check("filter of datasets", only, ONLY)
    if not 1 <= limit <= MAX_PAGE or cursor < 0:
        raise InvalidInput(f"limit must be between 1 and {MAX_PAGE}, and cursor not negative.")
    context = run_context.load(session, environment)
    named = actor.may(Permission.INGESTION_MAPPING_READ)
    known, note = _all(session, actor, context, named)
    found = [item for item in known if _fits(item, text.strip().casefold())]
    counts = DatasetCounts(
        all=len(found),
        failed=sum(_is(item, "failed") for item in found),
        running=sum(_is(item, "running") for item in found),
        never=sum(_is(item, "never") for item in found),
    )
    wanted = [item for item in found if _is(item, only)]
    more = cursor + limit < len(wanted)
    return DatasetPage(
        tuple(wanted[cursor : cursor + limit]), counts, cursor + limit if more else None, note
    )


def set_favourite(
    session: WriteSession,
    actor: Actor,
    *,
    dataset_urn: str,
    on: bool,
    environment: str | None = None,
) -> None:
    """Put a dataset first in the actor's own list, or no longer; a token has a list of its own.

    Raises InvalidInput for what is no dataset's URN, and for too many.
    """
    access.require(actor, Permission.OWN_ACCOUNT)
    urns.parse_dataset(dataset_urn)
    where = connections.environment(session, environment)
    favourites = dataset_repository.favourites(session, owner(actor), where.id)
    if on and len(favourites) >= MAX_FAVOURITES:
        raise InvalidInput(f"There are {MAX_FAVOURITES} favourites already; take one off first.")
    if on != (dataset_urn in favourites):
        dataset_repository.put_favourite(session, owner(actor), where.id, dataset_urn, on=on)


def owner(actor: Actor) -> str:
    """Whose favourites: a person's, a token's, or the command line's."""
    return f"{actor.kind}:{actor.id}"


def _all(
    session: ReadSession, actor: Actor, context: RunContext, named: bool
) -> tuple[list[DatasetView], str]:
    """In their order, and a sentence on those that are left out."""
    now = clock.now()
    runs: dict[str, list[Any]] = {}
    since = now - timedelta(days=DAYS)
    newest = dataset_repository.trends(
        session, context.environment_id, since=since, limit=MAX_RUNS + 1
    )
    for run in newest[:MAX_RUNS]:
        runs.setdefault(run.dataset_urn, []).append(run)
    exact = {urn for rules in context.sources for urn in rules.exact}
    mine = dataset_repository.favourites(session, owner(actor), context.environment_id)
    last, cut = dataset_repository.last_of_each(
        session, context.environment_id, limit=MAX_RAN, named=exact | mine
    )
    views = [
        _view(context, urn, last.get(urn), runs.get(urn, ()), now, named, urn in mine)
        for urn in exact | last.keys() | mine
    ]
    views.sort(key=lambda item: item.name)
    views.sort(key=lambda item: item.last_at.timestamp() if item.last_at else 0.0, reverse=True)
    views.sort(key=lambda item: not item.favourite)
    notes = []
    if cut:
        notes.append(
            f"Only the {MAX_RAN:,} datasets that were run last, those of exact rules and your "
            "favourites are looked at here; the others are among the runs and found by their URN."
        )
    if len(newest) > MAX_RUNS:
        first = clock.iso(newest[MAX_RUNS - 1].created_at)
        notes.append(
            f"Trends show the newest {MAX_RUNS:,} runs only, since {first}; there were more in "
            f"these {DAYS} days."
        )
    return views, " ".join(notes)


def _view(
    context: RunContext,
    urn: str,
    last: Any,
    runs: Iterable[Any],
    now: datetime,
    named: bool,
    favourite: bool,
) -> DatasetView:
    daily = [0] * DAYS
    seconds: list[float] = []
    for run in runs:  # newest first
        daily[-1 - min((now - run.created_at).days, DAYS - 1)] += 1
        if run.started_at and run.finished_at and len(seconds) < DAYS:
            seconds.append(round((run.finished_at - run.started_at).total_seconds(), 1))
    return DatasetView(
        urn=urn,
        name=urns.parse_dataset(urn).name,
        target=_target(context, urn, last) if named else None,
        last_run_id=last.run_id if last else None,
        last_status=last.status if last else "",
        last_at=last.created_at if last else None,
        daily=tuple(daily),
        seconds=tuple(reversed(seconds)),
        favourite=favourite,
    )


def _target(context: RunContext, urn: str, last: Any) -> Target | None:
    """What the mapping says now, as far as it tells without DataHub; else the last run's."""
    try:
        answer = resolve.without_asking(context, urn)
    except PortalError:
        return None  # a broken mapping is told where runs are reviewed
    if answer is not None:
        return answer.target
    return Target(last.target_kind, last.target) if last else None


def _fits(item: DatasetView, text: str) -> bool:
    target = item.target.name if item.target else ""
    return text in f"{item.urn} {target}".casefold()


def _is(item: DatasetView, only: str) -> bool:
    return {
        "all": True,
        "failed": item.last_status == "failed",
        "running": item.last_status in ("running", "accepted"),
        "never": not item.last_status,
    }[only]
