"""What HTTP clients share: deadlines, size limits, bare tokens, redirects within one origin."""

import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx

from backend.core.errors import InvalidInput
from backend.core.trust import DEFAULT, Trust
from backend.integrations import http_deadline
from backend.integrations.network import is_loopback

MAX_REDIRECTS = 3
_LONGEST_ASKED = 365 * 86_400.0


class AnswerTooLarge(Exception):
    """More bytes than the caller takes."""


def client(
    address: str, *, timeout: float, trust: Trust | None = None, **options: Any
) -> httpx.Client:
    """A client for one address: proxies of the environment are for other machines only, and
    without TLS nothing is verified (reading the trust store costs 0.1 s)."""
    if address.startswith("http://"):
        options["verify"] = False
    elif options.get("verify", True) is True:
        options["verify"] = (trust or DEFAULT).context()
    made = httpx.Client(
        timeout=httpx.Timeout(timeout, connect=min(timeout, 10.0)),
        trust_env=not is_loopback(urlsplit(address).hostname or ""),
        **options,
    )
    return http_deadline.bound(made)


def send(
    http: httpx.Client, request: httpx.Request, *, until: float, max_bytes: int
) -> tuple[httpx.Response, bytes]:
    """The answer, read up to max_bytes and until a moment of time.monotonic(); a slow drip ends
    at the deadline like silence does.

    A 307 or 308 within the same origin is followed with its body, as browsers do; every other
    redirect is returned. Raises httpx's errors and AnswerTooLarge.
    """
    for _ in range(MAX_REDIRECTS + 1):
        with http_deadline.until(until):
            response = http.send(request, stream=True)
        try:
            following = _next(request, response)
            if following is None:
                return response, _read(response, until, max_bytes)
        finally:
            response.close()
        request = following
    raise httpx.TooManyRedirects("it redirects in circles", request=request)


def require_decoded(response: httpx.Response, body: bytes) -> None:
    """Raise httpx.DecodingError where data came compressed in a way that was not asked for: httpx
    hands it out as it came, and it would be taken for a wrong address."""
    asked = response.request.headers.get("accept-encoding", "").replace(" ", "").split(",")
    used = response.headers.get_list("content-encoding", split_commas=True)
    odd = [each for each in used if each.lower() not in ("", "identity", *asked)]
    if odd and body and response.is_success:
        said = f"it is compressed as {odd[0][:40]}, which was not asked for"
        raise httpx.DecodingError(said, request=response.request)


def retry_after(response: httpx.Response) -> float | None:
    """Seconds that a server asks to wait, by number or by date; None when it asks for none."""
    said = str(response.headers.get("retry-after", ""))
    if said.strip().isdecimal():
        return min(float(said), _LONGEST_ASKED)
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _next(request: httpx.Request, response: httpx.Response) -> httpx.Request | None:
    if response.status_code not in (307, 308) or "location" not in response.headers:
        return None
    try:
        target = request.url.join(response.headers["location"])
        if _origin(target) != _origin(request.url):
            return None
    except (httpx.InvalidURL, UnicodeError):  # the latter for a host that is no text
        return None
    return httpx.Request(
        request.method,
        target,
        headers=request.headers,
        content=request.read(),
        extensions=request.extensions,
    )


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


def _read(response: httpx.Response, until: float, max_bytes: int) -> bytes:
    return b"".join(_counted(response, until, max_bytes))


def _counted(response: httpx.Response, until: float, max_bytes: int) -> Iterator[bytes]:
    left = max_bytes
    for chunk in response.iter_bytes():
        left -= len(chunk)
        if left < 0:
            raise AnswerTooLarge(f"{max_bytes >> 20} MiB")
        if time.monotonic() > until:
            raise httpx.ReadTimeout("the answer took too long", request=response.request)
        yield chunk


def bare_token(text: str) -> str:
    """A token without what people paste around it: blanks, quotes, the word Bearer.

    Raises InvalidInput when it can be no token: a header takes printable ASCII without blanks.
    """
    token = text.strip()
    while True:
        bare = token.strip("\"'").strip()
        if bare[:7].lower() == "bearer ":
            bare = bare[7:].strip()
        if bare == token:
            break
        token = bare
    if any(not 33 <= ord(character) <= 126 for character in token):
        raise InvalidInput(
            "The token holds blanks or characters that no token has: paste it again, "
            "alone and on one line."
        )
    return token
