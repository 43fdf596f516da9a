"""Requests that a proxy or the portal should stop, and what came out of each.

Written on sockets, since no HTTP client sends a body that does not come. Nothing here changes
anything: what asks for a change has no token.
"""

import contextlib
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
from pydantic import ValidationError

from backend.core import outside
from backend.core.errors import InvalidInput, UpstreamError, UpstreamUnavailable
from backend.core.forwarded import RequestView
from backend.core.trust import DEFAULT
from backend.core.views import View
from backend.integrations import http
from backend.integrations.network import is_loopback

SYSTEM = "Portal"
DEADLINE_SECONDS = 15
#: The portal gives up on a body after 15 s (backend/api/bodies.py) and
#: on a head after 10 (auth/heads.py)
SLOW_SECONDS = 25
#: Above nginx's 10m, too, which is a little more than the portal's own limit.
LARGE, USUAL = 11_000_000, 2_000_000
#: An address of the documentation (RFC 5737): nobody has it.
FORGED = "203.0.113.7"
ELSEWHERE = "https://elsewhere.example"
_KEY = "c3Rld2FyZC1wb3J0YWwxNg=="


class Check(View):
    """One request. seen: what came out. mend: the line of proxy configuration that helps, "" when
    all is well."""

    name: str
    ok: bool
    seen: str
    mend: str


@dataclass(frozen=True)
class Address:
    """Where the portal is. path: what stands before its own paths, "" for none."""

    url: str
    scheme: str
    host: str
    port: int
    path: str

    @classmethod
    def of(cls, url: str) -> "Address":
        """Raises InvalidInput for what is no web address."""
        parts = urlsplit(url.strip())
        try:
            port = parts.port or {"https": 443}.get(parts.scheme, 80)
        except ValueError as exc:
            raise InvalidInput(f"{url} is no web address: its port is no number.") from exc
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidInput("Give the portal's address, https://portal.example.org.")
        path = parts.path.rstrip("/")
        return cls(
            f"{parts.scheme}://{parts.netloc}{path}", parts.scheme, parts.hostname, port, path
        )


def believed(address: Address, token: str, headers: Mapping[str, str] | None = None) -> RequestView:
    """What the portal says it believes of a request. Raises UpstreamUnavailable when nothing
    answers, UpstreamError when what answers is not this portal."""
    where = f"{address.url}/api/request"
    sent = {"Authorization": f"Bearer {token}", **(headers or {})}
    answer = _asked(address, "GET", "/api/request", sent)
    if answer.status_code != 200:
        raise UpstreamError(
            SYSTEM,
            f"{where} answered {answer.status_code}",
            "Something else answers there, or a portal with another state.",
        )
    try:
        return RequestView.model_validate_json(answer.content)
    except ValidationError as exc:
        raise UpstreamError(
            SYSTEM, f"{where} is not this portal", "Something else answers there."
        ) from exc


@outside.call("portal")
def _asked(address: Address, method: str, path: str, headers: Mapping[str, str]) -> httpx.Response:
    try:
        with http.client(address.url, timeout=DEADLINE_SECONDS) as client:
            return client.request(method, f"{address.url}{path}", headers=headers)
    except httpx.HTTPError as exc:
        raise UpstreamUnavailable(
            SYSTEM,
            f"{address.url}{path} does not answer ({exc})",
            "Look at the proxy and the network.",
        ) from exc


def settings_fit(view: RequestView) -> Check:
    """Whether the settings and the proxy fit one another."""
    return Check(
        name="What the portal believes",
        ok=not view.warnings,
        seen=view.why,
        mend=" ".join(view.warnings),
    )


def forged_address(address: Address, token: str) -> Check:
    """A visitor writes an X-Forwarded-For of their own."""
    view = believed(address, token, {"X-Forwarded-For": FORGED})
    return Check(
        name="Forged X-Forwarded-For",
        ok=view.client_address != FORGED,
        seen=f"The portal took {view.client_address} for the client.",
        mend=""
        if view.client_address != FORGED
        else "proxy_set_header X-Forwarded-For $remote_addr; (and let only the proxy reach the "
        "portal's port: this request may have gone past it)",
    )


def foreign_page(address: Address) -> Check:
    """A page of another site asks the REST API with the visitor's browser."""
    headers = {"Origin": ELSEWHERE, "Access-Control-Request-Method": "GET"}
    allowed = [
        _asked(address, method, path, headers).headers.get("access-control-allow-origin", "")
        for method, path in (("GET", "/healthz"), ("OPTIONS", "/api/jobs"))
    ]
    found = [value for value in allowed if value in ("*", ELSEWHERE)]
    return Check(
        name="Foreign Origin at the REST API",
        ok=not found,
        seen=f"Access-Control-Allow-Origin: {found[0]}" if found else "It is not let in.",
        mend="Remove add_header Access-Control-Allow-Origin; the portal adds its own for "
        "PORTAL_API_ALLOWED_ORIGINS."
        if found
        else "",
    )


def own_socket(address: Address) -> Check:
    """The portal's own page opens its websocket."""
    status = _handshake(address, address.url.removesuffix(address.path))
    # nginx's $host has no port, and the page's origin has one.
    host = "$host" if address.port in (80, 443) else "$host:$server_port"
    return Check(
        name="The portal's own WebSocket",
        ok=status == 101,
        seen=_said(status),
        mend=""
        if status == 101
        else "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; "
        f'proxy_set_header Connection "upgrade"; proxy_set_header Host {host};',
    )


def foreign_socket(address: Address) -> Check:
    """A page of another site opens the portal's websocket with the visitor's cookies."""
    status = _handshake(address, ELSEWHERE)
    return Check(
        name="Foreign Origin at the WebSocket",
        ok=status != 101,
        seen=_said(status),
        mend="Remove proxy_set_header Origin: the portal must see where a page comes from."
        if status == 101
        else "",
    )


