"""Events as views and as messages: ids, counts and links, nothing personal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from backend import __version__
from backend.connections import resolve
from backend.core import clock, events
from backend.core.database import ReadSession
from backend.core.events import Event
from backend.core.settings import get_settings
from backend.core.views import of_row
from backend.core.words import counted
from backend.notifications.schemas import EventView

_RANK = ("info", "warning", "error")


@dataclass(frozen=True)
class Message:
    """document: for a webhook."""

    title: str
    text: str
    severity: str
    document: dict[str, Any]


def view(row: Event, names: dict[int, str], *, unread: bool = False) -> EventView:
    """An event as people see it. names: of the environments, by number."""
    known = events.kinds().get(row.kind)
    return of_row(
        EventView,
        row,
        title=known.title if known else row.kind,
        environment=names.get(row.environment_id, ""),
        link=_link(row),
        unread=unread,
    )


def views(session: ReadSession, rows: Sequence[Event]) -> tuple[EventView, ...]:
    names = dict(resolve.names(session))
    return tuple(view(row, names) for row in rows)


def message(told: Sequence[EventView]) -> Message:
    """One message of one event, or of several at once."""
    document = {
        "type": "portal.events" if len(told) > 1 else told[0].kind,
        "portal": get_settings().public_url,
        "version": __version__,
        "events": [each.model_dump(mode="json", exclude={"unread"}) for each in told],
    }
    severity = max((each.severity for each in told), key=_RANK.index)
    if len(told) == 1:
        return Message(_title(told[0]), _line(told[0]), severity, document)
    title = f"Steward Portal: {counted(len(told), 'event')}"
    lines = [f"{_title(each)}\n{_line(each)}" for each in told]
    return Message(title, "\n\n".join(lines), severity, document)


def example() -> Message:
    """What the test of a channel sends."""
    told = EventView(
        id=0,
        kind="notifications.test",
        title="This is a test",
        phase="once",
        severity="info",
        environment="",
        subject="Somebody tries this channel. There is nothing to do.",
        at=clock.now(),
        link=f"{get_settings().public_url}/notifications",
    )
    return message([told])


def _title(each: EventView) -> str:
    over = "Over: " if each.phase == "over" else ""
    where = f" ({each.environment})" if each.environment else ""
    return f"{over}{each.title}{where}"


def _line(each: EventView) -> str:
    return f"{each.subject}\n{clock.to_the_second(each.at)}\n{each.link}"


def _link(row: Event) -> str:
    query = f"?{urlencode(row.query)}" if row.query else ""
    return f"{get_settings().public_url}/{row.page}{query}"
