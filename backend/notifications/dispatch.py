"""From what holds now to events, from events to deliveries. Runs on the leader, again and again."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from backend.core import alerts, events, windows
from backend.core.access import SYSTEM
from backend.core.alerts import Alert
from backend.core.database import Database, WriteSession, database_now
from backend.core.events import About, Event
from backend.jobs import service as jobs
from backend.jobs.enqueue import enqueue
from backend.models.accounts import Account
from backend.models.notifications import NotificationChannel as Channel
from backend.models.notifications import NotificationDelivery as Delivery
from backend.notifications import owners, repository, seen_alerts

KIND = "notifications.deliver"
_DIGEST = {"hourly": timedelta(hours=1), "daily": timedelta(days=1)}


def watch(database: Database) -> None:
    """Compare every domain's alerts with the conditions that people were told of.

    A domain whose alerts could not be read ends none of its conditions, and no mark of having seen
    one.
    """
    with database.read() as session:
        began = database_now(session)
        conditions = list(alerts.by_domain(session, SYSTEM))
    for domain, found in conditions:
        if not isinstance(found, str):
            database.change(_compare, domain, found)
    if any(isinstance(found, str) for _, found in conditions):
        return
    lasting = {each.key for _, found in conditions for each in found if isinstance(each, Alert)}
    database.change(seen_alerts.forget_ended, lasting, began)


def _compare(session: WriteSession, domain: str, found: Sequence[Alert]) -> None:
    now: dict[str, Alert] = {}
    for each in found:
        if each.event:
            now.setdefault(events.key(each.event, each.cause), each)
    watched = _watched(domain)
    for row in events.list_open(session, watched):
        if row.open_key not in now:
            events.end(session, row)
    for each in now.values():
        about = About(each.subject, each.page, dict(each.query), each.environment_id)
        events.raised(session, each.event, each.cause, about)


#: Conditions that end by what somebody does, not by what a domain's alerts no longer say.
_TOLD_BY_THEMSELVES = frozenset({"changes.waiting", "jobs.failed", "accounts.state_damaged"})


def _watched(domain: str) -> list[str]:
    return [
        name
        for name in events.kinds()
        if name.partition(".")[0] == domain and name not in _TOLD_BY_THEMSELVES
    ]


def fan_out(database: Database) -> None:
    """A delivery for each channel that wants an event, once."""
    with database.write() as session:
        waiting = repository.undispatched(session)
        if not waiting:
            return
        open_channels = [row for row in repository.channels(session) if row.enabled]
        owners = _owners(session, open_channels)
        for event in waiting:
            for channel in open_channels:
                if event.id > channel.since_event and _wants(channel, event, owners):
                    _deliver(session, channel, event)
            event.dispatched = True


def _owners(session: WriteSession, rows: Sequence[Channel]) -> Mapping[int, Account]:
    numbers = {row.owner_id for row in rows if row.owner_id}
    found = {number: session.get(Account, number) for number in numbers}
    return {number: account for number, account in found.items() if account is not None}


def _wants(channel: Channel, event: Event, owners: Mapping[int, Account]) -> bool:
    kind = events.kinds().get(event.kind)
    asked = event.kind in channel.kinds
    if not asked and (channel.kinds or kind is None or kind.silent):
        return False
    if channel.environment_id is not None and event.environment_id != channel.environment_id:
        return False
    return channel.owner_id == 0 or concerns(event, owners.get(channel.owner_id))


def concerns(event: Event, owner: Account | None) -> bool:
    """Whether a person with the role they have now is told of it on a channel of their own."""
    if owner is None or event.excludes_id == owner.id:
        return False
    may = event.permission in {each.value for each in owners.permissions_of(owner)}
    return may and event.concerns_id in (None, owner.id)


def _deliver(session: WriteSession, channel: Channel, event: Event) -> None:
    if event.began_id is not None:
        began = repository.delivery_of(session, channel.id, event.began_id)
        if began is None:
            return  # nobody was told that it began
        if began.state == "waiting" and not began.attempts:
            began.state = "dropped"  # held back until it was over: there is nothing to tell
            return
    now = database_now(session)
    row = Delivery(
        channel_id=channel.id,
        event_id=event.id,
        state="waiting",
        due_at=due_at(channel, event.severity, now),
        attempts=0,
        error="",
    )
    session.add(row)
    session.flush()


def due_at(channel: Channel, severity: str, now: datetime) -> datetime:
    """When a message may be sent: errors at once, the rest not in quiet hours, and what is not
    urgent together with its like."""
    if severity == "error":
        return now
    at = now
    if severity == "info" and channel.digest:
        step = _DIGEST[channel.digest]
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        at = midnight + ((now - midnight) // step + 1) * step
    return windows.end_of(channel.quiet, at) if channel.quiet else at


def queue(database: Database) -> None:
    """A job for each channel with something due, unless one is at it."""
    numbers = database.ask(repository.due_channels)
    for number in numbers:
        with database.write() as session:
            row = repository.locked(session, number)
            if row is None or not row.enabled or jobs.is_open(session, SYSTEM, job_id=row.job_id):
                continue
            row.job_id = enqueue(
                session, SYSTEM, KIND, {"channel_id": row.id}, subject=f"channel {row.id}"
            )
