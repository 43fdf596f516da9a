"""Who may do what, and which programs may, falls under the strictest policy it reaches."""

from collections.abc import Mapping
from typing import Any

from backend.changes import gate
from backend.core.access import Actor
from backend.core.database import WriteSession

ROLE, TOKEN = "accounts.role", "accounts.token"


def check(
    session: WriteSession,
    actor: Actor,
    action: str,
    verb: str,
    subject: str,
    *,
    parameters: Mapping[str, Any],
    shown: Mapping[str, Any],
    secrets: Mapping[str, Any] | None = None,
    only_in: tuple[int, ...] = (),
) -> None:
    """Go on, or wait for an approval (`gate.check`, which says what it raises).

    An account belongs to no environment, so the rules of all count; only_in: the numbers of those
    that a token is limited to.
    """
    intent = gate.Intent(
        action,
        "",
        subject,
        {"verb": verb, **parameters},
        shown,
        secrets=secrets or {},
        everywhere=True,
        only_in=only_in,
    )
    gate.check(session, actor, intent)
