"""The SQL of runs and their items."""

import os
import secrets
import socket
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, get_args

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import aliased

from backend.core import access, clock, metrics
from backend.core.database import (
    ReadSession,
    WriteSession,
    after_commit,
    database_now,
    findable,
    storable,
)
from backend.core.views import of_row
from backend.models import SyncItem, SyncRow, SyncRun
from backend.user_sync import row_repository
from backend.user_sync.errors import RunNotFound
from backend.user_sync.schemas import ENDED, ItemView, RunState, RunView
from backend.user_sync.writing import Change, Outcome

#: A run whose worker has not been heard of for this long may be taken over.
STALE = timedelta(seconds=120)
#: States of an item that is still to be sent, or whose answer is awaited.
OPEN_ITEMS = ("pending", "sending")
#: What an item was asked for.
_ROW = (SyncRow.plan_id == SyncItem.plan_id) & (SyncRow.position == SyncItem.position)


def get_run(session: ReadSession, run_id: int, *, lock: bool = False) -> SyncRun:
    """The run's row. Raises RunNotFound, NotPermitted out of a limited token's reach."""
    row = session.get(SyncRun, run_id, with_for_update=lock or None)
    if row is None:
        raise RunNotFound(run_id)
    access.require_environment(row.environment_id, row.environment)
    return row


def find_by_plan(session: ReadSession, plan_id: int) -> SyncRun | None:
    return session.scalars(select(SyncRun).where(SyncRun.plan_id == plan_id)).one_or_none()


def user_ids(session: ReadSession, run_id: int) -> set[str]:
    """The users a run was started for."""
    return set(session.scalars(select(SyncItem.user_id).where(SyncItem.run_id == run_id)))


def list_runs(
    session: ReadSession, *, environment_id: int | None, limit: int, before: int | None
) -> list[RunView]:
    """Newest first."""
    query = select(SyncRun).order_by(SyncRun.id.desc()).limit(limit)
    if environment_id is not None:
        query = query.where(SyncRun.environment_id == environment_id)
    if (reach := access.reach()) is not None:
        query = query.where(SyncRun.environment_id.in_(reach))
    if before is not None:
        query = query.where(SyncRun.id < before)
    return [view(session, row) for row in session.scalars(query).all()]


def moments(
    session: ReadSession, *, since: datetime, limit: int
) -> list[tuple[datetime, str, int | None]]:
    """When each run since then was made, its state and its job, of the newest `limit`."""
    query = select(SyncRun.created_at, SyncRun.state, SyncRun.job_id)
    query = query.where(SyncRun.created_at >= since)
    if (reach := access.reach()) is not None:
        query = query.where(SyncRun.environment_id.in_(reach))
    return list(session.execute(query.order_by(SyncRun.created_at.desc()).limit(limit)).tuples())


def list_stopped(session: ReadSession, *, limit: int) -> list[RunView]:
    """Runs that can go on, newest first."""
    query = select(SyncRun).where(SyncRun.state == "stopped").order_by(SyncRun.id.desc())
    return [view(session, row) for row in session.scalars(query.limit(limit)).all()]


def list_last_partial(session: ReadSession, *, since: datetime, limit: int) -> list[RunView]:
    """Partial runs since then that no later ended run of their environment has followed, newest
    first; one that was cancelled answers nothing."""
    later = aliased(SyncRun)
    followed = (
        select(later.id)
        .where(
            later.environment_id == SyncRun.environment_id,
            later.id > SyncRun.id,
            later.state.in_(("succeeded", "partial")),
        )
        .exists()
    )
    query = select(SyncRun).where(
        SyncRun.state == "partial", SyncRun.finished_at >= since, ~followed
    )
    rows = session.scalars(query.order_by(SyncRun.id.desc()).limit(limit)).all()
    return [view(session, row) for row in rows]


def view(session: ReadSession, row: SyncRun, *, reused: bool = False) -> RunView:
    counted = session.execute(
        select(SyncItem.state, func.count())
        .where(SyncItem.run_id == row.id)
        .group_by(SyncItem.state)
    )
    counts = {str(state): int(count) for state, count in counted}
    return of_row(RunView, row, counts=counts, reused=reused)


def add_items(
    session: WriteSession, run_id: int, plan_id: int, rows: Sequence[tuple[int, str, str]]
) -> None:
    """One pending item per (position, user id, e-mail)."""
    session.execute(
        insert(SyncItem),
        [
            {
                "run_id": run_id,
                "position": position,
                "plan_id": plan_id,
                "user_id": user_id,
                "email": email,
                "state": "pending",
                "reason": "",
                "stored": "",
            }
            for position, user_id, email in rows
        ],
    )


def drop_items(session: WriteSession, run_id: int, start: int, end: int | None) -> None:
    """Delete a run's items from one position up to another."""
    query = delete(SyncItem).where(SyncItem.run_id == run_id, SyncItem.position >= start)
    session.execute(query if end is None else query.where(SyncItem.position < end))


def claim(session: WriteSession, run_id: int, token: str) -> bool:
    """Take the run for one worker; False when it has ended or somebody else is at work."""
    row = get_run(session, run_id, lock=True)
    now = database_now(session)
    if row.state in ENDED:
        return False
    if row.state == "running" and row.claimed_by != token and not unheard(row, now):
        return False
    row.state, row.claimed_by, row.heartbeat_at = "running", token, now
    row.started_at = row.started_at or now
    return True


def heard_ahead(row: SyncRun, now: datetime) -> bool:
    """Whether this open run was heard of before the clock was set back."""
    return row.heartbeat_at is not None and row.heartbeat_at > now + STALE