def slow_body(address: Address, *, seconds: float = SLOW_SECONDS) -> Check:
    """A client sends one byte of a body and waits."""
    status, late = _posted(address, 1_000, b"{", seconds)
    return Check(
        name="Slow body",
        ok=not late,
        seen=f"After {seconds:g} s it was still held open." if late else _said(status),
        mend="client_body_timeout 15s;" if late else "",
    )


def slow_head(address: Address, *, seconds: float = SLOW_SECONDS) -> Check:
    """A client begins a request's head and waits: thousands of them would take every socket."""
    status, late = _answered(address, _head(address, "GET", "/healthz")[:-2], seconds)
    return Check(
        name="Slow head",
        ok=not late,
        seen=f"After {seconds:g} s it was still held open." if late else _said(status),
        mend="client_header_timeout 10s;" if late else "",
    )


def large_body(address: Address) -> Check:
    """A client says that it brings more than the portal takes."""
    status, late = _posted(address, LARGE, b"", DEADLINE_SECONDS / 2)
    return Check(
        name="Large body",
        ok=not late,
        seen="Nobody refused its length." if late else _said(status),
        mend="client_max_body_size 10m;" if late else "",
    )


def usual_body(address: Address) -> Check:
    """A body that the portal takes must reach it, and its answer must come back: the portal's 401,
    for nobody here has a token. nginx refuses 1 MB by default."""
    status, late = _posted(address, USUAL, b" " * USUAL, DEADLINE_SECONDS)
    through = status == 401
    return Check(
        name="Body of 2 MB",
        ok=through,
        seen="No answer came." if late else _said(status),
        mend="" if through else _mend_of_a_body(status),
    )


def _mend_of_a_body(status: int | None) -> str:
    if status in (None, 413):
        return "client_max_body_size 10m;"
    return (
        "The portal answers 401 here, so something before it answered: let the proxy pass the "
        "whole body on (client_max_body_size 10m; proxy_pass to the portal's own port)."
    )


def plain_http(address: Address) -> Check:
    """The same address without TLS."""
    if address.scheme == "http":
        local = is_loopback(address.host)
        return Check(
            name="Plain http",
            ok=local,
            seen="It is this machine's own address." if local else "The address itself has no TLS.",
            mend="" if local else "listen 443 ssl; and PORTAL_PUBLIC_URL=https://…",
        )
    port = 80 if address.port == 443 else address.port
    plain = Address(f"http://{address.host}:{port}", "http", address.host, port, address.path)
    status: int | None = None
    with contextlib.suppress(OSError):
        status = _exchange(plain, _head(plain, "GET", "/"), DEADLINE_SECONDS)
    shown = status is not None and 200 <= status < 300
    return Check(
        name="Plain http",
        ok=not shown,
        seen=_said(status),
        mend="server { listen 80; return 301 https://$host$request_uri; }" if shown else "",
    )


#: Of those that need no token, in their order.
WITHOUT_TOKEN: tuple[Callable[[Address], Check], ...] = (
    foreign_page,
    own_socket,
    foreign_socket,
    usual_body,
    large_body,
    slow_head,
    slow_body,
    plain_http,
)


def _handshake(address: Address, origin: str) -> int | None:
    more = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": _KEY,
        "Origin": origin,
    }
    head = _head(address, "GET", "/_stcore/stream", more)
    return _answered(address, head, DEADLINE_SECONDS)[0]


def _posted(address: Address, length: int, body: bytes, seconds: float) -> tuple[int | None, bool]:
    more = {"Content-Type": "application/json", "Content-Length": str(length)}
    return _answered(address, _head(address, "POST", "/trigger", more) + body, seconds)


def _head(address: Address, method: str, path: str, more: Mapping[str, str] | None = None) -> bytes:
    standard = address.port == {"https": 443}.get(address.scheme, 80)
    host = f"[{address.host}]" if ":" in address.host else address.host
    headers = {
        "Host": host if standard else f"{host}:{address.port}",
        "User-Agent": "steward-portal",
        **({} if more and "Connection" in more else {"Connection": "close"}),
        **(more or {}),
    }
    lines = [f"{method} {address.path}{path} HTTP/1.1", *(f"{n}: {v}" for n, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def _answered(address: Address, request: bytes, seconds: float) -> tuple[int | None, bool]:
    """The answer's status, None when the connection was closed without one; whether none came in
    time. Raises UpstreamUnavailable when no connection is made."""
    try:
        return _exchange(address, request, seconds), False
    except TimeoutError:
        return None, True
    except OSError as exc:
        raise UpstreamUnavailable(
            SYSTEM, f"{address.url} cannot be reached ({exc})", "Look at the proxy."
        ) from exc


def _exchange(address: Address, request: bytes, seconds: float) -> int | None:
    until = time.monotonic() + seconds
    with contextlib.ExitStack() as held:
        made = socket.create_connection((address.host, address.port), timeout=10)
        connected = held.enter_context(made)
        if address.scheme == "https":
            context = DEFAULT.context()
            connected = held.enter_context(
                context.wrap_socket(connected, server_hostname=address.host)
            )
        # Who refuses a body by its length closes while it is still being sent: the answer counts.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connected.sendall(request)
        said = b""
        with contextlib.suppress(ConnectionResetError):
            while b"\n" not in said:
                connected.settimeout(max(0.01, until - time.monotonic()))
                part = connected.recv(1024)
                if not part:
                    break
                said += part
    words = said.split(b" ", 2)
    return int(words[1]) if len(words) > 1 and words[1][:3].isdigit() else None


def _said(status: int | None) -> str:
    return "The connection was closed." if status is None else f"Answered {status}."
