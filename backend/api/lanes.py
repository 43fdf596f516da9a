"""How many requests are worked on at once; the others wait in order, without a thread.

Every request in work takes its share of the one interpreter from the pages that people look at, so
reads, which are quick, get few places. Requests that change something mostly wait for an outside
system, and a download for its reader: they get many. Neither can take the other's places, and a
room whose system hangs cannot take all the places of the reads.
"""

import asyncio
from collections import defaultdict
from contextlib import AsyncExitStack
from weakref import WeakValueDictionary

from starlette.types import ASGIApp, Receive, Scope, Send

from backend.api.callers import FREE_PATHS, READING, name_of

READS, READS_OF_A_ROOM = 8, 4
WRITES = 40
#: Of the writes, what one API token may hold: half, so that another always gets on.
WRITES_OF_A_TOKEN = 20
_ROOMS = frozenset(
    (
        "accounts",
        "audit",
        "environments",
        "ingestion",
        "jobs",
        "mounts",
        "tokenization",
        "user-sync",
    )
)
#: Threads for blocking work in this process: both lanes, and some for everything else.
THREADS = 64


class Lanes:
    """Pure ASGI middleware around what really does the work."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._writes = asyncio.Semaphore(WRITES)
        self._reads = asyncio.Semaphore(READS)
        # a token's place goes when nobody holds or awaits it, so strangers' names cost no memory
        self._tokens: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._rooms: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(READS_OF_A_ROOM)
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with AsyncExitStack() as places:
            for lane in self._lanes(scope):
                await places.enter_async_context(lane)
            await self.app(scope, receive, send)

    def _lanes(self, scope: Scope) -> tuple[asyncio.Semaphore, ...]:
        """The room's or the token's first: who waits there holds no place that others could use."""
        if scope["type"] != "http" or scope["path"] in FREE_PATHS:
            return ()
        if scope["method"] not in READING or scope["path"].endswith(".csv"):
            name = name_of(scope)
            own = self._tokens.get(name) or asyncio.Semaphore(WRITES_OF_A_TOKEN)
            self._tokens[name] = own
            return (own, self._writes) if name else (self._writes,)
        return (self._rooms[_room(scope["path"])], self._reads)


def _room(path: str) -> str:
    """mounts of /api/mounts/7; what no room answers has one lane together."""
    parts = path.split("/")
    return parts[2] if len(parts) > 2 and parts[2] in _ROOMS else ""
