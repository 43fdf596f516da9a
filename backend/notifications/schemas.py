"""What notifications hand out."""

from datetime import datetime
from typing import Literal

from backend.core.views import View

Digest = Literal["", "hourly", "daily"]


class KindView(View):
    """A kind of event. title: the first line of its messages."""

    name: str
    title: str
    severity: str


class ChannelView(View):
    """Where messages go, without the address. kinds: of events, () for all. environment: "" for
    all. personal: it gets only what concerns its owner. shown: the address as people may see it.
    quiet: the window in which only errors are sent. digest: how often the rest of what is not
    urgent is sent together. problem: why the last try failed, "" when it did not."""

    id: int
    name: str
    personal: bool
    environment: str
    kinds: tuple[str, ...]
    service: str
    shown: str
    quiet: str
    digest: Digest
    enabled: bool
    created_at: datetime
    created_by: str
    waiting: int
    problem: str


class NewChannel(ChannelView):
    """signing_key: of a webhook, shown this once."""

    signing_key: str = ""


class EventView(View):
    """One thing to tell. phase: once, raised (it lasts) or over. link: where to act on it."""

    id: int
    kind: str
    title: str
    phase: str
    severity: str
    environment: str
    subject: str
    at: datetime
    link: str
    unread: bool = False


class Inbox(View):
    """items: newest first. unread: at most 100, which means "more"."""

    items: tuple[EventView, ...]
    unread: int
    next_cursor: int | None


class DeliveryView(View):
    """One message to one channel. status: waiting, sent, failed or dropped."""

    id: int
    channel: str
    event: EventView
    status: str
    attempts: int
    due_at: datetime
    sent_at: datetime | None
    error: str


class DeliveryPage(View):
    """items: newest first."""

    items: tuple[DeliveryView, ...]
    next_cursor: int | None


class AlertView(View):
    """An alert of the Overview. key: names it as long as it says the same. page, query: where
    something can be done about it. seen: whether the person who asks has put it aside."""

    key: str
    severity: str
    text: str
    page: str
    query: dict[str, str]
    since: datetime | None
    seen: bool


class AlertList(View):
    """items: the worst and newest first, at most 50. rest: a sentence on what they leave out, ""
    for nothing."""

    items: tuple[AlertView, ...]
    rest: str = ""
