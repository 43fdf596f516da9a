"""What a person has not seen yet: the bell."""

from datetime import timedelta

from sqlalchemy import Select, func, select

from backend.connections import resolve
from backend.core import access, choices, events
from backend.core.access import PERMISSIONS, Actor, Permission
from backend.core.database import ReadSession, WriteSession, database_now
from backend.core.errors import InvalidInput
from backend.core.events import Event
from backend.core.views import of_row
from backend.models.notifications import NotificationSeen
from backend.notifications import messages, repository
from backend.notifications.schemas import DeliveryPage, DeliveryView, Inbox

MAX_PAGE = 200
#: As far back as the bell counts.
RECENT = timedelta(days=30)
MANY = 100


def inbox(
    session: ReadSession, actor: Actor, *, limit: int = 50, cursor: int | None = None
) -> Inbox:
    """What this person may be told, newest first, and how much of it is unread."""
    access.require(actor, Permission.NOTIFICATIONS_READ)
    choices.check_limit(limit, MAX_PAGE)
    query = repository.events_for(_account(actor), _permissions(actor))
    if cursor is not None:
        query = query.where(Event.id < cursor)
    rows = list(session.scalars(query.order_by(Event.id.desc()).limit(limit + 1)))
    names = dict(resolve.names(session))
    shown = [row.id for row in rows[:limit]]
    new = set(session.scalars(_unread(session, actor).where(Event.id.in_(shown))))
    items = tuple(messages.view(row, names, unread=row.id in new) for row in rows[:limit])
    return Inbox(
        items=items,
        unread=unread(session, actor),
        next_cursor=rows[limit - 1].id if len(rows) > limit else None,
    )


def unread(session: ReadSession, actor: Actor) -> int:
    """How much of what still says something this person has not seen; at most 100."""
    access.require(actor, Permission.NOTIFICATIONS_READ)
    bounded = _unread(session, actor).limit(MANY).subquery()
    return session.scalar(select(func.count()).select_from(bounded)) or 0


def _unread(session: ReadSession, actor: Actor) -> Select[tuple[int]]:
    """Their numbers: what the bell counts is what the list marks."""
    seen = select(NotificationSeen.event_id).where(NotificationSeen.account_id == _account(actor))
    query = repository.events_for(_account(actor), _permissions(actor), Event.id).where(
        Event.id > func.coalesce(seen.scalar_subquery(), 0),
        Event.at > database_now(session) - RECENT,
    )
    silent = [kind.name for kind in events.kinds().values() if kind.silent]
    return repository.lasting(query, silent)


def mark_seen(session: WriteSession, actor: Actor, *, event_id: int) -> None:
    """Everything up to this event is seen; never less than before."""
    access.require(actor, Permission.OWN_ACCOUNT)
    if actor.kind != "user":
        raise InvalidInput("Only an account has seen something: sign in on the page.")
    event_id = min(event_id, repository.newest_event(session))
    row = session.get(NotificationSeen, actor.id, with_for_update=True)
    if row is None:
        session.add(NotificationSeen(account_id=actor.id, event_id=event_id))
    else:
        row.event_id = max(row.event_id, event_id)
    session.flush()


def deliveries(
    session: ReadSession,
    actor: Actor,
    *,
    personal: bool = False,
    limit: int = 50,
    cursor: int | None = None,
) -> DeliveryPage:
    """What was sent, waits or was given up, newest first: of the portal's channels or one's own."""
    access.require(actor, Permission.NOTIFICATIONS_READ)
    choices.check_limit(limit, MAX_PAGE)
    found = repository.deliveries(
        session, owner_id=actor.id if personal else 0, before=cursor, limit=limit + 1
    )
    names = dict(resolve.names(session))
    items = tuple(
        of_row(
            DeliveryView,
            row,
            channel=channel,
            event=messages.view(event, names),
            status=row.state,
        )
        for row, event, channel in found[:limit]
    )
    return DeliveryPage(
        items=items, next_cursor=found[limit - 1][0].id if len(found) > limit else None
    )


def _permissions(actor: Actor) -> frozenset[Permission]:
    """Of the role, what a limited API token holds of it."""
    held = PERMISSIONS[actor.role]
    return held if actor.only is None else held & actor.only


def _account(actor: Actor) -> int:
    """0 is nobody's: a token and the command line are told what concerns no single person."""
    return actor.id if actor.kind == "user" else 0
