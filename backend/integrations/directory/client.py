"""Asks the people directory (gql) the one query the portal needs, with a deadline and limits."""

import contextlib
import ipaddress
import json
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from gql import Client, gql
from gql.transport.exceptions import (
    TransportConnectionFailed,
    TransportError,
    TransportProtocolError,
    TransportQueryError,
    TransportServerError,
)

# gql takes httpx2 when some other dependency brought it and httpx otherwise; the limits below must
# be built from the same library.
from gql.transport.httpx import HTTPXTransport, httpx

from backend.core.errors import (
    InvalidInput,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from backend.integrations.directory.errors import (
    SYSTEM,
    EmptyAnswer,
    NotGraphQL,
    PartialAnswer,
    QueryRefused,
    TokenRefused,
    TooLarge,
)

QUERY = "{ users { email displayName domain } }"
MAX_BYTES = 256 * 1024 * 1024
MAX_USERS = 1_000_000
PROBE_BYTES = 8 * 1024 * 1024
PROBE_TIMEOUT = 10.0

# gql logs whole answers at DEBUG; people's names and addresses stay out of the log.
logging.getLogger("gql.transport.httpx").setLevel(logging.WARNING)


@dataclass(frozen=True)
class Probe:
    """users_seen is None when the answer was too long to read within the probe's limit."""

    users_seen: int | None
    more: bool
    latency_ms: float


class DirectoryClient:
    """See the package's docstring for what each method promises."""

    def __init__(
        self,
        endpoint: str,
        token: str = "",
        *,
        timeout: float = 60.0,
        max_bytes: int = MAX_BYTES,
        max_users: int = MAX_USERS,
    ) -> None:
        self.endpoint = checked_endpoint(endpoint)
        self._token = token.strip()
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._max_users = max_users

    def users(self) -> list[object]:
        """The raw items the directory lists, in its order.

        Raises the errors of `errors`, UpstreamUnavailable and UpstreamTimeout: a failed, partial
        or empty answer is never returned as a short list.
        """
        users = self._users(self._ask(self._timeout, self._max_bytes))
        if len(users) > self._max_users:
            raise TooLarge(f"{self._max_users} people")
        if not users:
            raise EmptyAnswer
        return users

    def probe(self) -> Probe:
        """The real query, read up to 8 MiB within 10 s. Raises as `users` does."""
        started = time.monotonic()
        try:
            users = self._users(self._ask(min(self._timeout, PROBE_TIMEOUT), PROBE_BYTES))
        except TooLarge:
            return Probe(None, True, (time.monotonic() - started) * 1000)
        if not users:
            raise EmptyAnswer
        return Probe(len(users), False, (time.monotonic() - started) * 1000)

    @staticmethod
    def _users(data: dict[str, Any]) -> list[object]:
        users = data.get("users")
        if not isinstance(users, list):
            raise PartialAnswer("users is not a list")
        return users

    def _ask(self, timeout: float, max_bytes: int) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        transport = HTTPXTransport(
            url=self.endpoint,
            json_deserialize=_object,
            headers=headers,
            timeout=httpx.Timeout(timeout, connect=min(timeout, 10.0)),
            transport=_Limited(
                max_bytes, time.monotonic() + timeout, tls=not self.endpoint.startswith("http://")
            ),
            verify=not self.endpoint.startswith("http://"),
            trust_env=not _is_loopback(self.endpoint),
        )
        with self._translated(timeout), Client(transport=transport) as session:
            answer = session.execute(gql(QUERY), parse_result=False)
        return dict(answer)

    @contextlib.contextmanager
    def _translated(self, timeout: float) -> Iterator[None]:
        try:
            yield
        except TransportQueryError as exc:
            raise (QueryRefused if not exc.data else PartialAnswer)(_said(exc)) from exc
        except TransportServerError as exc:
            raise _status_error(exc.code or 0) from exc
        except TransportProtocolError as exc:
            raise NotGraphQL(f"{self.endpoint} does not answer GraphQL") from exc
        except TransportConnectionFailed as exc:
            raise self._connection(exc.__cause__ or exc, timeout) from exc
        except TransportError as exc:
            raise UpstreamError(SYSTEM, type(exc).__name__, "Try again.") from exc

    def _connection(self, cause: BaseException, timeout: float) -> UpstreamError:
        if isinstance(cause, UpstreamError):
            return cause
        if isinstance(cause, httpx.TimeoutException):
            return UpstreamTimeout(SYSTEM, f"no answer within {timeout:g} s", "Try again later.")
        why = (str(cause) or type(cause).__name__)[:200]
        return UpstreamUnavailable(
            SYSTEM, f"{self.endpoint} cannot be reached ({why})", "Is it up? Check the endpoint."
        )


class _Limited(httpx.HTTPTransport):
    """Cuts an answer off at a number of bytes and at a deadline, however slowly it drips."""

    def __init__(self, max_bytes: int, until: float, *, tls: bool) -> None:
        super().__init__(verify=tls)  # without TLS, reading the trust store is 0.1 s for nothing
        self._max_bytes = max_bytes
        self._until = until

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        if response.is_redirect:
            response.close()
            raise NotGraphQL(f"the directory answers with a redirect (HTTP {response.status_code})")
        if response.status_code > 400:  # 400 may carry a GraphQL refusal worth reading
            response.close()
            raise _status_error(response.status_code)
        return httpx.Response(
            response.status_code,
            headers=response.headers,
            stream=_Counted(response.stream, self._max_bytes, self._until),
            extensions=response.extensions,
        )


class _Counted(httpx.SyncByteStream):
    def __init__(self, inner: httpx.SyncByteStream, max_bytes: int, until: float) -> None:
        self._inner = inner
        self._left = max_bytes
        self._max_bytes = max_bytes
        self._until = until

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._inner:
            self._left -= len(chunk)
            if self._left < 0:
                raise TooLarge(f"{self._max_bytes >> 20} MiB")
            if time.monotonic() > self._until:
                raise httpx.ReadTimeout("the answer took too long")
            yield chunk

    def close(self) -> None:
        self._inner.close()


def checked_endpoint(endpoint: str) -> str:
    """The endpoint as given. Raises InvalidInput unless it is an http(s) address."""
    parts = urlsplit(endpoint.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidInput(
            f"The directory's endpoint must start with http:// or https://, not {endpoint!r}."
        )
    return endpoint.strip()


def _status_error(status: int) -> UpstreamError:
    if status in (401, 403):
        return TokenRefused(status)
    if status == 504:
        return UpstreamTimeout(
            SYSTEM, "a server in between gave up waiting (HTTP 504)", "Try again later."
        )
    if status in (429, 502, 503):
        return UpstreamUnavailable(SYSTEM, f"it is not available (HTTP {status})", "Try later.")
    if status in (404, 405):
        return NotGraphQL(f"there is no GraphQL at this address (HTTP {status})")
    return UpstreamError(SYSTEM, f"HTTP {status}", "Look at the directory's log.")


def _object(body: bytes) -> dict[str, Any]:
    """gql expects an object; anything else is not GraphQL."""
    try:
        raw = json.loads(body)
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc
    if not isinstance(raw, dict):
        raise ValueError("not an object")
    return raw


def _said(exc: TransportQueryError) -> str:
    """The server's first error message, short; it may quote data, so only the first is kept."""
    first = exc.errors[0] if exc.errors else None
    text = first.get("message") if isinstance(first, dict) else first
    return str(text or "no reason given")[:200].rstrip(".")


def _is_loopback(address: str) -> bool:
    """Proxies of the environment are for other machines."""
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
