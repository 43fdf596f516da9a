"""Puts client address and scheme right for all behind it; backend.core.forwarded has the rule.

uvicorn has a rule of its own that comes first, and believes 127.0.0.1 whatever the portal's setting
says: it is switched off while the app is loaded.
"""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from auth import stopping
from backend.core import forwarded

if stopping.SERVER is not None:
    stopping.SERVER.config.proxy_headers = False


class Forwarded:
    """Pure ASGI middleware, the outermost."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and scope.get("client"):
            scope = {**scope, **_believed(scope)}
        await self.app(scope, receive, send)


def _believed(scope: Scope) -> dict[str, object]:
    """client and scheme as they are from here on, and the peer for those who look into it."""
    peer, port = forwarded.folded(scope["client"][0]), scope["client"][1]
    headers = Headers(scope=scope)
    client, scheme = forwarded.believe(
        peer,
        scope["scheme"],
        headers.getlist("x-forwarded-for"),
        headers.get("x-forwarded-proto", ""),
    )
    mine = forwarded.PEER_HEADER.encode()
    passed = [(name, value) for name, value in scope["headers"] if name.lower() != mine]
    return {
        "client": (client, port),
        "scheme": scheme,
        "portal.peer": peer,
        "portal.scheme": scope["scheme"],
        "headers": [*passed, (mine, peer.encode("latin-1", "replace"))],
    }
