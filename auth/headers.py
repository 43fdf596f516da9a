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
from importlib.util import find_spec
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auth import attach, cookies, inline, origin, ticket_form, uploads
from backend.core.settings import get_settings

#: Streamlit's own surfaces that tell strangers about the process; the portal uses neither.
CLOSED_PATHS = ("/_stcore/metrics", "/_stcore/agent")

#: No cache keeps them, neither the browser's nor a proxy's. /media/: exports, of which Streamlit
#: says nothing.
_NOT_KEPT = ("/api/", "/auth/", "/trigger", "/mcp", "/metrics", "/media/")


class SecurityHeaders:
    """Pure ASGI middleware; of websockets only those of the portal's own pages pass."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and not origin.is_own(scope):
            await origin.refuse(receive, send)
            return
        if scope["type"] == "websocket":
            scope = await attach.own_session_only(scope)
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add(MutableHeaders(scope=message), scope)
            await send(message)

        if scope["path"].startswith(CLOSED_PATHS):
            await PlainTextResponse("Not found.", 404)(scope, receive, with_headers)
        elif "\0" in scope["path"] and not scope["path"].startswith("/api/"):
            # Streamlit looks for a file of that name, and fails of it.
            refusal = PlainTextResponse("No address has a %00. Correct it.", 400)
            await refusal(scope, receive, with_headers)
        elif scope["path"].startswith(attach.UPLOADS):
            await self._upload(scope, receive, with_headers)
        else:
            await self.app(scope, receive, with_headers)

    async def _upload(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not await attach.may_upload(scope):
            refusal = PlainTextResponse("This is not your session. Load the page anew.", 403)
            await refusal(scope, receive, send)
        elif scope["method"] != "PUT":
            await self.app(scope, receive, send)
        else:
            with uploads.place(attach.uploads_to(scope["path"])) as free:
                app = self.app if free else PlainTextResponse(uploads.SENTENCE, 429)
                await app(scope, receive, send)


def _add(headers: MutableHeaders, scope: Scope) -> None:
    path = scope["path"]
    headers["x-content-type-options"] = "nosniff"
    headers["x-frame-options"] = "DENY"
    headers["referrer-policy"] = "same-origin"
    headers["permissions-policy"] = "camera=(), microphone=(), geolocation=()"
    headers["cross-origin-opener-policy"] = "same-origin"
    headers["content-security-policy"] = page_policy()
    https = scope["scheme"] == "https" or get_settings().secure_cookies
    if https:
        headers["strict-transport-security"] = "max-age=31536000; includeSubDomains"
    if path.startswith(_NOT_KEPT):
        headers.setdefault("cache-control", "no-store")
    if _is_page_visit(scope) and not _has_nonce(scope):
        nonce = secrets.token_urlsafe(24)
        headers.append("set-cookie", cookies.browser_cookie(nonce, https=https))


def _is_page_visit(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return scope["method"] == "GET" and "text/html" in headers.get("accept", "")


def _has_nonce(scope: Scope) -> bool:
    return cookies.browser_name() in cookies.of(Headers(scope=scope))


@lru_cache(maxsize=1)
def page_policy() -> str:
    """The Content-Security-Policy of every answer, the API's documentation page included."""
    scripts = (*ticket_form.SCRIPTS, *inline.SCRIPTS, *_streamlit_inline_scripts())
    hashes = " ".join(f"'{_hash(script)}'" for script in scripts)
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


def _hash(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _streamlit_inline_scripts() -> list[str]:
    """The inline scripts of the installed Streamlit's own index page."""
    spec = find_spec("streamlit")
    if spec is None or spec.origin is None:
        return []
    index = (Path(spec.origin).parent / "static" / "index.html").read_text(encoding="utf-8")
    return re.findall(r"<script>(.*?)</script>", index, re.DOTALL)
