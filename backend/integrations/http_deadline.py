"""A deadline for the whole of an HTTP exchange.

httpx's read timeout is one read's: a server that sends its answer's head byte by byte begins it
anew with each, and kept a worker for hours. So a client's connections know until when the exchange
under way may last. (A body is read by the caller, who looks at the clock himself.)
"""

import contextlib
import math
import ssl
import time
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import httpcore
import httpx

_until: ContextVar[float] = ContextVar("until when the exchange may last", default=math.inf)


@contextlib.contextmanager
def until(moment: float) -> Iterator[None]:
    """Within the block what a bounded client waits for ends at a moment of time.monotonic()."""
    mark = _until.set(moment)
    try:
        yield
    finally:
        _until.reset(mark)


def bound(client: httpx.Client) -> httpx.Client:
    """The same client, whose exchanges `until` ends."""
    # mypy: httpx has no public way to name the backend of the pools that it makes
    for transport in (client._transport, *client._mounts.values()):
        if isinstance(transport, httpx.HTTPTransport):
            transport._pool._network_backend = _Backend()
    return client


def _left(timeout: float | None) -> float | None:
    left = _until.get() - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the answer took too long")
    return timeout if math.isinf(left) else min(left, timeout or left)


class _Backend(httpcore.SyncBackend):
    def connect_tcp(self, *args: Any, **options: Any) -> httpcore.NetworkStream:
        return _Stream(super().connect_tcp(*args, **options))


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, _left(timeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
