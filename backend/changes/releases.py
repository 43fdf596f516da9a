"""A release: several requests of one environment, approved together and carried out in order."""

from collections.abc import Sequence
from itertools import pairwise

from backend.changes import repository, service
from backend.changes.schemas import ChangeView
from backend.core import access
from backend.core.access import Actor, Permission
from backend.core.database import WriteSession
from backend.core.errors import Conflict, InvalidInput
from backend.models.changes import Change

MOST = 20


def approve(
    session: WriteSession, actor: Actor, *, change_ids: Sequence[int], comment: str = ""
) -> tuple[ChangeView, ...]:
    """Approve all or none. They are carried out in the order given: each begins when the one
    before has succeeded, and is refused when that one ended in any other way.

    Raises InvalidInput (fewer than two, more than 20, one twice, several environments), Conflict
    when one has another place already, and what `service.approve` raises for each.
    """
    access.require(actor, Permission.CHANGES_DECIDE)
    if not 2 <= len(change_ids) <= MOST or len(set(change_ids)) < len(change_ids):
        raise InvalidInput(f"A release is 2 to {MOST} changes, each named once.")
    # Always locked in the same order: two people who approve overlapping releases wait in line.
    locked = {number: repository.lock(session, number) for number in sorted(change_ids)}
    rows = [locked[number] for number in change_ids]
    if len({row.environment_id for row in rows}) > 1:
        names = ", ".join(dict.fromkeys(row.environment or "the portal" for row in rows))
        raise InvalidInput(f"A release is of one environment, and these are of several: {names}.")
    for before, row in pairwise(rows):
        _put_after(session, before, row)
    return tuple(service.approve(session, actor, change_id=row.id, comment=comment) for row in rows)


def _put_after(session: WriteSession, before: Change, row: Change) -> None:
    if row.after_id == before.id:
        return
    if row.after_id is not None:
        raise Conflict(
            f"Change {row.id} comes after change {row.after_id} in a release already. Approve them "
            "in that order, or this one alone."
        )
    seen: Change | None = before
    while seen is not None:
        if seen.id == row.id:
            raise Conflict(f"Change {before.id} comes after change {row.id} in a release already.")
        seen = repository.get(session, seen.after_id) if seen.after_id else None
    row.after_id = before.id
    session.flush()
