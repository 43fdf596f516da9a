"""Who really asks, behind a proxy: the address and the scheme that the proxy passes on.

Only from a proxy that PORTAL_TRUSTED_PROXIES names; from everybody else the headers are a claim.
"""

import ipaddress
from functools import lru_cache

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.core.settings import get_settings

_SECURE = {"http": "https", "ws": "wss"}


class Forwarded:
    """Pure ASGI middleware, the outermost: puts client and scheme right for all behind it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and scope.get("client"):
            scope = {**scope, **_believed(scope)}
        await self.app(scope, receive, send)


def _believed(scope: Scope) -> dict[str, object]:
    """client and scheme as they are from here on, and the peer for those who look into it."""
    peer, port = folded(scope["client"][0]), scope["client"][1]
    if not is_trusted(peer):
        return {"client": (peer, port), "portal.peer": peer}
    headers = Headers(scope=scope)
    scheme = scope["scheme"]
    if headers.get("x-forwarded-proto", "").split(",")[-1].strip() == "https":
        scheme = _SECURE.get(scheme, scheme)
    client = _sender(headers.getlist("x-forwarded-for"), peer)
    return {"client": (client, port), "scheme": scheme, "portal.peer": peer}


def _sender(lines: list[str], peer: str) -> str:
    """The last address that no trusted proxy wrote: what stands left of it anybody may write."""
    sender = peer
    for text in reversed([part.strip() for line in lines for part in line.split(",")]):
        found = folded(text)
        if not _is_address(found):
            return sender
        sender = found
        if not is_trusted(found):
            return sender
    return sender


def folded(text: str) -> str:
    """The plain form of an address: ::ffff:127.0.0.1 is 127.0.0.1, and brackets and port go."""
    bare = text.partition("]")[0].removeprefix("[") if text.startswith("[") else text
    if bare.count(":") == 1 and "." in bare:
        bare = bare.partition(":")[0]
    try:
        found = ipaddress.ip_address(bare)
    except ValueError:
        return text
    return str(getattr(found, "ipv4_mapped", None) or found)


def is_trusted(address: str) -> bool:
    """Whether PORTAL_TRUSTED_PROXIES names the address."""
    if not _is_address(address):
        return False
    found = ipaddress.ip_address(address)
    return any(found in network for network in _networks(get_settings().trusted_proxies))


@lru_cache(maxsize=4)
def _networks(
    texts: tuple[str, ...],
) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
