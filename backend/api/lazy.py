"""The API as an ASGI app that is built at its first request, so that first paint need not wait."""

import asyncio

from anyio.to_thread import current_default_thread_limiter
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.api.lanes import THREADS


class LazyApi:
    """Forwards to the FastAPI app with the whole path, wherever it is mounted."""

    def __init__(self) -> None:
        self._app: ASGIApp | None = None
        self._lock = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._app is None:
            async with self._lock:
                if self._app is None:
                    self._app = await asyncio.to_thread(_build)
                    current_default_thread_limiter().total_tokens = THREADS
        await self._app({**scope, "root_path": ""}, receive, send)


def _build() -> ASGIApp:
    from backend.api.app import create_app

    return create_app()
