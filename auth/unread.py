"""What is answered before its body was read: the rest is thrown away before the connection ends.

A socket that is closed while bytes wait in it is reset, and a reset takes the answer with it:
behind nginx, which sends a body whole, a stranger's 401 became a 502. RFC 9112 (9.6) asks servers
to read on; nginx and Apache call it lingering close. Who sends has been answered; nothing is kept.
"""

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: As much as the API takes of anybody (backend/api/bodies.py), for as long as a head may take.
MOST = 10_000_000
SECONDS = 10.0
#: Seconds without a byte: who only says that a body comes is not waited for.
QUIET = 2.0
#: Requests whose rest is read at the same time; beyond, a connection just ends.
AT_ONCE = 100


class Unread:
    """Pure ASGI middleware, the outermost."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._reading = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _brings_a_body(scope):
            await self.app(scope, receive, send)
            return
        whole = False

        async def noted() -> Message:
            nonlocal whole
            message = await receive()
            whole = whole or not message.get("more_body")
            return message

        async def answer(message: Message) -> None:
            ends = message["type"] == "http.response.body" and not message.get("more_body")
            if ends and not whole and self._reading < AT_ONCE:
                await send({**message, "more_body": True})
                await self._read(receive)
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        await self.app(scope, noted, answer)

    async def _read(self, receive: Receive) -> None:
        """To the body's end, or as far as a stranger is listened to."""
        self._reading += 1
        taken = 0
        try:
            async with asyncio.timeout(SECONDS):
                while taken < MOST:
                    # Not wait_for: until Python 3.12 it loses the other limit's cancellation when
                    # its own call ends in the same moment.
                    async with asyncio.timeout(QUIET):
                        message = await receive()
                    taken += len(message.get("body", b""))
                    if not message.get("more_body"):
                        return
        except TimeoutError:
            return  # the connection ends as it is
        finally:
            self._reading -= 1


def _brings_a_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
