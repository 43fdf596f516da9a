"""All SQL on the runs and the answered tags."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Row, Select, delete, func, or_, select, update
from sqlalchemy.orm import aliased

from backend.core import access, newest
from backend.core.database import ReadSession, WriteSession
from backend.core.views import of_row
from backend.models import TokenizationRun, TokenizationTag
from backend.tokenization.errors import RunNotFound
from backend.tokenization.schemas import (
    ACTIVE,
    CleanUpState,
    ColumnChoice,
    Method,
    RunFilters,
    RunState,
    RunView,
    Trigger,
    WriteBackState,
)

T = TypeVar("T")
#: Rows read at once where all are read.
_STEP = 500
#: Fewer say more about the connection than about the table.
ENOUGH_ROWS = 1_000
#: Ends that say how the table is; the others left it as it was.
PROVEN = (RunState.SUCCEEDED, RunState.FAILED, RunState.INTERRUPTED)


def choices(row: TokenizationRun) -> tuple[ColumnChoice, ...]:
    """The run's columns. Rows of earlier releases have one scheme for all."""
    return _choices(row.columns, row.scheme)


def _choices(columns: Sequence[Mapping[str, Any]], scheme: str) -> tuple[ColumnChoice, ...]:
    return tuple(
        ColumnChoice(
            each["name"], each["reason"], each.get("scheme") or scheme, each.get("place", "")
        )
        for each in columns
    )


def view(row: TokenizationRun) -> RunView:
    return of_row(
        RunView,
        row,
        table=row.source_table,
        state=RunState(row.state),
        trigger=Trigger(row.trigger_kind),
        columns=choices(row),
        actor=row.actor_name,
        write_back=WriteBackState(row.write_back),
        method=Method(row.method or Method.IN_PLACE),
        clean_up=CleanUpState(row.clean_up or ""),
        clean_up_details=row.clean_up_details or "",
    )


def get(session: ReadSession, run_id: int) -> TokenizationRun:
    """The row. Raises RunNotFound, NotPermitted out of a limited token's reach."""
    return _found(session.get(TokenizationRun, run_id), run_id)


def get_locked(session: WriteSession, run_id: int) -> TokenizationRun:
    """The row, locked against other processes until the unit of work ends."""
    row = session.scalars(
        select(TokenizationRun).where(TokenizationRun.id == run_id).with_for_update()
    ).one_or_none()
    return _found(row, run_id)


def _found(row: TokenizationRun | None, run_id: int) -> TokenizationRun:
    if row is None:
        raise RunNotFound(run_id)
    access.require_environment(row.environment_id, row.environment)
    return row


def find_active(session: ReadSession, active_key: str) -> TokenizationRun | None:
    return session.scalars(
        select(TokenizationRun).where(TokenizationRun.active_key == active_key)
    ).one_or_none()


def list_runs(
    session: ReadSession, filters: RunFilters, *, limit: int, before: int | None
) -> newest.Found[TokenizationRun]:
    """Newest first."""
    exact = {
        TokenizationRun.environment: [filters.environment] if filters.environment else (),
        TokenizationRun.state: [filters.state] if filters.state else (),
        TokenizationRun.trigger_kind: [filters.trigger] if filters.trigger else (),
    }
    rest: list[ColumnElement[bool]] = []
    if (reach := access.reach()) is not None:
        rest.append(TokenizationRun.environment_id.in_(reach))
    text = [
        or_(
            TokenizationRun.dataset.icontains(filters.text, autoescape=True),
            TokenizationRun.actor_name.icontains(filters.text, autoescape=True),
        )
    ]
    return newest.page(
        session,
        select(TokenizationRun),
        TokenizationRun.id,
        exact=exact,
        rest=[*rest, *(text if filters.text else ())],
        limit=limit,
        before=before,
    )


