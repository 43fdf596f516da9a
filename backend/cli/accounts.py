"""`python -m backend accounts` and `python -m backend tokens`."""

import sys
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

from backend.accounts import api_tokens, emergency, lifecycle, service
from backend.cli import common as cli
from backend.cli.common import Json, Yes, new_app
from backend.core import clock, role_words
from backend.core.access import Actor, Role
from backend.core.database import WriteSession
from backend.core.errors import InvalidInput
from backend.core.settings import get_settings

T = TypeVar("T")

app = new_app("Accounts: who may sign in, with which role.")
tokens_app = new_app("API tokens.")
app.add_typer(tokens_app, name="tokens")

RoleName = Annotated[
    str, typer.Option("--role", help="viewer, steward, operator, auditor or admin.")
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The account's name.")]
RevokeTokens = Annotated[
    bool, typer.Option("--revoke-tokens", help="End the API tokens that it made, too.")
]


@app.command("add")
@cli.may_wait
def add(name: Name, role: RoleName, as_json: Json = False) -> None:
    """Make an account; its password is read from stdin."""
    password = _new_password()
    view = cli.write(service.create, name=name, role=role, password=password)
    cli.emit(view, as_json, f"Account {view.name} was made with the role {view.role}.")


@app.command("list")
def list_(
    part: Annotated[str, typer.Option("--name", help="Only names that hold this.")] = "",
    limit: Annotated[
        int, typer.Option(min=1, max=service.MAX_PAGE, help="At most so many.")
    ] = service.MAX_PAGE,
    cursor: Annotated[str, typer.Option(help="next_cursor of the page before.")] = "",
    as_json: Json = False,
) -> None:
    """Accounts by name, with role, last sign-in and live sessions."""
    page = cli.read(service.list_accounts, part=part, cursor=cursor, limit=limit)
    rows = [
        [
            view.name,
            view.role.value,
            "disabled" if view.disabled else "enabled",
            view.last_sign_in_at or "never",
            view.live_sessions,
            "on" if view.second_factor else "off",
        ]
        for view in page.items
    ]
    text = cli.table(["NAME", "ROLE", "STATE", "LAST SIGN-IN", "SESSIONS", "SECOND FACTOR"], rows)
    cli.emit(page, as_json, text + cli.more(page.next_cursor))


@app.command("roles")
def roles(as_json: Json = False) -> None:
    """What each role may do."""
    found = role_words.list_abilities(cli.actor())
    rows = [
        [each.area, each.words, *("yes" if role in each.roles else "" for role in Role)]
        for each in found
    ]
    cli.emit({"items": found}, as_json, cli.table(["AREA", "WHAT", *map(str.upper, Role)], rows))


@app.command("disable")
def disable(name: Name, revoke_tokens: RevokeTokens = False, as_json: Json = False) -> None:
    """Disable an account and end its sessions at once."""
    _set_disabled(name, disabled=True, revoke_tokens=revoke_tokens, as_json=as_json)


@app.command("enable")
@cli.may_wait
def enable(name: Name, as_json: Json = False) -> None:
    """Enable an account again."""
    _set_disabled(name, disabled=False, as_json=as_json)


@app.command("role")
@cli.may_wait
def role_(
    name: Name,
    role: Annotated[
        str, typer.Argument(metavar="ROLE", help="viewer, steward, operator, auditor or admin.")
    ],
    as_json: Json = False,
) -> None:
    """Give an account another role."""
    view = _change(name, service.set_role, role=role)
    cli.emit(view, as_json, f"Account {view.name} has the role {view.role} now.")


@app.command("reset-password")
@cli.may_wait
def reset_password(name: Name) -> None:
    """Give an account a random password, printed alone on the last line; ends its sessions."""
    made = _change(name, service.reset_password)
    typer.echo(f"The new password of {made.account.name}, shown only this once:", err=True)
    cli.say(made.raw)


@app.command("reset-second-factor")
@cli.may_wait
def reset_second_factor(name: Name, as_json: Json = False) -> None:
    """Remove an account's second factor (app and recovery codes lost); ends its sessions."""
    view = _change(name, service.reset_second_factor)
    cli.emit(view, as_json, f"The second factor of {view.name} is removed.")


@app.command("break-glass")
def break_glass(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name it gets.")] = "break-glass",
    hours: Annotated[
        int, typer.Option(min=1, max=emergency.MAX_HOURS, help="How long the password serves.")
    ] = emergency.DEFAULT_HOURS,
) -> None:
    """An admin who signs in by password although local passwords are off, for a few hours.

    Its new password is printed alone on the last line."""
    made = cli.write(emergency.open_account, name=name, hours=hours)
    until = clock.to_the_second(made.until)
    typer.echo(f"{made.account.name} is an admin until {until}. Sign in at:", err=True)
    typer.echo(f"  {get_settings().public_url}/?emergency=1", err=True)
    cli.say(made.raw)


@app.command("rename")
def rename(
    name: Name,
    new: Annotated[str, typer.Argument(metavar="NEW", help="The new name.")],
    as_json: Json = False,
) -> None:
    """Give an account another name; it then no longer follows the identity provider."""
    view = _change(name, lifecycle.rename, name=new)
    cli.emit(view, as_json, f"The account is named {view.name} now.")


@app.command("link")
@cli.may_wait
def link(
    name: Name,
    issuer: Annotated[str, typer.Option(help="The address the provider names itself by (iss).")],
    subject: Annotated[str, typer.Option(help="The person's claim sub.")],
    as_json: Json = False,
) -> None:
    """Let a person of an identity provider open an account."""
    view = _change(name, lifecycle.link, issuer=issuer, subject=subject)
    cli.emit(view, as_json, f"Account {view.name} is linked to a person of {issuer}.")


@app.command("identities")
def identities(name: Name, as_json: Json = False) -> None:
    """The people at identity providers whose sign-in opens an account."""
    with cli.unit_read() as (session, actor):
        view = service.get_by_name(session, actor, name=name)
        found = lifecycle.list_identities(session, actor, account_id=view.id)
    rows = [[one.id, one.issuer or "not known yet", one.created_at] for one in found]
    cli.emit({"items": found}, as_json, cli.table(["ID", "ISSUER", "SINCE"], rows))


@app.command("unlink")
def unlink(
    name: Name,
    identity_id: Annotated[
        int, typer.Argument(metavar="ID", help="The number that `accounts identities` shows.")
    ],
    as_json: Json = False,
) -> None:
    """Take an identity from an account and end its sessions."""
    view = _change(name, lifecycle.unlink, identity_id=identity_id)
    cli.emit(view, as_json, f"Account {view.name} is opened by one identity less.")


@app.command("merge")
@cli.may_wait
def merge(
    name: Name,
    into: Annotated[str, typer.Argument(metavar="INTO", help="The account that goes on.")],
    as_json: Json = False,
) -> None:
    """Make one account of two of the same person; the first ends."""
    with cli.unit_write() as (session, actor):
        view = service.get_by_name(session, actor, name=name)
        target = lifecycle.merge(
            session, actor, account_id=view.id, into=into, version=view.version
        )
    cli.emit(target, as_json, f"Account {view.name} went into {target.name}.")


@app.command("delete")
def delete(
    name: Name, revoke_tokens: RevokeTokens = False, yes: Yes = False, as_json: Json = False
) -> None:
    """Delete an account and end its sessions; its name is free afterwards."""
    with cli.unit_write() as (session, actor):
        view = service.get_by_name(session, actor, name=name)
        cli.confirm(f"Delete the account {view.name}?", yes=yes)
        view = lifecycle.delete(
            session,
            actor,
            account_id=view.id,
            version=view.version,
            revoke_tokens=revoke_tokens,
        )
        left = _left(session, actor, view.id)
    cli.emit(view, as_json, f"Account {view.name} is deleted.{left}")


@tokens_app.command("add")
@cli.may_wait
def add_token(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the token is for.")],
    role: RoleName,
    days: Annotated[
        int, typer.Option("--days", min=1, max=api_tokens.MAX_DAYS, help="Valid for so many days.")
    ] = api_tokens.DEFAULT_DAYS,
    action: Annotated[
        list[str] | None,
        typer.Option(
            "--action", help="Only this action, or area such as tokenization; repeatable."
        ),
    ] = None,
    environment: Annotated[
        list[str] | None,
        typer.Option("--environment", help="Only in this environment; repeatable."),
    ] = None,
    ask_only: Annotated[
        bool, typer.Option("--ask-only", help="What it asks for waits for a person's approval.")
    ] = False,
) -> None:
    """Make an API token and print it alone on the last line; it is shown only this once."""
    made = cli.write(
        api_tokens.add,
        name=name,
        role=role,
        days=days,
        actions=action or (),
        environments=environment or (),
        ask_only=ask_only,
    )
    ends = clock.to_the_second(made.view.expires_at)
    typer.echo(
        f"API token {made.view.name} with the role {made.view.role}, until {ends}:", err=True
    )
    cli.say(made.raw)


@tokens_app.command("list")
def list_tokens(
    made_by: Annotated[
        str, typer.Option("--made-by", metavar="ACCOUNT", help="Only those that it made.")
    ] = "",
    limit: Annotated[
        int, typer.Option(min=1, max=api_tokens.MAX_PAGE, help="At most so many.")
    ] = api_tokens.MAX_PAGE,
    cursor: Annotated[int | None, typer.Option(help="next_cursor of the page before.")] = None,
    as_json: Json = False,
) -> None:
    """API tokens, newest first, without the token itself."""
    with cli.unit_read() as (session, actor):
        maker = service.get_by_name(session, actor, name=made_by).id if made_by else None
        page = api_tokens.list_tokens(session, actor, account_id=maker, cursor=cursor, limit=limit)
    rows = [
        [
            view.id,
            view.name,
            view.role.value,
            view.state,
            view.expires_at or "never",
            view.last_used_at or "never",
            view.last_address,
            ", ".join(["ask only"] * view.ask_only + view.actions) or "all",
            ", ".join(view.environments) or "all",
            view.made_by,
        ]
        for view in page.items
    ]
    headers = [
        "ID",
        "NAME",
        "ROLE",
        "STATE",
        "ENDS",
        "LAST USED",
        "FROM",
        "ACTIONS",
        "ENVIRONMENTS",
        "MADE BY",
    ]
    text = cli.table(headers, rows)
    cli.emit(page, as_json, text + cli.more(page.next_cursor))


@tokens_app.command("revoke")
def revoke_token(
    token_id: Annotated[int, typer.Argument(metavar="ID", help="The number `tokens list` shows.")],
) -> None:
    """End an API token at once and for good."""
    view = cli.write(api_tokens.revoke, token_id=token_id)
    cli.say(f"API token {view.name} is revoked.")


def _change(account: str, change: Callable[..., T], **arguments: Any) -> T:
    """What `change` makes of the account of that name, as it is now."""
    now = cli.read(service.get_by_name, name=account)
    return cli.write(change, account_id=now.id, version=now.version, **arguments)


def _set_disabled(name: str, *, disabled: bool, as_json: bool, revoke_tokens: bool = False) -> None:
    with cli.unit_write() as (session, actor):
        view = service.get_by_name(session, actor, name=name)
        view = service.set_disabled(
            session,
            actor,
            account_id=view.id,
            disabled=disabled,
            version=view.version,
            revoke_tokens=revoke_tokens,
        )
        left = _left(session, actor, view.id) if disabled else ""
    word = "disabled" if view.disabled else "enabled"
    cli.emit(view, as_json, f"Account {view.name} is {word}.{left}")


def _left(session: WriteSession, actor: Actor, account_id: int) -> str:
    """A line that names the tokens which an account leaves behind, "" for none."""
    page = api_tokens.list_tokens(session, actor, account_id=account_id)
    valid = [f"{view.name} (ID {view.id})" for view in page.items if view.state == "valid"]
    if not valid:
        return ""
    return f"\nAPI tokens that it made go on: {', '.join(valid)}. `tokens revoke ID` ends one."


def _new_password() -> str:
    password = cli.read_secret("password")
    if sys.stdin.isatty() and cli.read_secret("password once more") != password:
        raise InvalidInput("The two passwords differ. Nothing was done.")
    return password
