"""Security headers on every answer, and the nonce cookie that tells browsers apart.

Streamlit itself sends none of these. The policy was written against Streamlit 1.67 in a real
browser: scripts come from the portal only, and of the inline scripts just the ones whose hashes
are listed run, so a script smuggled into catalog text stays text.
"""

import base64
import hashlib
import re
import secrets
from functools import lru_cache
from http.cookies import CookieError, SimpleCookie
from importlib.util import find_spec
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auth import cookies, origin
from auth.handover import SCRIPTS
from backend.core.settings import get_settings

DOCS_PATHS = ("/api/docs", "/api/redoc")
#: Where FastAPI's documentation page loads its viewer from.
DOCS_SOURCES = "https://cdn.jsdelivr.net https://fastapi.tiangolo.com"


class SecurityHeaders:
    """Pure ASGI middleware; of websockets only those of the portal's own pages pass."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and not origin.is_own(scope):
            await origin.refuse(receive, send)
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add(MutableHeaders(scope=message), scope)
            await send(message)

        await self.app(scope, receive, with_headers)


def _add(headers: MutableHeaders, scope: Scope) -> None:
    path = scope["path"]
    headers["x-content-type-options"] = "nosniff"
    headers["x-frame-options"] = "DENY"
    headers["referrer-policy"] = "same-origin"
    headers["permissions-policy"] = "camera=(), microphone=(), geolocation=()"
    headers["cross-origin-opener-policy"] = "same-origin"
    headers["content-security-policy"] = (
        docs_policy() if path.startswith(DOCS_PATHS) else page_policy()
    )
    https = scope["scheme"] == "https" or get_settings().secure_cookies
    if https:
        headers["strict-transport-security"] = "max-age=31536000; includeSubDomains"
    if path.startswith(("/api/", "/auth/", "/trigger")):
        headers.setdefault("cache-control", "no-store")
    if _is_page_visit(scope) and not _has_nonce(scope):
        nonce = secrets.token_urlsafe(24)
        headers.append("set-cookie", cookies.browser_cookie(nonce, https=https))


def _is_page_visit(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return scope["method"] == "GET" and "text/html" in headers.get("accept", "")


def _has_nonce(scope: Scope) -> bool:
    try:
        return cookies.browser_name() in SimpleCookie(Headers(scope=scope).get("cookie", ""))
    except CookieError:
        return False


@lru_cache(maxsize=1)
def page_policy() -> str:
    """The Content-Security-Policy of the portal's pages."""
    hashes = " ".join(f"'{_hash(script)}'" for script in (*SCRIPTS, *_streamlit_inline_scripts()))
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self' {hashes}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self' data: blob:",
            "worker-src 'self' blob:",
            "media-src 'self' blob:",
            "frame-src 'self'",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


@lru_cache(maxsize=1)
def docs_policy() -> str:
    """The policy of the API's documentation page, whose viewer comes from a public CDN."""
    return (
        f"default-src 'self'; script-src 'self' 'unsafe-inline' {DOCS_SOURCES}; "
        f"style-src 'self' 'unsafe-inline' {DOCS_SOURCES}; img-src 'self' data: {DOCS_SOURCES}; "
        "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; "
        "frame-ancestors 'none'"
    )


def _hash(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _streamlit_inline_scripts() -> list[str]:
    """The inline scripts of the installed Streamlit's own index page."""
    spec = find_spec("streamlit")
    if spec is None or spec.origin is None:
        return []
    index = (Path(spec.origin).parent / "static" / "index.html").read_text(encoding="utf-8")
    return re.findall(r"<script>(.*?)</script>", index, re.DOTALL)
