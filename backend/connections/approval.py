"""What changes connections and their secrets falls under the environment's policy."""

from collections.abc import Mapping
from typing import Any

from backend.changes import gate, rules
from backend.core.access import Actor
from backend.core.database import WriteSession
from backend.models import Environment

CHANGE, SECRET = "connections.change", "connections.secret"
#: What an environment asks for beyond its own connections; deleting it drops that.
_BEYOND = ("accounts.role", "accounts.token")


def check(
    session: WriteSession,
    actor: Actor,
    row: Environment,
    verb: str,
    subject: str,
    *,
    parameters: Mapping[str, Any],
    shown: Mapping[str, Any],
    secrets: Mapping[str, Any] | None = None,
    details: Mapping[str, Any] | None = None,
    touches_secrets: bool = False,
) -> None:
    """Go on, or wait for an approval (`gate.check`, which says what it raises).

    verb: which service is called again by `changes.carry_out`. What sets or drops secrets falls
    under the rule of secrets and under that of connections.
    """
    intent = gate.Intent(
        SECRET if touches_secrets else CHANGE,
        row.name,
        subject,
        {"verb": verb, **parameters},
        shown,
        environment_id=row.id,
        secrets=secrets or {},
        details=details or {},
        also=(CHANGE,) if touches_secrets else (),
    )
    needed = _dropped(session, row) if verb == "delete" else 0
    gate.check(session, actor, intent, at_least=needed)


def _dropped(session: WriteSession, row: Environment) -> int:
    """To delete an environment weakens what it asks for beyond itself: under the old rule."""
    found = rules.of_environments(session, _BEYOND, (row.id,))
    return max((rule.approvers for rule in found if rule.mode == "approve"), default=0)
