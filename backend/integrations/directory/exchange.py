"""One HTTP exchange with a directory: deadline, size limit, errors as sentences."""

import contextlib
import json
import math
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from backend.core import outside
from backend.core.errors import InvalidInput, UpstreamError, UpstreamTimeout, UpstreamUnavailable
from backend.core.trust import Trust
from backend.integrations import http
from backend.integrations.directory.errors import (
    SYSTEM,
    BrokenAnswer,
    NotGraphQL,
    RateLimited,
    TooLarge,
)

_LEAST_PAUSE = 0.25  # a server that asks for none is not asked without end
#: A server may close a kept connection just when the next page is asked for; all that is sent here
#: are questions.
_TRIES = 3
_LOST = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)


def pause(seconds: float) -> None:
    """Wait before a request is sent again; tests replace it."""
    time.sleep(seconds)


class Exchange:
    """Sends requests to one endpoint, exactly as it was typed.

    token: a bearer token, unless the headers hold an Authorization of their own.
    """

    def __init__(
        self,
        endpoint: str,
        token: str,
        headers: Mapping[str, str],
        *,
        timeout: float,
        max_bytes: int,
        trust: Trust | None = None,
    ) -> None:
        self._trust = trust
        self.endpoint = checked_endpoint(endpoint)
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._headers = {"User-Agent": "steward-portal", **headers}
        bare = http.bare_token(token)
        if bare and not any(name.lower() == "authorization" for name in headers):
            self._headers["Authorization"] = f"Bearer {bare}"

    @contextlib.contextmanager
    def session(self) -> Iterator[httpx.Client]:
        """One connection for all pages."""
        made = http.client(
            self.endpoint, timeout=self._timeout, trust=self._trust, headers=self._headers
        )
        with made as client:
            yield client

    @outside.call("directory")
    def ask(self, client: httpx.Client, method: str, **options: Any) -> tuple[int, bytes, str]:
        """(status, body, media type). Raises UpstreamUnavailable, UpstreamTimeout, TooLarge,
        BrokenAnswer, NotGraphQL for a redirect elsewhere. Within the time for one answer a lost
        connection is made anew, and a limit of requests is waited for as long as the server asks.
        Raises RateLimited when it asks for more."""
        until = time.monotonic() + self._timeout
        while True:
            with self._translated():
                response, body = self._answer(client, method, options, until)
            asked = http.retry_after(response) if response.status_code in (429, 503) else None
            if asked is None:
                break
            if time.monotonic() + asked + _LEAST_PAUSE > until:
                raise RateLimited(f"HTTP {response.status_code}, for {math.ceil(asked):,} s")
            pause(asked + _LEAST_PAUSE)
        if response.is_redirect:
            raise NotGraphQL(
                f"the directory answers with a redirect (HTTP {response.status_code}) to "
                f"{response.headers.get('location', 'nowhere')[:200]}"
            )
        return response.status_code, body, response.headers.get("content-type", "")

    def _answer(
        self, client: httpx.Client, method: str, options: Mapping[str, Any], until: float
    ) -> tuple[httpx.Response, bytes]:
        for attempt in range(1, _TRIES + 1):
            request = client.build_request(method, self.endpoint, **options)
            try:
                response, body = http.send(client, request, until=until, max_bytes=self._max_bytes)
            except _LOST:
                if attempt == _TRIES or time.monotonic() + _LEAST_PAUSE > until:
                    raise
                pause(_LEAST_PAUSE)
            else:
                http.require_decoded(response, body)
                return response, body
        raise AssertionError("unreachable")

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except http.AnswerTooLarge as exc:
            raise TooLarge(str(exc)) from exc
        except httpx.DecodingError as exc:
            raise BrokenAnswer(str(exc)[:200]) from exc
        except httpx.TimeoutException as exc:
            raise UpstreamTimeout(
                SYSTEM, f"no answer within {self._timeout:g} s", "Try again later."
            ) from exc
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, UnicodeError) as exc:
            why = (str(exc) or type(exc).__name__)[:200]
            raise UpstreamUnavailable(
                SYSTEM,
                f"{self.endpoint} cannot be reached ({why})",
                "Is it up? Check the endpoint.",
            ) from exc


def document(body: bytes) -> dict[str, Any] | None:
    """The JSON object of an answer; None when it is none."""
    try:
        raw = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return raw if isinstance(raw, dict) else None


def cut_off(body: bytes) -> BrokenAnswer | None:
    """The error for what is no document and begins as one."""
    if body.lstrip()[:1] != b"{" or document(body) is not None:
        return None
    return BrokenAnswer("it begins as JSON and is none; it may be cut off")


def checked_endpoint(endpoint: str) -> str:
    """The endpoint as given. Raises InvalidInput unless it is an http(s) address."""
    parts = urlsplit(endpoint.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidInput(
            f"The directory's endpoint must start with http:// or https://, not {endpoint!r}."
        )
    return endpoint.strip()


def unavailable(status: int) -> UpstreamError | None:
    """What a status says that has nothing to do with the question; None when it does not."""
    if status == 504:
        return UpstreamTimeout(
            SYSTEM, "a server in between gave up waiting (HTTP 504)", "Try again later."
        )
    if status in (429, 502, 503):
        return UpstreamUnavailable(SYSTEM, f"it is not available (HTTP {status})", "Try later.")
    return None
