"""Send what is due on a channel: at least once, one message after the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from backend.core.database import Database, WriteSession, database_now
from backend.core.errors import PortalError
from backend.core.events import Event
from backend.core.log import get_logger, log_unexpected, mask_text
from backend.models.accounts import Account
from backend.models.notifications import NotificationChannel as Channel
from backend.models.notifications import NotificationDelivery as Delivery
from backend.notifications import channels, dispatch, messages, repository
from backend.notifications.channels import Target
from backend.notifications.messages import Message
from backend.notifications.schemas import EventView

log = get_logger(__name__)

#: After the first try, the second … failed; then the message is given up.
AGAIN = tuple(timedelta(minutes=many) for many in (1, 5, 15, 60, 240, 720))
#: As long as one try may take at most; then another process may take the message.
LEASE = timedelta(minutes=5)
#: So many at once are one message: a storm of them helps nobody.
TOGETHER = 10
_MOST = 200


@dataclass(frozen=True)
class Batch:
    """Deliveries that go out as one message."""

    deliveries: tuple[int, ...]
    target: Target
    message: Message
    message_id: str


def deliver(database: Database, channel_id: int) -> tuple[int, str]:
    """Send until nothing is due, or one fails; returns how many messages went, and the reason of
    the one that did not ("")."""
    sent = 0
    while True:
        batch = _taken(database, channel_id)
        if batch is None:
            return sent, ""
        error = _try(batch)
        database.change(_record, batch, error)
        if error:
            return sent, error
        sent += 1


def _taken(database: Database, channel_id: int) -> Batch | None:
    """The next message, marked as tried before it is: whoever dies with it has tried."""
    with database.write() as session:
        channel = repository.locked(session, channel_id)
        if channel is None or not channel.enabled:
            return None
        rows = _ready(session, channel)
        if not rows:
            return None
        target = channels.opened(session, channel)
        events = [event for _, event in rows]
        told = messages.views(session, events)
        chosen = _together(channel, told, events)
        mine = [rows[number][0] for number in chosen]
        for row in mine:
            row.attempts += 1
            row.due_at = database_now(session) + LEASE
        return Batch(
            tuple(row.id for row in mine),
            target,
            messages.message([told[number] for number in chosen]),
            f"delivery-{mine[0].id}-{len(mine)}",
        )


def _ready(session: WriteSession, channel: Channel) -> list[tuple[Delivery, Event]]:
    """What is due and may be sent: a message may have waited for a day."""
    owner = session.get(Account, channel.owner_id) if channel.owner_id else None
    ready = []
    for row, event in repository.due(session, channel.id, _MOST):
        if channel.owner_id and not dispatch.concerns(event, owner):
            row.state = "dropped"  # the person lost the role, or the account
            continue
        began = repository.delivery_of(session, channel.id, event.began_id or 0)
        if began and began.state == "waiting" and began.due_at > database_now(session):
            row.due_at = began.due_at  # its end is not told before it, which is tried again then
            continue
        ready.append((row, event))
    return ready


def _together(channel: Channel, told: Sequence[EventView], events: Sequence[Event]) -> list[int]:
    """Which of them are the next message."""
    if len(told) > TOGETHER:
        return list(range(len(told)))
    alone = {each.id for each in told if each.severity != "info"}
    low = [
        number
        for number, each in enumerate(told)
        # The end of what has a message of its own comes after that one.
        if each.severity == "info" and events[number].began_id not in alone
    ]
    if channel.digest and 0 in low:
        return low
    return [0]


def _try(batch: Batch) -> str:
    """Send it now; why it was not taken, "" when it was."""
    try:
        batch.target.send(batch.message, message_id=batch.message_id)
    except PortalError as exc:
        return mask_text(exc.message)
    except Exception as exc:
        reference = log_unexpected(log, "A message could not be sent.", exc)
        return f"Something went wrong. Reference {reference}."
    return ""


def _record(session: WriteSession, batch: Batch, error: str) -> None:
    now = database_now(session)
    for number in batch.deliveries:
        row = session.get(Delivery, number, with_for_update=True, populate_existing=True)
        if row is None or row.state != "waiting":
            continue
        row.error = error
        if not error:
            row.state, row.sent_at = "sent", now
        elif row.attempts > len(AGAIN):
            row.state = "failed"
        else:
            row.due_at = now + AGAIN[row.attempts - 1]
