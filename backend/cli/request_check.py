"""`doctor --through URL`: a request over the proxy, and what the portal says it believes of it."""

import httpx
from pydantic import ValidationError

from backend.accounts import api_tokens
from backend.cli import common
from backend.core.access import Permission
from backend.core.errors import InvalidInput, UpstreamError, UpstreamUnavailable
from backend.core.forwarded import RequestView

SYSTEM = "Portal"
DEADLINE_SECONDS = 15


def through(url: str) -> RequestView:
    """Ask the portal behind `url` with a token made for this one request.

    Raises InvalidInput, UpstreamUnavailable when nothing answers, UpstreamError when what answers
    is not this portal.
    """
    if not url.startswith(("http://", "https://")):
        raise InvalidInput("--through takes the portal's address, https://portal.example.org.")
    with common.unit_write() as (session, actor):
        made = api_tokens.add(
            session,
            actor,
            name="doctor --through",
            role="auditor",
            days=1,
            actions=[Permission.ACCOUNTS_READ],
        )
    try:
        return _asked(f"{url.rstrip('/')}/api/request", made.raw)
    finally:
        with common.unit_write() as (session, actor):
            api_tokens.revoke(session, actor, token_id=made.view.id)


def _asked(address: str, token: str) -> RequestView:
    try:
        answer = httpx.get(
            address, headers={"Authorization": f"Bearer {token}"}, timeout=DEADLINE_SECONDS
        )
    except httpx.HTTPError as exc:
        raise UpstreamUnavailable(
            SYSTEM, f"{address} does not answer ({exc})", "Look at the proxy and the network."
        ) from exc
    if answer.status_code != 200:
        raise UpstreamError(
            SYSTEM,
            f"{address} answered {answer.status_code}",
            "Something else answers there, or a portal with another state.",
        )
    try:
        return RequestView.model_validate_json(answer.content)
    except ValidationError as exc:
        raise UpstreamError(
            SYSTEM, f"{address} is not this portal", "Something else answers there."
        ) from exc
