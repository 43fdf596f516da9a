"""How many requests a caller may send: a bucket per API token, and per address without a good one.

Each process counts for itself, in memory: a limit against floods, not an account of use.
"""

import math
import time
from collections.abc import Callable

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.api.callers import FREE_PATHS, name_of
from backend.api.errors import body
from backend.core import forwarded
from backend.core.buckets import Buckets
from backend.core.log import new_reference

#: A scrape takes no place and asks no API token, but its own token may be guessed like any other.
_FREE = frozenset(FREE_PATHS) - {"/metrics"}


class RateLimit:
    """Pure ASGI middleware: 429 with Retry-After beyond `per_minute` requests; 0: no limit.

    The bucket is the API token's, known after authentication and whatever its header looked like;
    who shows no good one shares the bucket of the address.
    """

    def __init__(
        self, app: ASGIApp, *, per_minute: int, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.app = app
        self._per_minute = per_minute
        self._buckets = Buckets(at_once=per_minute, per_minute=per_minute, now=now)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._per_minute or scope["path"] in _FREE:
            await self.app(scope, receive, send)
            return
        wait = self._buckets.take(name_of(scope) or _address(scope))
        if wait:
            await self._refuse(wait, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _refuse(self, wait: float, scope: Scope, receive: Receive, send: Send) -> None:
        seconds = math.ceil(wait)
        sentence = (
            f"More than {self._per_minute} requests a minute came from this API token or address. "
            f"Wait {seconds} s, then send fewer at a time."
        )
        answer = JSONResponse(
            body("TooManyRequests", sentence, new_reference()),
            429,
            headers={"Retry-After": str(seconds)},
        )
        await answer(scope, receive, send)


def _address(scope: Scope) -> str:
    return f"address:{forwarded.network(scope['client'][0])}" if scope.get("client") else "address:"
