"""How approved changes of accounts and API tokens are carried out."""

from typing import Any

from backend.accounts import api_tokens, approval, lifecycle, service
from backend.changes.actions import Action, Begun, End
from backend.core import access
from backend.core.access import Actor, Permission
from backend.core.database import Database


def change_account(
    database: Database,
    actor: Actor,
    *,
    environment: str,  # noqa: ARG001 - CarryOut's; an account belongs to none
    parameters: dict[str, Any],
) -> Begun:
    """Call the service again that was asked."""
    access.require(actor, Permission.ACCOUNTS_WRITE)
    called = _ON_ACCOUNTS[parameters.pop("verb")]
    database.change(called, actor, **parameters)
    return Begun(end=End("succeeded"))


def add_token(
    database: Database,
    actor: Actor,
    *,
    environment: str,  # noqa: ARG001 - CarryOut's; a token belongs to none
    parameters: dict[str, Any],
) -> Begun:
    """Make the token whose hash was kept."""
    access.require(actor, Permission.API_TOKENS_WRITE)
    parameters.pop("verb")
    database.change(api_tokens.insert, actor, **parameters)
    return Begun(end=End("succeeded"))


_ON_ACCOUNTS: dict[str, Any] = {
    "create": service.insert,
    "role": service.set_role,
    "enable": service.set_disabled,
    "password": service.set_password,
    "link": lifecycle.link,
    "merge": lifecycle.merge,
    "second_factor": service.reset_second_factor,
}

ACTIONS = (
    Action(approval.ROLE, "Change accounts and roles", Permission.ACCOUNTS_WRITE, change_account),
    Action(approval.TOKEN, "Make an API token", Permission.API_TOKENS_WRITE, add_token),
)
