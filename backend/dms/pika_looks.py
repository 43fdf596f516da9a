"""Passive looks at queues: on a channel of their own, because asking for an absent queue closes it.

Everything here runs in the transport's owner thread. A reply usually means that the next request
for the same host is about to come, so the look for it is sent ahead; it counts for one request and
for a few milliseconds only.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from backend.dms.transport import QueueState, queue_of

NOT_FOUND = 404
#: Seconds for which a look that was sent ahead may be used.
FRESH = 0.01

#: Called with what was found, or None when the connection was lost.
Then = Callable[[QueueState | None], None]


class _Look:
    """A look on its way. taken: it belongs to somebody; not so: it was sent ahead."""

    def __init__(self, host: str, then: Then | None) -> None:
        self.host = host
        self.then = then


class Looks:
    """The look channel of one connection after the other."""

    def __init__(self, on_ready: Callable[[], None]) -> None:
        self._on_ready = on_ready
        self._connection: Any = None
        self._channel: Any = None
        self._waiting: deque[_Look] = deque()  # in the order in which the broker answers
        self._ahead: dict[str, _Look] = {}
        self._fresh: dict[str, tuple[float, QueueState]] = {}

    def attach(self, connection: Any) -> None:
        """A new connection is open; `on_ready` is called once it can be asked."""
        self._connection = connection
        self._open()

    def detach(self) -> None:
        """The connection is gone; whoever waits is told so."""
        self._connection = self._channel = None
        self._ahead.clear()
        self._fresh.clear()
        waiting, self._waiting = self._waiting, deque()
        for look in waiting:
            if look.then is not None:
                look.then(None)

    def ask(self, host: str, then: Then, *, ahead: bool = False) -> None:
        """Look at the host's queue. ahead: a look sent ahead a moment ago will do."""
        if ahead:
            made, state = self._fresh.pop(host, (0.0, None))
            if state is not None and time.monotonic() - made <= FRESH:
                then(state)
                return
            coming = self._ahead.pop(host, None)
            if coming is not None:
                coming.then = then
                return
        self._send(_Look(host, then))

    def send_ahead(self, host: str) -> None:
        """Look now for the request that probably comes next."""
        if host not in self._ahead and self._channel is not None:
            self._ahead[host] = look = _Look(host, None)
            self._send(look)

    def _send(self, look: _Look) -> None:
        self._waiting.append(look)
        if self._channel is not None:
            self._declare(look)

    def _declare(self, look: _Look) -> None:
        def answered(frame: Any) -> None:
            if self._waiting and self._waiting[0] is look:
                self._waiting.popleft()
            method = frame.method
            self._found(look, QueueState(True, method.consumer_count, method.message_count))

        self._channel.queue_declare(queue_of(look.host), passive=True, callback=answered)

    def _found(self, look: _Look, state: QueueState | None) -> None:
        if self._ahead.get(look.host) is look:
            del self._ahead[look.host]
        if look.then is not None:
            look.then(state)
        elif state is not None:
            self._fresh[look.host] = (time.monotonic(), state)

    def _open(self) -> None:
        self._connection.channel(on_open_callback=self._on_open)

    def _on_open(self, channel: Any) -> None:
        self._channel = channel
        channel.add_on_close_callback(self._on_closed)
        self._on_ready()
        for look in list(self._waiting):
            self._declare(look)

    def _on_closed(self, channel: Any, reason: Any) -> None:
        """The broker closes the channel over an absent queue: that is the answer to the first."""
        if channel.connection is not self._connection:
            return
        self._channel = None
        first = self._waiting.popleft() if self._waiting else None
        if not (channel.connection.is_closing or channel.connection.is_closed):
            self._open()
        if first is not None:
            absent = getattr(reason, "reply_code", 0) == NOT_FOUND
            self._found(first, QueueState(False, 0, 0) if absent else None)
