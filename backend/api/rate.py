"""How many requests a caller may send: a bucket per API token, and per address without a good one.

Each process counts for itself, in memory: a limit against floods, not an account of use.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.api.callers import FREE_PATHS, name_of
from backend.api.errors import body
from backend.core import forwarded
from backend.core.log import new_reference

#: A scrape takes no place and asks no API token, but its own token may be guessed like any other.
_FREE = frozenset(FREE_PATHS) - {"/metrics"}
#: Callers remembered; the longest silent one is forgotten first.
MAX_CALLERS = 10_000


@dataclass
class _Bucket:
    left: float
    at: float


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
        self._now = now
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._per_minute or scope["path"] in _FREE:
            await self.app(scope, receive, send)
            return
        wait = self._take(name_of(scope) or _address(scope))
        if wait:
            await self._refuse(wait, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _take(self, caller: str) -> float:
        """Seconds to wait, 0.0 when there was one left to take."""
        now, rate = self._now(), self._per_minute / 60
        bucket = self._remember(caller)
        bucket.left = min(self._per_minute, bucket.left + (now - bucket.at) * rate)
        bucket.at = now
        if bucket.left < 1:
            return (1 - bucket.left) / rate
        bucket.left -= 1
        return 0.0

    def _remember(self, caller: str) -> _Bucket:
        bucket = self._buckets.setdefault(caller, _Bucket(self._per_minute, self._now()))
        self._buckets.move_to_end(caller)
        if len(self._buckets) > MAX_CALLERS:
            self._buckets.popitem(last=False)
        return bucket

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
