"""Websockets of strangers are few, small, unhurried and soon used; who is signed in is not counted.

Streamlit starts a session and runs the page for whoever opens its websocket. One without a live
session shows the sign-in form only: it takes a place of its address's and of everybody's, says
something soon, and sends small messages, no faster than people do. Where all places are taken the
longest open one goes, of the address that has most, so that who comes now always gets in.
"""

import asyncio
from collections import OrderedDict, defaultdict
from contextlib import suppress
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auth import attach, stopping
from backend.core import forwarded

#: Open at the same time: of one address (`forwarded.network`), and of all.
OF_AN_ADDRESS = 100
OF_ALL = 500
#: Younger ones are not ended for another: a crowd of one instant is told to wait.
GRACE = 1.0
FIRST_MESSAGE_SECONDS = 20.0
#: A form's fields are a few kB; Streamlit takes 25 MB.
MAX_MESSAGE = 256 * 1024
#: Messages and handshakes of an address's strangers: so many at once, then so many a second. Who
#: comes into a flood waits no longer than this.
AT_ONCE, A_SECOND, LONGEST_WAIT = 100, 10.0, 5.0
#: Addresses whose pace is remembered; the longest silent one is forgotten first.
_MOST_PACES = 10_000
#: After it a client that does not read its farewell is cut off.
_FAREWELL_SECONDS = 5.0
#: uvicorn's protocol of the connection, for what no ASGI message can say.
_PROTOCOL = "portal.protocol"
_TRY_AGAIN_LATER = 1013
CROWDED = "Too many people who are not signed in are here from this address. Load the page again."
SILENT = "Nothing was said. Load the page again."


class Strangers:
    """Pure ASGI middleware around Streamlit."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._of: defaultdict[str, dict[_Visit, None]] = defaultdict(dict)
        self._paces: OrderedDict[str, Pace] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket" or await attach.is_signed_in(Headers(scope=scope)):
            await self.app(scope, receive, send)
            return
        address = forwarded.network(scope["client"][0]) if scope.get("client") else ""
        if not self._make_room(address):
            await _refuse(receive, send)
            return
        visit = _Visit(scope.get(_PROTOCOL), self._pace(address), receive, send)
        self._of[address][visit] = None
        try:
            await visit.pace.keep()
            if not visit.over:
                await self.app(scope, visit.receive, visit.send)
        finally:
            visit.stop()
            self._of[address].pop(visit, None)
            if not self._of[address]:
                del self._of[address]

    def _make_room(self, address: str) -> bool:
        """Whether there is a place for one more; the oldest may have been ended for it."""
        crowd = address
        if len(self._of.get(address, ())) < OF_AN_ADDRESS:
            if sum(map(len, self._of.values())) < OF_ALL:
                return True
            crowd = max(self._of, key=lambda each: len(self._of[each]))
        oldest = next(iter(self._of[crowd]))
        if asyncio.get_running_loop().time() - oldest.since < GRACE:
            return False
        del self._of[crowd][oldest]
        if not self._of[crowd]:
            del self._of[crowd]
        oldest.end(CROWDED)
        return True

    def _pace(self, address: str) -> "Pace":
        pace = self._paces.setdefault(address, Pace())
        self._paces.move_to_end(address)
        if len(self._paces) > _MOST_PACES:
            self._paces.popitem(last=False)
        return pace


class Pace:
    """A steady rate with some at once (GCRA); who is faster waits, and TCP tells the client."""

    def __init__(self) -> None:
        self._free_at = 0.0

    def wait(self, now: float) -> float:
        """Seconds until the next one's turn, which is taken with that."""
        self._free_at = max(self._free_at, now - (AT_ONCE - 1) / A_SECOND)
        wait = min(max(0.0, self._free_at - now), LONGEST_WAIT)
        self._free_at = min(self._free_at, now + LONGEST_WAIT) + 1 / A_SECOND
        return wait

    async def keep(self) -> None:
        wait = self.wait(asyncio.get_running_loop().time())
        if wait:
            await asyncio.sleep(wait)


class _Visit:
    """One open websocket of a stranger. since: the loop's time."""

    def __init__(self, protocol: Any, pace: Pace, receive: Receive, send: Send) -> None:
        self._protocol, self.pace = protocol, pace
        self._receive, self._send = receive, send
        self._loop = asyncio.get_running_loop()
        self.since, self.over = self._loop.time(), False
        self._farewell: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(FIRST_MESSAGE_SECONDS, self.end, SILENT)
        if protocol is not None:
            protocol.conn.max_message_size = MAX_MESSAGE

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "websocket.receive":
            self._timer.cancel()
            await self.pace.keep()
        return message

    async def send(self, message: Message) -> None:
        if not self.over:
            await self._send(message)
        elif message["type"] == "websocket.send":
            raise OSError("The websocket was ended.")  # Starlette's word for a client that went

    def end(self, reason: str) -> None:
        self.over = True
        self._timer.cancel()
        self._farewell = self._loop.create_task(self._say_farewell(reason))
        if self._protocol is not None:  # what is not read would keep it open for ever
            self._loop.call_later(_FAREWELL_SECONDS, self._protocol.transport.abort)

    async def _say_farewell(self, reason: str) -> None:
        with suppress(OSError, RuntimeError):  # the client, or the page, ended it just now
            await self._send(
                {"type": "websocket.close", "code": _TRY_AGAIN_LATER, "reason": reason}
            )

    def stop(self) -> None:
        self._timer.cancel()


async def _refuse(receive: Receive, send: Send) -> None:
    """Answer the handshake with 429 and the sentence."""
    await receive()
    text = CROWDED.encode()
    headers = [(b"content-type", b"text/plain"), (b"retry-after", b"2")]
    await send({"type": "websocket.http.response.start", "status": 429, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": text})


def telling(protocol: Any) -> Any:
    """uvicorn's websocket protocol, found in the scope of what it serves."""

    class Telling(protocol):
        async def run_asgi(self) -> None:
            self.scope[_PROTOCOL] = self
            await super().run_asgi()

    return Telling


if stopping.SERVER is not None:
    config = stopping.SERVER.config
    config.ws_protocol_class = telling(config.ws_protocol_class)