def latest_succeeded(session: ReadSession, environment_id: int) -> list[TokenizationRun]:
    """The newest successful run of each dataset, the newest first."""
    r = TokenizationRun
    here = (r.environment_id == environment_id, r.state == RunState.SUCCEEDED)
    ids = newest.last_of_each(session, r.id, r.dataset, nearly=here)
    found: list[TokenizationRun] = []
    for some in _chunks(sorted(ids, reverse=True)):
        found += session.scalars(select(r).where(r.id.in_(some)).order_by(r.id.desc()))
    return found


def any_succeeded(session: ReadSession, environment_id: int) -> bool:
    return session.scalars(_succeeded(environment_id).limit(1)).first() is not None


def _succeeded(environment_id: int, *which: ColumnElement[bool]) -> Select[tuple[TokenizationRun]]:
    """The successful runs of an environment, newest first."""
    query = select(TokenizationRun).where(
        TokenizationRun.environment_id == environment_id,
        TokenizationRun.state == RunState.SUCCEEDED,
        *which,
    )
    return query.order_by(TokenizationRun.id.desc())


def tokenized(session: ReadSession, environment_id: int, dataset: str) -> dict[str, ColumnChoice]:
    """Every column that a run tokenized, as the newest of its runs did; reason: which one.

    scheme: the column's own, or "" where it was that of the environment.
    """
    r = TokenizationRun
    runs = _succeeded(environment_id, r.dataset == dataset)
    found: dict[str, ColumnChoice] = {}
    for number, scheme, columns in _stream(session, runs, r.id, r.scheme, r.columns):
        for choice in _choices(columns, scheme):
            own = choice.scheme if choice.scheme != scheme else ""
            reason = f"tokenized before, by run {number}"
            found.setdefault(choice.name, ColumnChoice(choice.name, reason, own))
    return found


def tokenized_columns(
    session: ReadSession, environment_id: int, datasets: Collection[str] | None = None
) -> dict[str, list[str]]:
    """dataset → every column that a run tokenized, those of the newest run first.

    datasets: None for all. However many runs there were: a column that only an old one took holds
    tokens as the others do.
    """
    r = TokenizationRun
    found: dict[str, dict[str, None]] = {}
    parts: list[list[ColumnElement[bool]]] = [[]]
    if datasets is not None:
        parts = [[r.dataset.in_(some)] for some in _chunks(sorted(datasets))]
    for which in parts:
        runs = _succeeded(environment_id, *which)
        for dataset, columns in _stream(session, runs, r.dataset, r.columns):
            names = found.setdefault(dataset, {})
            names.update((each["name"], None) for each in columns if each["name"] not in names)
    return {dataset: list(names) for dataset, names in found.items()}


def _chunks(every: Sequence[T]) -> Iterator[Sequence[T]]:
    return (every[start : start + _STEP] for start in range(0, len(every), _STEP))


def _stream(session: ReadSession, query: Select[Any], *columns: Any) -> Iterator[Row[Any]]:
    """Columns of the rows in the query's order, without holding all of them."""
    only = query.with_only_columns(*columns).execution_options(yield_per=_STEP)
    yield from session.execute(only)


def latest_ended(session: ReadSession, row: TokenizationRun) -> TokenizationRun:
    """The run of the same dataset whose outcome DataHub should show."""
    later = newer_finished(session, row)
    return row if later is None else get(session, later)


def last_ended(
    session: ReadSession, states: Sequence[RunState], *, since: datetime, limit: int
) -> list[TokenizationRun]:
    """Runs that ended like this since then and that no later ended run of their dataset has
    followed, newest first; one that was cancelled or skipped answers nothing."""
    later = aliased(TokenizationRun)
    followed = (
        select(later.id)
        .where(
            later.dataset == TokenizationRun.dataset,
            later.id > TokenizationRun.id,
            later.environment_id == TokenizationRun.environment_id,
            later.state.in_(PROVEN),
        )
        .exists()
    )
    query = select(TokenizationRun).where(
        TokenizationRun.state.in_(states), TokenizationRun.finished_at >= since, ~followed
    )
    return list(session.scalars(query.order_by(TokenizationRun.id.desc()).limit(limit)))


