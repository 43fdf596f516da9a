"""Which of the Overview's alerts a person has put aside.

A mark lasts as long as the alert says the same: one that ended and comes again, or says more, is
new to everybody.
"""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import delete, select

from backend.core import access
from backend.core.access import Actor, Permission
from backend.core.database import ReadSession, WriteSession, database_now
from backend.core.errors import InvalidInput
from backend.models.notifications import AlertSeen

#: Keys of one deletion.
_AT_ONCE = 500


def seen(session: ReadSession, actor: Actor) -> frozenset[str]:
    """The keys of the alerts that this person has seen; none for who is no account."""
    access.require(actor, Permission.OVERVIEW_READ)
    if actor.kind != "user":
        return frozenset()
    return frozenset(
        session.scalars(select(AlertSeen.alert).where(AlertSeen.account_id == actor.id))
    )


def mark(session: WriteSession, actor: Actor, *, alert: str, is_seen: bool = True) -> None:
    """Put an alert aside, or take it back. alert: its key."""
    access.require(actor, Permission.OWN_ACCOUNT)
    if actor.kind != "user":
        raise InvalidInput("Only an account has seen something: sign in on the page.")
    if len(alert) != 64:
        raise InvalidInput("That is no key of an alert.")
    row = session.get(AlertSeen, (actor.id, alert), with_for_update=True)
    if is_seen and row is None:
        session.add(AlertSeen(account_id=actor.id, alert=alert, at=database_now(session)))
    elif not is_seen and row is not None:
        session.delete(row)
    session.flush()


def forget_ended(session: WriteSession, lasting: Collection[str], before: datetime) -> None:
    """Forget the marks of alerts that are no more. before: when `lasting` was read; what was
    marked since may be newer than it."""
    marked = session.scalars(select(AlertSeen.alert).where(AlertSeen.at < before).distinct())
    ended = sorted(set(marked) - set(lasting))
    for place in range(0, len(ended), _AT_ONCE):
        chunk = ended[place : place + _AT_ONCE]
        session.execute(delete(AlertSeen).where(AlertSeen.alert.in_(chunk), AlertSeen.at < before))
