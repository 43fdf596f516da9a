"""Channels, deliveries and events over REST."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from backend.api.deps import Caller, Reader, State, Writer
from backend.notifications import channels, inbox
from backend.notifications.schemas import (
    ChannelView,
    DeliveryPage,
    Digest,
    Inbox,
    KindView,
    NewChannel,
)

router = APIRouter(tags=["notifications"])

Name = Annotated[str, Path(min_length=1, max_length=80)]
Limit = Annotated[int, Query(ge=1, le=inbox.MAX_PAGE)]
Cursor = Annotated[int | None, Query(ge=1, le=2**53)]
Personal = Annotated[
    bool, Query(description="Those of the account that made this token, not the portal's.")
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Channel(_Body):
    """address: https://… for a signed webhook, or one of Apprise's; it is never shown again.
    personal: it tells the account that made this token what concerns them."""

    name: str = Field(min_length=1, max_length=80)
    address: str = Field(min_length=1, max_length=channels.MAX_ADDRESS)
    personal: bool = False
    environment: str = Field(default="", max_length=80)
    kinds: list[Annotated[str, Field(max_length=60)]] = Field(default=[], max_length=100)
    quiet: str = Field(default="", max_length=60)
    digest: Digest = ""


class Switch(_Body):
    enabled: bool


class Channels(BaseModel):
    items: list[ChannelView]


class Kinds(BaseModel):
    items: list[KindView]


class Tested(BaseModel):
    channel: str
    status: str


@router.get("/notifications/kinds")
def list_kinds(session: Reader, caller: Caller) -> Kinds:
    """The kinds of events that this token's role may be told of."""
    return Kinds(items=list(channels.kinds(session, caller)))


@router.get("/notifications/channels")
def list_channels(session: Reader, caller: Caller, personal: Personal = False) -> Channels:
    """The portal's channels, or a person's, without their addresses."""
    return Channels(items=list(channels.list_channels(session, caller, personal=personal)))


@router.post("/notifications/channels", status_code=201)
def add_channel(session: Writer, caller: Caller, body: Channel) -> NewChannel:
    """Add a channel. `signing_key` of a webhook is in this answer and nowhere else."""
    return channels.add(session, caller, **body.model_dump())


@router.put("/notifications/channels/{name}/enabled")
def switch_channel(
    session: Writer, caller: Caller, name: Name, body: Switch, personal: Personal = False
) -> ChannelView:
    """Stop a channel for a while, or let it go on."""
    return channels.set_enabled(session, caller, name=name, enabled=body.enabled, personal=personal)


@router.post("/notifications/channels/{name}/test")
def send_test(database: State, caller: Caller, name: Name, personal: Personal = False) -> Tested:
    """Send a test message now; 502 to 504 with the reason when it is not taken."""
    channels.send_test(database, caller, name=name, personal=personal)
    return Tested(channel=name, status="sent")


@router.delete("/notifications/channels/{name}", status_code=204, response_class=Response)
def remove_channel(session: Writer, caller: Caller, name: Name, personal: Personal = False) -> None:
    """Remove a channel with what waits for it."""
    channels.remove(session, caller, name=name, personal=personal)


@router.get("/notifications/deliveries")
def list_deliveries(
    session: Reader, caller: Caller, limit: Limit = 50, cursor: Cursor = None
) -> DeliveryPage:
    """What was sent, waits or was given up, newest first."""
    return inbox.deliveries(session, caller, limit=limit, cursor=cursor)


@router.get("/notifications/events")
def list_events(session: Reader, caller: Caller, limit: Limit = 50, cursor: Cursor = None) -> Inbox:
    """What happened, newest first, as far as this token's role may be told."""
    return inbox.inbox(session, caller, limit=limit, cursor=cursor)
