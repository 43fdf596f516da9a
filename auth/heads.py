"""A connection that does not end its request's head is ended; uvicorn would wait for ever.

Streamlit makes uvicorn's configuration and takes no protocol for it. The configuration is read anew
for every connection, so the running server's is told here, while it loads the app.
"""

from collections import defaultdict
from typing import Any

from auth import stopping
from backend.core import forwarded

#: For the whole head, from the connection's begin or from the first byte of a further request.
SECONDS = 10.0
#: Unended heads of one address; beyond, its oldest is ended if it is older than GRACE, so that who
#: sends a head at once always gets in, from the same address, too.
OF_AN_ADDRESS = 100
GRACE = 1.0
_SENTENCE = b"The request's head did not come in time. Send it again."
_ANSWER = (
    b"HTTP/1.1 408 Request Timeout\r\nContent-Type: text/plain\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_SENTENCE), _SENTENCE)
)


class _Unended:
    """The connections of each address whose head has not ended, the longest open one first."""

    def __init__(self) -> None:
        self._of: defaultdict[str, dict[Any, float]] = defaultdict(dict)

    def add(self, address: str, connection: Any, now: float) -> None:
        """Ends the address's oldest where it has too many."""
        if len(self._of[address]) >= OF_AN_ADDRESS:
            oldest, since = next(iter(self._of[address].items()))
            if now - since >= GRACE:
                oldest.end()
        self._of[address][connection] = now

    def remove(self, address: str, connection: Any) -> None:
        self._of[address].pop(connection)
        if not self._of[address]:
            del self._of[address]


def bounded(protocol: Any) -> Any:
    """uvicorn's HTTP protocol (that of h11 or of httptools) with a deadline for each head."""
    unended = _Unended()

    class Bounded(protocol):
        _timer: Any = None
        _begun = False

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._address = forwarded.network(self.client[0]) if self.client else ""
            self._wait()

        def data_received(self, data: bytes) -> None:
            before, self._begun = self.cycle, True
            super().data_received(data)
            if self.transport.get_protocol() is not self:  # a websocket's from here on
                self._stop()
            elif self.cycle is not before or (before and not before.response_complete):
                self._stop()
                self._begun = False
            else:
                self._wait()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop()
            super().connection_lost(exc)

        def _wait(self) -> None:
            if not self._timer and not self.transport.is_closing():
                unended.add(self._address, self, self.loop.time())
                self._timer = self.loop.call_later(SECONDS, self.end)

        def _stop(self) -> None:
            if self._timer:
                self._timer.cancel()
                self._timer = None
                unended.remove(self._address, self)

        def end(self) -> None:
            self._stop()
            if self._begun:  # a browser that opened one to spare takes no answer
                self.transport.write(_ANSWER)
            self.transport.close()

    return Bounded


if stopping.SERVER is not None:
    config = stopping.SERVER.config
    config.http_protocol_class = bounded(config.http_protocol_class)
