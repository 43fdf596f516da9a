"""`python -m backend notifications`: channels, what was sent, and what happened."""

from typing import Annotated, Any

import typer

from backend.cli import common as cli
from backend.cli.common import Json, Yes, emit, new_app
from backend.notifications import channels, inbox
from backend.notifications.schemas import ChannelView

app = new_app("Notifications: where messages go, what was sent, what happened.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of the channel.")]
Account = Annotated[
    str, typer.Option("--account", help="The channels of this account, not the portal's.")
]
Limit = Annotated[int, typer.Option(min=1, max=inbox.MAX_PAGE, help="At most so many.")]
Cursor = Annotated[int | None, typer.Option(help="next_cursor of the page before.")]


@app.command("list")
def list_channels(account: Account = "", json: Json = False) -> None:
    """The portal's channels, or an account's."""
    found = cli.read(channels.list_channels, **_of(account))
    rows = [
        [each.name, each.shown, each.environment or "all", _kinds(each), _state(each)]
        for each in found
    ]
    text = cli.table(["Channel", "Address", "Environment", "Events", "State"], rows)
    emit({"items": found}, json, text if rows else "No channel.")


@app.command("kinds")
def list_kinds(json: Json = False) -> None:
    """The kinds of events that a channel can ask for."""
    found = cli.read(channels.kinds)
    rows = [[each.name, each.title, each.severity] for each in found]
    emit({"items": found}, json, cli.table(["Event", "What", "Severity"], rows))


@app.command("add")
def add(
    name: Name,
    environment: Annotated[str, typer.Option(help="Only events of this environment.")] = "",
    event: Annotated[
        list[str] | None, typer.Option(help="Only this kind; may be given more often.")
    ] = None,
    quiet: Annotated[str, typer.Option(help="Only errors then, UTC: mon-sun 20:00-07:00.")] = "",
    digest: Annotated[str, typer.Option(help="hourly or daily: gather what is not urgent.")] = "",
    account: Account = "",
    json: Json = False,
) -> None:
    """Add a channel; its address is read from stdin, because it holds secrets.

    https://… is a signed webhook; slack://…, mailtos://… and others are Apprise's addresses.
    """
    address = cli.read_secret("address")
    with cli.unit_write() as (session, actor):
        view = channels.add(
            session,
            actor,
            name=name,
            address=address,
            environment=environment,
            kinds=event or (),
            quiet=quiet,
            digest=digest,  # type: ignore[arg-type]  # the service says what it takes
            **_of(account),
        )
    key = f" It signs with the key {view.signing_key}" if view.signing_key else ""
    emit(view, json, f"Channel {view.name} sends to {view.shown}.{key}")


@app.command("test")
def send_test(name: Name, account: Account = "", json: Json = False) -> None:
    """Send a test message now."""
    cli.call(channels.send_test, name=name, **_of(account))
    emit({"channel": name, "status": "sent"}, json, f"Channel {name} took the test message.")


@app.command("enable")
def enable(name: Name, account: Account = "", json: Json = False) -> None:
    """Let a channel go on; what happened meanwhile is not sent."""
    _switch(name, True, account, json)


@app.command("disable")
def disable(name: Name, account: Account = "", json: Json = False) -> None:
    """Stop a channel for a while."""
    _switch(name, False, account, json)


@app.command("remove")
def remove(name: Name, account: Account = "", yes: Yes = False, json: Json = False) -> None:
    """Remove a channel with what waits for it."""
    cli.confirm(f"Remove the channel {name}?", yes=yes)
    cli.write(channels.remove, name=name, **_of(account))
    emit({"channel": name, "status": "removed"}, json, f"Channel {name} is removed.")


@app.command("deliveries")
def deliveries(limit: Limit = 50, cursor: Cursor = None, json: Json = False) -> None:
    """What was sent, waits or was given up, newest first."""
    page = cli.read(inbox.deliveries, limit=limit, cursor=cursor)
    rows = [
        [each.id, each.status, each.channel, each.event.title, each.event.subject, each.error]
        for each in page.items
    ]
    text = cli.table(["Delivery", "State", "Channel", "Event", "About", "Error"], rows)
    emit(page, json, (text + cli.more(page.next_cursor)) if rows else "Nothing was sent.")


@app.command("inbox")
def show_inbox(limit: Limit = 50, cursor: Cursor = None, json: Json = False) -> None:
    """What happened, newest first."""
    page = cli.read(inbox.inbox, limit=limit, cursor=cursor)
    rows = [[each.at, each.phase, each.title, each.subject, each.link] for each in page.items]
    text = cli.table(["When", "Phase", "What", "About", "Link"], rows)
    emit(page, json, (text + cli.more(page.next_cursor)) if rows else "Nothing happened.")


def _switch(name: str, enabled: bool, account: str, json: bool) -> None:
    view = cli.write(channels.set_enabled, name=name, enabled=enabled, **_of(account))
    emit(view, json, f"Channel {view.name}: {_state(view)}.")


def _of(account: str) -> dict[str, Any]:
    return {"personal": bool(account), "account": account}


def _kinds(view: ChannelView) -> str:
    return ", ".join(view.kinds) or "all"


def _state(view: ChannelView) -> str:
    state = "on" if view.enabled else "off"
    return f"{state}, last try failed: {view.problem}" if view.problem else state
