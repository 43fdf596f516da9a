"""What went wrong underneath: looking through the exceptions that the SDK wraps in each other."""

import http.client
import re
import socket
import ssl
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3

from backend.integrations import network

_TEXT_LIMIT = 300

# An answer that a proxy gave in the server's place says nothing about whether a write happened.
_UNKNOWN_AFTER_WRITE = {502, 504}

TIMEOUTS: tuple[type[BaseException], ...] = (
    TimeoutError,
    requests.Timeout,
    urllib3.exceptions.TimeoutError,
)
CONNECTION: tuple[type[BaseException], ...] = (
    requests.ConnectionError,
    requests.exceptions.ChunkedEncodingError,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    ConnectionError,
    ssl.SSLError,
)
_NEVER_SENT: tuple[type[BaseException], ...] = (
    socket.gaierror,
    ConnectionRefusedError,
    requests.exceptions.ConnectTimeout,
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidHeader,
    requests.exceptions.ProxyError,
    urllib3.exceptions.LocationValueError,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.NewConnectionError,
)


def may_have_happened(exc: BaseException) -> bool:
    """Whether a write may have reached the server although no usable answer came back."""
    status = status_of(exc)
    if status is not None:
        return status in _UNKNOWN_AFTER_WRITE
    if find(exc, *_NEVER_SENT) or network.while_connecting(exc):
        return False
    return find(exc, *TIMEOUTS, *CONNECTION) is not None


def chain(exc: BaseException) -> Iterator[BaseException]:
    """The exception, what caused it, and the ones that urllib3 and requests keep as arguments."""
    todo: list[Any] = [exc]
    seen: set[int] = set()
    while todo:
        each = todo.pop(0)
        if not isinstance(each, BaseException) or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        todo += [each.__cause__, each.__context__, getattr(each, "reason", None), *each.args]


def find(exc: BaseException, *kinds: type[BaseException]) -> BaseException | None:
    """The first of these kinds anywhere in the chain."""
    return next((each for each in chain(exc) if isinstance(each, kinds)), None)


def status_of(exc: BaseException) -> int | None:
    """The HTTP status of the answer that made it fail, if one came."""
    for each in chain(exc):
        response = getattr(each, "response", None)
        if isinstance(each, requests.HTTPError) and response is not None:
            return int(response.status_code)
    return None


def timed_out(exc: BaseException) -> bool:
    """Whether waiting ended it. A refused connection is, to urllib3, a kind of timeout too."""
    return any(
        isinstance(each, TIMEOUTS) and not isinstance(each, urllib3.exceptions.NewConnectionError)
        for each in chain(exc)
    )


def server_message(exc: BaseException) -> str:
    """What the server said about it; bodies of unknown form are not repeated."""
    for each in chain(exc):
        response = getattr(each, "response", None)
        if not isinstance(each, requests.HTTPError) or response is None:
            continue
        try:
            body = response.json()
        except ValueError:
            return ""
        said = body.get("message") or body.get("error") if isinstance(body, dict) else ""
        return short(said) if isinstance(said, str) else ""
    return ""


def sdk_name(exc: BaseException) -> str:
    """The class name for exceptions of the SDK, else "". Naming them needs no import of it."""
    for kind in type(exc).__mro__:
        if kind.__module__.split(".")[0] == "datahub":
            return kind.__name__
    return ""


def redirected_to(exc: BaseException) -> str:
    """Where a redirect points, without the query: it may carry anything."""
    response = getattr(exc, "response", None)
    place = urlsplit(response.headers.get("Location", "")) if response is not None else None
    if not place or not place.hostname:
        return "another address"
    port = f":{place.port}" if place.port else ""
    return f"{place.scheme}://{place.hostname}{port}{place.path}"


def shown(server: str) -> str:
    """The address without credentials that somebody may have put into it."""
    return re.sub(r"//[^/@]*@", "//", server) or "the address"


def short(text: str) -> str:
    """One line of bearable length."""
    line = " ".join(text.split())
    return line if len(line) <= _TEXT_LIMIT else line[: _TEXT_LIMIT - 1] + "…"
