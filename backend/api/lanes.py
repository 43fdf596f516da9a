"""How many requests are worked on at once; the others wait in order, without a thread.

Every request in work takes its share of the one interpreter from the pages that people look at, so
reads, which are quick, get few places. Requests that change something mostly wait for an outside
system, and a download for its reader: they get many. Neither can take the other's places, and a
room whose system hangs cannot take all the places of the reads.
"""

import asyncio
from collections import defaultdict
from contextlib import AsyncExitStack

from starlette.types import ASGIApp, Receive, Scope, Send

READS, READS_OF_A_ROOM = 8, 4
WRITES = 40
#: Threads for blocking work in this process: both lanes, and some for everything else.
THREADS = 64
_READING = ("GET", "HEAD", "OPTIONS")
_AT_ONCE = ("/healthz", "/api/healthz")


class Lanes:
    """Pure ASGI middleware around what really does the work."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._writes = asyncio.Semaphore(WRITES)
        self._reads = asyncio.Semaphore(READS)
        self._rooms: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(READS_OF_A_ROOM)
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with AsyncExitStack() as places:
            for lane in self._lanes(scope):
                await places.enter_async_context(lane)
            await self.app(scope, receive, send)

    def _lanes(self, scope: Scope) -> tuple[asyncio.Semaphore, ...]:
        """The room's first: who waits for that holds no place that others could use."""
        if scope["type"] != "http" or scope["path"] in _AT_ONCE:
            return ()
        if scope["method"] not in _READING or scope["path"].endswith(".csv"):
            return (self._writes,)
        return (self._rooms[_room(scope["path"])], self._reads)


def _room(path: str) -> str:
    """mounts of /api/mounts/7; what no room answers has one lane together."""
    parts = path.split("/")
    known = {"environments", "ingestion", "jobs", "mounts", "tokenization", "user-sync"}
    return parts[2] if len(parts) > 2 and parts[2] in known else ""
