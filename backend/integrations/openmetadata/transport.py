"""One HTTP exchange: deadline, size limit, retries on reads, errors as sentences."""

import contextlib
import json
import random
import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

import httpx

from backend.core import outside
from backend.core.errors import (
    OutcomeUnknown,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from backend.integrations import http
from backend.integrations.openmetadata.errors import (
    SYSTEM,
    Denied,
    Moved,
    NotThere,
    Refused,
    Throttled,
    TokenRefused,
    WrongAddress,
)

READ_ATTEMPTS = 4
MAX_BYTES = 512 * 1024 * 1024
_LONGEST_PAUSE = 10.0
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


def pause(seconds: float) -> None:
    """Wait before a read is tried again; tests replace it."""
    time.sleep(seconds)


class Transport:
    """Sends requests to `<host_port>/v1`; thread-safe.

    read() retries what may pass (no connection, 429, 5xx); write() sends once, and says
    OutcomeUnknown when a request left and no answer came.
    """

    def __init__(
        self,
        host_port: str,
        token: str,
        *,
        timeout: float,
        max_connections: int,
        token_expires_at: datetime | None,
        sleep: Callable[[float], None] | None = None,
        headers: Mapping[str, str] | None = None,
        verify: bool | ssl.SSLContext = True,
    ) -> None:
        self._host = host_port
        self._timeout = timeout
        self._expires = token_expires_at
        self._sleep = sleep or pause
        sent = {"Accept": "application/json", "User-Agent": "steward-portal", **(headers or {})}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        self._client = http.client(
            host_port,
            timeout=timeout,
            base_url=f"{host_port}/v1/",
            headers=sent,
            limits=httpx.Limits(
                max_connections=max_connections, max_keepalive_connections=max_connections
            ),
            verify=verify,
        )

    def close(self) -> None:
        self._client.close()

    def read(
        self, path: str, params: dict[str, str] | None = None, *, patient: bool = True
    ) -> bytes:
        """patient False: a timeout is raised at once, for callers who ask for less then."""
        for attempt in range(1, READ_ATTEMPTS + 1):
            try:
                return self._exchange("GET", path, params=params)
            except (UpstreamUnavailable, UpstreamTimeout, Throttled) as exc:
                impatient = isinstance(exc, UpstreamTimeout) and not patient
                if attempt == READ_ATTEMPTS or impatient:
                    raise
                self.back_off(attempt, exc)
        raise AssertionError("unreachable")

    def back_off(self, attempt: int, exc: UpstreamError) -> None:
        """Wait before another try: as long as the server asked, else longer each time."""
        self._sleep(_pause(attempt, exc))

    def write(
        self, method: str, path: str, body: Any, *, content_type: str, headers: dict[str, str]
    ) -> bytes:
        return self._exchange(
            method,
            path,
            content=json.dumps(body).encode(),
            headers={"Content-Type": content_type, **headers},
        )

    @outside.call("openmetadata")
    def _exchange(self, method: str, path: str, **options: Any) -> bytes:
        writes = method != "GET"
        until = time.monotonic() + self._timeout
        with self._translated(writes):
            request = self._client.build_request(method, path, **options)
            response, body = http.send(self._client, request, until=until, max_bytes=MAX_BYTES)
            http.require_decoded(response, body)
        self._judge(response, body, writes)
        return body

    @contextlib.contextmanager
    def _translated(self, writes: bool) -> Iterator[None]:
        try:
            yield
        except _NOT_SENT as exc:
            raise UpstreamUnavailable(
                SYSTEM, f"{self._host} cannot be reached ({_short(exc)})", "Is it up? Try again."
            ) from exc
        except httpx.TimeoutException as exc:
            if writes:
                raise self._unknown(f"no answer within {self._timeout:g} s") from exc
            raise UpstreamTimeout(
                SYSTEM, f"no answer within {self._timeout:g} s", "Try again when it is less busy."
            ) from exc
        except httpx.TransportError as exc:
            if writes:
                raise self._unknown("the connection was lost before the answer") from exc
            raise UpstreamUnavailable(
                SYSTEM, f"the connection was lost ({_short(exc)})", "Try again."
            ) from exc
        except httpx.DecodingError as exc:
            raise UpstreamError(
                SYSTEM,
                f"an answer that cannot be read ({_short(exc)})",
                "Look at what stands between, such as a proxy.",
            ) from exc
        except http.AnswerTooLarge as exc:
            raise UpstreamError(SYSTEM, f"an answer of more than {exc}") from exc
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, UnicodeError) as exc:
            raise UpstreamError(
                SYSTEM, f"the request failed ({_short(exc)})", "Check the address."
            ) from exc

    @staticmethod
    def _unknown(why: str) -> OutcomeUnknown:
        return OutcomeUnknown(SYSTEM, why, "The change may or may not have been stored; look.")

    def _judge(self, response: httpx.Response, body: bytes, writes: bool) -> None:
        """Raise for every answer that is not 2xx JSON."""
        status = response.status_code
        kind = response.headers.get("content-type", "")
        if response.is_redirect:
            raise WrongAddress(f"{self._host} answers with a redirect (HTTP {status})")
        if response.is_success:
            if body.lstrip()[:1] == b"<" or "html" in kind:
                raise WrongAddress(f"{self._host} answers with a web page, not with data")
            if not body.strip():
                raise UpstreamError(SYSTEM, f"an empty answer (HTTP {status})", "Try again.")
            return
        said = _message(body)
        match status:
            case 401:
                raise TokenRefused(said or "HTTP 401", self._expires)
            case 403:
                raise Denied(said or "HTTP 403")
            case 404:
                raise NotThere(said or "HTTP 404")
            case 412:
                raise Moved
            case 429:
                raise Throttled(http.retry_after(response))
            case 502 | 504 if writes:
                raise self._unknown(f"a server in between gave up (HTTP {status})")
            case 504:
                raise UpstreamTimeout(
                    SYSTEM, "a server in between gave up waiting (HTTP 504)", "Try again later."
                )
            case 502 | 503:
                raise UpstreamUnavailable(
                    SYSTEM, f"it is not available (HTTP {status})", "Try again later."
                )
            case _:
                raise Refused(status, said, _advice(status))


def _message(body: bytes) -> str:
    """The server's own words; proxies' HTML is left out, and so is every JSON object that it
    quotes: of a failing patch that is the whole user, password hash included."""
    try:
        raw = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    said = (raw.get("message") or raw.get("responseMessage")) if isinstance(raw, dict) else None
    words = re.split(r'[\[{]+\s*\\?"', str(said or "")[:1_000])[0]
    return words[:300].strip().rstrip(".")


def _pause(attempt: int, exc: Exception) -> float:
    asked = exc.retry_after if isinstance(exc, Throttled) else None
    wait = asked if asked is not None else 0.25 * 2**attempt
    jitter = 1 + random.random() / 4  # spreads retries
    return min(_LONGEST_PAUSE, wait * jitter)


def _advice(status: int) -> str:
    return {
        400: "The server refused the request as it is; its version may differ.",
        405: "This server does not offer the call; its version may differ.",
        409: "Plan again.",
    }.get(status, "Look at the server's log; try again later.")


def _short(exc: Exception) -> str:
    return (str(exc) or type(exc).__name__)[:200]
