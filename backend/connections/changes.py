"""How approved changes of connections are carried out."""

from typing import Any

from backend.changes.actions import Action, Begun, End
from backend.connections import approval, environments, service
from backend.core import access
from backend.core.access import Actor, Permission
from backend.core.database import Database, WriteSession

_WRITE = Permission.CONNECTIONS_WRITE


def carry_out(
    database: Database, actor: Actor, *, environment: str, parameters: dict[str, Any]
) -> Begun:
    """Call the service again that was asked; it needs its own permission, too."""
    access.require(actor, _WRITE)
    verb = parameters.pop("verb")
    with database.write() as session:
        if verb in _ON_CONNECTIONS:
            _ON_CONNECTIONS[verb](session, actor, environment=environment, **parameters)
        elif verb == "trust":
            environments.set_trust(session, actor, name=environment, **parameters)
        else:
            _delete(session, actor, environment)
    return Begun(end=End("succeeded"))


def _delete(session: WriteSession, actor: Actor, name: str) -> None:
    access.require(actor, Permission.ENVIRONMENTS_WRITE)
    environments.remove(session, actor, name=name, confirm_name=name)


_ON_CONNECTIONS: dict[str, Any] = {"save": service.save, "remove": service.remove}

ACTIONS = (
    Action(approval.CHANGE, "Change connections", _WRITE, carry_out),
    Action(approval.SECRET, "Change secrets of connections", _WRITE, carry_out),
)
