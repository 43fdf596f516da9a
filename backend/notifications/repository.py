"""SQL of channels and deliveries."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, func, or_, select, true

from backend.core import access
from backend.core.access import Permission
from backend.core.database import ReadSession, WriteSession, database_now
from backend.core.errors import NotFound
from backend.core.events import Event
from backend.models.accounts import Account
from backend.models.notifications import NotificationChannel as Channel
from backend.models.notifications import NotificationDelivery as Delivery


def channels(session: ReadSession, owner_id: int | None = None) -> list[Channel]:
    """owner_id: 0 for the portal's own, None for all."""
    query = select(Channel).order_by(Channel.owner_id, Channel.name)
    if owner_id is not None:
        query = query.where(Channel.owner_id == owner_id)
    return list(session.scalars(query))


def channel(session: ReadSession, owner_id: int, name: str) -> Channel:
    """Raises NotFound."""
    row = session.scalars(
        select(Channel).where(Channel.owner_id == owner_id, Channel.name == name)
    ).one_or_none()
    if row is None:
        raise NotFound(f"There is no channel {name[:80]!r} here.")
    return row


def locked(session: WriteSession, channel_id: int) -> Channel | None:
    return session.get(Channel, channel_id, with_for_update=True, populate_existing=True)


def newest_event(session: ReadSession) -> int:
    return session.scalar(select(func.max(Event.id))) or 0


def waiting(session: ReadSession) -> dict[int, tuple[int, str]]:
    """Channel → how many messages wait, and why the newest of them was not taken."""
    counts = session.execute(
        select(Delivery.channel_id, func.count())
        .where(Delivery.state == "waiting")
        .group_by(Delivery.channel_id)
    )
    found: dict[int, tuple[int, str]] = {number: (many, "") for number, many in counts}
    newest = (
        select(func.max(Delivery.id))
        .where(Delivery.attempts > 0)
        .group_by(Delivery.channel_id)
        .scalar_subquery()
    )
    for row in session.scalars(select(Delivery).where(Delivery.id.in_(newest))):
        many = found.get(row.channel_id, (0, ""))[0]
        found[row.channel_id] = (many, row.error)
    return found


def undispatched(session: WriteSession, limit: int = 500) -> list[Event]:
    return list(
        session.scalars(
            select(Event)
            .where(Event.dispatched.is_(False))
            .order_by(Event.id)
            .limit(limit)
            .with_for_update()
        )
    )


def delivery_of(session: WriteSession, channel_id: int, event_id: int) -> Delivery | None:
    return session.scalars(
        select(Delivery)
        .where(Delivery.channel_id == channel_id, Delivery.event_id == event_id)
        .with_for_update()
    ).one_or_none()


def due_channels(session: ReadSession) -> list[int]:
    query = select(Delivery.channel_id).where(
        Delivery.state == "waiting", Delivery.due_at <= database_now(session)
    )
    return list(session.scalars(query.distinct()))


def due(session: WriteSession, channel_id: int, limit: int) -> list[tuple[Delivery, Event]]:
    """What is due on a channel, oldest first, locked."""
    rows = session.execute(
        select(Delivery, Event)
        .join(Event, Event.id == Delivery.event_id)
        .where(
            Delivery.channel_id == channel_id,
            Delivery.state == "waiting",
            Delivery.due_at <= database_now(session),
        )
        .order_by(Delivery.id)
        .limit(limit)
        .with_for_update(of=Delivery)
    )
    return [(delivery, event) for delivery, event in rows]


def deliveries(
    session: ReadSession, *, owner_id: int, before: int | None, limit: int
) -> list[tuple[Delivery, Event, str]]:
    """Newest first, with the channel's name; of what the request's API token reaches."""
    query = (
        select(Delivery, Event, Channel.name)
        .join(Event, Event.id == Delivery.event_id)
        .join(Channel, Channel.id == Delivery.channel_id)
        .where(Channel.owner_id == owner_id, _reached())
        .order_by(Delivery.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(Delivery.id < before)
    return [(delivery, event, name) for delivery, event, name in session.execute(query)]


def events_for(
    account_id: int, permissions: Collection[Permission], columns: Any = Event
) -> Select[Any]:
    """What a person may be told: theirs, or nobody's and of their role's permissions; by an API
    token that is limited to some environments of those, and of what has none."""
    return select(columns).where(
        Event.permission.in_([each.value for each in permissions]),
        or_(Event.concerns_id.is_(None), Event.concerns_id == account_id),
        or_(Event.excludes_id.is_(None), Event.excludes_id != account_id),
        _reached(),
    )


def _reached() -> ColumnElement[bool]:
    reach = access.reach()
    return true() if reach is None else Event.environment_id.in_([0, *sorted(reach)])


def lasting(query: Select[Any], silent: Sequence[str]) -> Select[Any]:
    """Of these, what still says something: no condition that is over, no end of one."""
    return query.where(
        or_(Event.phase == "once", Event.open_key.is_not(None)), Event.kind.not_in(silent)
    )


def forget(session: WriteSession, older: timedelta) -> None:
    """Delete what was told long ago, with its deliveries."""
    before: datetime = database_now(session) - older
    old = select(Event.id).where(Event.at < before, Event.open_key.is_(None))
    numbers = list(session.scalars(old.limit(5_000)))
    if numbers:
        session.execute(delete(Delivery).where(Delivery.event_id.in_(numbers)))
        session.execute(delete(Event).where(Event.id.in_(numbers)))


def account_named(session: ReadSession, key: str) -> Account | None:
    """key: the name as it is compared."""
    return session.scalars(select(Account).where(Account.name_key == key)).one_or_none()


def account(session: ReadSession, account_id: int) -> Account:
    return session.scalars(select(Account).where(Account.id == account_id)).one()