def unheard(row: SyncRun, now: datetime) -> bool:
    """Whether nobody was heard of at this open run for long."""
    return now - (row.heartbeat_at or row.created_at) >= STALE


def list_open(session: ReadSession) -> list[SyncRun]:
    """Runs that have not ended."""
    # By what they are: an index does not find what they are not.
    going_on = [state for state in get_args(RunState) if state not in ENDED]
    return list(session.scalars(select(SyncRun).where(SyncRun.state.in_(going_on))))


def own_token() -> str:
    """Names this process as the worker of a run that is no job (the CLI): host, pid, nonce."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def next_changes(
    session: ReadSession, run_id: int, state: str, *, after: int, limit: int
) -> list[tuple[int, Change]]:
    """(position, change) of the items in this state, in order."""
    query = (
        select(SyncItem.position, SyncRow)
        .join(SyncRow, _ROW)
        .where(SyncItem.run_id == run_id, SyncItem.state == state, SyncItem.position > after)
        .order_by(SyncItem.position)
        .limit(limit)
    )
    return [(position, change_of(row)) for position, row in session.execute(query)]


def open_rows_of(
    session: WriteSession, run_id: int, user_ids: Collection[str]
) -> Iterator[tuple[SyncItem, SyncRow]]:
    """Items of these users that have not ended, with what was asked for; read 500 at a time."""
    users = sorted(user_ids)
    for start in range(0, len(users), 500):
        query = (
            select(SyncItem, SyncRow)
            .join(SyncRow, _ROW)
            .where(
                SyncItem.run_id == run_id,
                SyncItem.state.in_(("pending", "sending")),
                SyncItem.user_id.in_(users[start : start + 500]),
            )
        )
        yield from ((item, row) for item, row in session.execute(query).all())


def change_of(row: SyncRow) -> Change:
    return Change(
        user_id=str(row.user_id),
        email=row.email,
        changes=row_repository.row_view(row, "").changes,
        version=row.version,
        updated_at=row.updated_at,
    )


def leave_unknown(session: WriteSession, run_id: int) -> None:
    """What is under way when a run ends is known to nobody."""
    reason = "the run ended before it was seen what became of this write"
    session.execute(
        update(SyncItem)
        .where(SyncItem.run_id == run_id, SyncItem.state == "sending")
        .values(state="unknown", reason=reason, finished_at=clock.now())
    )


def recheck_unknown(session: WriteSession, run_id: int) -> None:
    """Let the next attempt find out first what became of the unknown writes."""
    session.execute(
        update(SyncItem)
        .where(SyncItem.run_id == run_id, SyncItem.state == "unknown")
        .values(state="sending", reason="", finished_at=None)
    )


def record(
    session: WriteSession,
    run_id: int,
    token: str,
    *,
    intents: Sequence[int],
    outcomes: Sequence[tuple[int, Outcome]],
) -> bool:
    """Store how items ended and which are sent next; False when the run is not ours any more."""
    now = database_now(session)
    owned = session.execute(
        update(SyncRun)
        .where(SyncRun.id == run_id, SyncRun.claimed_by == token)
        .values(heartbeat_at=now)
    )
    if owned.rowcount != 1:  # type: ignore[attr-defined]  # an UPDATE answers with a CursorResult
        return False
    if intents:
        session.execute(
            update(SyncItem)
            .where(SyncItem.run_id == run_id, SyncItem.position.in_(intents))
            .values(state="sending")
        )
    if outcomes:
        session.execute(
            update(SyncItem), [_item_values(run_id, position, o, now) for position, o in outcomes]
        )
        after_commit(session, partial(_count, [outcome.state for _, outcome in outcomes]))
    return True


def _count(states: Sequence[str]) -> None:
    for state, count in Counter(states).items():
        if state not in OPEN_ITEMS:
            metrics.SYNC_ROWS.labels(state).inc(count)


def _item_values(run_id: int, position: int, outcome: Outcome, now: datetime) -> dict[str, Any]:
    ended = outcome.state not in OPEN_ITEMS
    return {
        "run_id": run_id,
        "position": position,
        "state": outcome.state,
        "reason": storable(outcome.reason) if ended else "",
        "stored": ",".join(outcome.stored),
        "version_after": outcome.version_after,
        "updated_after": outcome.updated_after,
        "finished_at": now if ended else None,
    }


def item_page(
    session: ReadSession,
    run: SyncRun,
    host_port: str,
    *,
    states: Sequence[str],
    text: str,
    after: int,
    limit: int,
) -> tuple[ItemView, ...]:
    """Items with what was asked for, in the plan's order, after a position."""
    query = (
        select(SyncItem, SyncRow)
        .join(SyncRow, _ROW)
        .where(SyncItem.run_id == run.id, SyncItem.position > after)
        .order_by(SyncItem.position)
        .limit(limit)
    )
    if states:
        query = query.where(SyncItem.state.in_(states))
    for word in findable(text).split():
        query = query.where(SyncRow.search.contains(word, autoescape=True))
    return tuple(_item_view(item, row, host_port) for item, row in session.execute(query))


def all_items(session: ReadSession, run: SyncRun, host_port: str) -> Iterator[ItemView]:
    """Every item, read in steps, for exports and the revert."""
    after = -1
    while True:
        items = item_page(session, run, host_port, states=(), text="", after=after, limit=2_000)
        yield from items
        session.expunge_all()
        if len(items) < 2_000:
            return
        after = items[-1].position


def _item_view(item: SyncItem, row: SyncRow, host_port: str) -> ItemView:
    stored = tuple(filter(None, item.stored.split(",")))
    return of_row(ItemView, item, stored=stored, row=row_repository.row_view(row, host_port))
