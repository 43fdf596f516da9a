"""Differences somebody decided to leave: the same mark in a plan's row, its ignore and a run."""

from sqlalchemy import select

from backend.core import clock
from backend.core.database import WriteSession
from backend.models import SyncItem, SyncRow
from backend.user_sync import row_repository, rules_repository, run_repository
from backend.user_sync.matching import digest, domain_identity


def mark(row: SyncRow, field: str) -> str:
    """What an ignore of this row's difference is recognized by."""
    if field == "displayName":
        return digest(field, row.old_name, row.new_name)
    old, new = row_repository.refs(row.old_domains), row_repository.refs(row.new_domains)
    return digest(field, domain_identity(old), domain_identity(new))


def skip(session: WriteSession, run_id: int) -> None:
    """Take users out of a run whose difference was left alone after its plan was made.

    Another plan may have been open meanwhile, or the run lay stopped: the decision is the newer
    word. The whole user becomes a conflict, so that a person sees it and plans again; one that may
    have been written already stays unknown, so that an undo still looks at it.
    """
    run = run_repository.get_run(session, run_id)
    known = rules_repository.ignores(session, run.environment_id)
    now = clock.now()
    users = sorted({user_id for user_id, _ in known})
    for start in range(0, len(users), 500):
        waiting = (
            select(SyncItem, SyncRow)
            .join(
                SyncRow,
                (SyncRow.plan_id == SyncItem.plan_id) & (SyncRow.position == SyncItem.position),
            )
            .where(
                SyncItem.run_id == run_id,
                SyncItem.state.in_(("pending", "sending")),
                SyncItem.user_id.in_(users[start : start + 500]),
            )
        )
        for item, row in session.execute(waiting).all():
            words = [
                known[item.user_id, field][1]
                for field, sets in (("displayName", row.sets_name), ("domains", row.sets_domains))
                if sets and known.get((item.user_id, field), ("",))[0] == mark(row, field)
            ]
            if words:
                item.state = "unknown" if item.state == "sending" else "conflict"
                item.finished_at = now
                item.reason = f"ignored since this was planned: {'; '.join(words)}"
