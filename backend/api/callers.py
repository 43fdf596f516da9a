"""Who asks is known from the headers alone, before a body is read and a place is taken.

`caller_of(scope)` gives the actor to whatever comes after; a stranger's body is taken by nobody.
"""

import asyncio
from typing import cast

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.api.errors import refusal
from backend.core import access
from backend.core.access import Actor
from backend.core.database import get_database
from backend.core.errors import NotAuthenticated, PortalError
from backend.core.words import COMMAND

#: Load balancers ask often, and the answer costs next to nothing.
FREE_PATHS = ("/healthz", "/api/healthz", "/readyz", "/api/readyz", "/metrics")
READING = ("GET", "HEAD", "OPTIONS")
#: Tokens looked up in the database at the same time, so that guesses take few threads.
_LOOKUPS = 8
_FOUND = "portal.caller"


class Callers:
    """Pure ASGI middleware: looks the token up; 401 for a write without a good one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._lookups = asyncio.Semaphore(_LOOKUPS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in FREE_PATHS:
            found = scope[_FOUND] = await self._found(scope)
            # the endpoints' threads are given a copy of this task's context
            access.limit_environments(found if isinstance(found, Actor) else None)
        await self.app(scope, receive, send)

    async def _found(self, scope: Scope) -> Actor | PortalError:
        raw = _token(scope)
        if not raw:
            return NotAuthenticated(_MISSING)
        async with self._lookups:
            client = scope.get("client")
            return await run_in_threadpool(_authenticated, raw, client[0] if client else "")


class StrangersWriteNothing:
    """401 before the body of a write is taken. Behind the rate limit, which counts them too."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = scope.get(_FOUND)
        if isinstance(found, PortalError) and scope["method"] not in READING:
            await refusal(scope["path"], found)(scope, receive, send)
            return
        await self.app(scope, receive, send)


def caller_of(scope: Scope) -> Actor:
    """The actor behind the request's token; raises what the lookup said."""
    found = scope.get(_FOUND)
    if isinstance(found, PortalError):
        raise found
    return cast("Actor", found)


def name_of(scope: Scope) -> str:
    """One name per API token, however it was spelt; "" for a stranger."""
    found = scope.get(_FOUND)
    return f"token:{found.id}" if isinstance(found, Actor) else ""


_MISSING = (
    "Send the header Authorization with the word Bearer, a space and an API token. An admin makes "
    f"one on the Accounts page or with: {COMMAND} tokens add NAME --role ROLE."
)


def _token(scope: Scope) -> str:
    scheme, _, raw = Headers(scope=scope).get("authorization", "").strip().partition(" ")
    return raw.strip() if scheme.lower() == "bearer" else ""


def _authenticated(raw: str, address: str) -> Actor | PortalError:
    from backend.accounts import api_tokens

    try:
        return get_database().ask(api_tokens.authenticate, raw, address=address)
    except PortalError as exc:
        return exc