def last_fingerprint(session: ReadSession, environment_id: int, dataset: str) -> str | None:
    """Which key the last successful run on the dataset used."""
    changed = func.coalesce(TokenizationRun.rows_updated, 1) > 0  # NULL: nobody knows any more
    runs = _succeeded(environment_id, TokenizationRun.dataset == dataset, changed)
    row = session.scalars(runs.limit(1)).first()
    return row.key_fingerprint if row is not None else None


def pace(session: ReadSession, environment_id: int, engine: str, method: str) -> float | None:
    """Seconds per row of the newest run that changed enough rows to tell; None without one."""
    telling = (
        TokenizationRun.engine == engine,
        TokenizationRun.method == method,
        TokenizationRun.rows_updated >= ENOUGH_ROWS,
    )
    row = session.scalars(_succeeded(environment_id, *telling).limit(1)).first()
    if row is None or row.started_at is None or row.finished_at is None or not row.rows_scanned:
        return None
    return (row.finished_at - row.started_at).total_seconds() / row.rows_scanned


def newer_finished(session: ReadSession, row: TokenizationRun) -> int | None:
    """A later run of the same dataset whose outcome is the one to show in DataHub."""
    return session.scalars(
        select(TokenizationRun.id)
        .where(
            TokenizationRun.environment_id == row.environment_id,
            TokenizationRun.dataset == row.dataset,
            TokenizationRun.id > row.id,
            TokenizationRun.state.in_(PROVEN),
        )
        .order_by(TokenizationRun.id.desc())
        .limit(1)
    ).one_or_none()


def list_active(session: ReadSession, *, limit: int = 200) -> Sequence[TokenizationRun]:
    return session.scalars(
        select(TokenizationRun)
        .where(TokenizationRun.state.in_(ACTIVE))
        .order_by(TokenizationRun.id)
        .limit(limit)
    ).all()


def list_unwritten(
    session: ReadSession, *, most_attempts: int, limit: int = 50
) -> Sequence[TokenizationRun]:
    """Ended runs whose proof is not in DataHub yet."""
    return session.scalars(
        select(TokenizationRun)
        .where(
            TokenizationRun.state.not_in(ACTIVE),
            TokenizationRun.write_back.in_([WriteBackState.PENDING, WriteBackState.FAILED]),
            TokenizationRun.write_back_attempts < most_attempts,
        )
        .order_by(TokenizationRun.id)
        .limit(limit)
    ).all()


def find_tag(session: ReadSession, environment_id: int, dataset: str) -> TokenizationTag | None:
    return session.scalars(
        select(TokenizationTag).where(
            TokenizationTag.environment_id == environment_id, TokenizationTag.dataset == dataset
        )
    ).one_or_none()


def add_tag(session: WriteSession, environment_id: int, dataset: str, at: datetime) -> None:
    """Raises IntegrityError at flush when another process has just answered the tag."""
    session.add(
        TokenizationTag(environment_id=environment_id, dataset=dataset, note="", seen_at=at)
    )
    session.flush()


def note_tag(
    session: WriteSession, environment_id: int, dataset: str, *, run_id: int | None, note: str
) -> None:
    session.execute(
        update(TokenizationTag)
        .where(TokenizationTag.environment_id == environment_id, TokenizationTag.dataset == dataset)
        .values(run_id=run_id, note=note)
    )


def forget_tag(session: WriteSession, environment_id: int, dataset: str) -> None:
    session.execute(
        delete(TokenizationTag).where(
            TokenizationTag.environment_id == environment_id, TokenizationTag.dataset == dataset
        )
    )


def list_noted_tags(session: ReadSession, *, limit: int) -> Sequence[TokenizationTag]:
    """Tags that no run can answer."""
    return session.scalars(
        select(TokenizationTag)
        .where(TokenizationTag.note != "")
        .order_by(TokenizationTag.id.desc())
        .limit(limit)
    ).all()


def list_tags(session: ReadSession, environment_id: int) -> Sequence[TokenizationTag]:
    """All of them: one that is missing here would be answered once more."""
    return session.scalars(
        select(TokenizationTag)
        .where(TokenizationTag.environment_id == environment_id)
        .order_by(TokenizationTag.id)
    ).all()
