"""Which of the Overview's alerts a person has put aside.

A mark lasts as long as the alert says the same: one that ended and comes again, or says more, is
new to everybody.
"""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import delete, select

from backend.core import access, alerts
from backend.core.access import Actor, Permission
from backend.core.alerts import Alert
from backend.core.database import ReadSession, WriteSession, database_now
from backend.core.errors import NotFound
from backend.core.views import of_row
from backend.models.notifications import AlertSeen
from backend.notifications import owners
from backend.notifications.schemas import AlertList, AlertView

#: Keys of one deletion.
_AT_ONCE = 500


def seen(session: ReadSession, actor: Actor, *, account: str = "") -> frozenset[str]:
    """The keys of the alerts that a person has seen: who asks, who made the token, or at the
    command line `account`; none where nobody is meant."""
    access.require(actor, Permission.OVERVIEW_READ)
    try:
        person = owners.person(session, actor, account=account)
    except owners.NoPerson:
        return frozenset()
    return frozenset(session.scalars(select(AlertSeen.alert).where(AlertSeen.account_id == person)))


def list_alerts(session: ReadSession, actor: Actor, *, account: str = "") -> AlertList:
    """What needs somebody to act, the worst first, each with whether that person has seen it."""
    aside = seen(session, actor, account=account)
    found = alerts.collect(session, actor)
    items = tuple(_view(item, item.key in aside) for item in found.items)
    return AlertList(items=items, rest=found.rest)


def _view(item: Alert, is_seen: bool) -> AlertView:
    return of_row(AlertView, item, query=dict(item.query), seen=is_seen)


def mark(
    session: WriteSession, actor: Actor, *, alert: str, is_seen: bool = True, account: str = ""
) -> AlertView:
    """Put an alert aside for a person (`seen` says whose), or take it back. alert: its key.

    Raises NotFound when there is no such alert now, InvalidInput when no person is meant.
    """
    access.require(actor, Permission.OWN_ACCOUNT)
    person = owners.person(session, actor, account=account)
    now = [item for _, found in alerts.by_domain(session, actor) for item in found]
    item = next((each for each in now if isinstance(each, Alert) and each.key == alert), None)
    if item is None:
        raise NotFound("There is no such alert now: it has ended, or says something else.")
    row = session.get(AlertSeen, (person, alert), with_for_update=True)
    if is_seen and row is None:
        session.add(AlertSeen(account_id=person, alert=alert, at=database_now(session)))
    elif not is_seen and row is not None:
        session.delete(row)
    session.flush()
    return _view(item, is_seen)


def forget_ended(session: WriteSession, lasting: Collection[str], before: datetime) -> None:
    """Forget the marks of alerts that are no more. before: when `lasting` was read; what was
    marked since may be newer than it."""
    marked = session.scalars(select(AlertSeen.alert).where(AlertSeen.at < before).distinct())
    ended = sorted(set(marked) - set(lasting))
    for place in range(0, len(ended), _AT_ONCE):
        chunk = ended[place : place + _AT_ONCE]
        session.execute(delete(AlertSeen).where(AlertSeen.alert.in_(chunk), AlertSeen.at < before))
