"""What a request brings is read whole, under a size and a deadline, before it takes a place.

A client that sends one byte and waits holds a socket and a few bytes, nothing that others need.
"""

import asyncio

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.api.errors import body
from backend.core.log import new_reference

#: The largest document we take, the 100,000 people of a user sync's apply, is about half of it.
MAX_BODY = 10_000_000
#: Seconds for the whole of it: the largest at some 5 Mbit/s.
DEADLINE = 15.0


class Bodies:
    """Pure ASGI middleware: 413 for a body that says it is too large, or turns out to be; 408 for
    one that does not come."""

    def __init__(self, app: ASGIApp, *, deadline: float = DEADLINE) -> None:
        self.app = app
        self._deadline = deadline

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"")
        try:
            if length.isdigit() and int(length) > MAX_BODY:
                raise _TooLarge
            read = await asyncio.wait_for(_read(receive), self._deadline)
        except _TooLarge:
            sentence = f"A request may bring at most {MAX_BODY // 1_000_000} MB. Send it in parts."
            await _refused("TooMuch", sentence, 413)(scope, receive, send)
        except TimeoutError:
            sentence = (
                f"The request's body did not come within {self._deadline:g} s. Send it again."
            )
            await _refused("TooSlow", sentence, 408)(scope, receive, send)
        else:
            if read is not None:
                await self.app(scope, _again(read, receive), send)


async def _read(receive: Receive) -> bytes | None:
    """The whole body; None when the client went away. Raises _TooLarge."""
    parts, taken = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        taken += len(parts[-1])
        if taken > MAX_BODY:
            raise _TooLarge
        if not message.get("more_body"):
            return b"".join(parts)


def _again(read: bytes, receive: Receive) -> Receive:
    waiting: list[Message] = [{"type": "http.request", "body": read, "more_body": False}]

    async def once() -> Message:
        return waiting.pop() if waiting else await receive()

    return once


class _TooLarge(Exception):
    """The body is, or went on, beyond the limit."""


def _refused(error: str, sentence: str, status: int) -> JSONResponse:
    # what is left of the body belongs to no request, so the connection ends with the answer
    return JSONResponse(
        body(error, sentence, new_reference()), status, headers={"Connection": "close"}
    )
