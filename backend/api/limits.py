"""How much a request may bring: FastAPI reads a body whole, before it asks who sent it."""

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.api.errors import body
from backend.core.log import new_reference

#: The largest document we take, the 100,000 people of a user sync's apply, is about half of it.
MAX_BODY = 10_000_000


class BodyLimit:
    """Pure ASGI middleware: 413 for a body that says it is too large, or turns out to be."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"")
        if length.isdigit() and int(length) > MAX_BODY:
            await _refused(scope, receive, send)
            return
        taken, answered = 0, False

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > MAX_BODY:
                raise _TooLarge
            return message

        async def noted(message: Message) -> None:
            nonlocal answered
            # FastAPI makes any failure to read a body a 400; ours is a 413.
            if taken <= MAX_BODY:
                await send(message)
            elif not answered:
                answered = True
                await _refused(scope, receive, send)

        await self.app(scope, counted, noted)


class _TooLarge(Exception):
    """The body went on beyond the limit."""


async def _refused(scope: Scope, receive: Receive, send: Send) -> None:
    sentence = f"A request may bring at most {MAX_BODY // 1_000_000} MB. Send it in parts."
    answer = JSONResponse(body("TooMuch", sentence, new_reference()), 413)
    await answer(scope, receive, send)
