"""Passive looks at queues: on a channel of their own, because asking for an absent queue closes it.

Everything here runs in the transport's owner thread. A request is sent on a look that is at most
`FRESH` old, which is as sure as one made for it alone: what a server does after the look is not
seen in either case. So requests that come close together share one, and with a reply the look for
the request that probably follows is sent ahead.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from .transport import QueueState, queue_of

NOT_FOUND = 404
#: Seconds for which what a look found may be used; only good news is kept at all.
FRESH = 0.01

#: Called with what was found, or None when the connection was lost.
Then = Callable[[QueueState | None], None]


class _Look:
    """A look on its way. thens: who waits for it; nobody does when it was sent ahead."""

    def __init__(self, host: str, *thens: Then) -> None:
        self.host = host
        self.thens = list(thens)


class Looks:
    """The look channel of one connection after the other."""

    def __init__(self, on_ready: Callable[[], None]) -> None:
        self._on_ready = on_ready
        self._connection: Any = None
        self._channel: Any = None
        self._waiting: deque[_Look] = deque()  # in the order in which the broker answers
        self._shared: dict[str, _Look] = {}  # on its way, by host: others may wait for it too
        self._fresh: dict[str, tuple[float, QueueState]] = {}

    def attach(self, connection: Any) -> None:
        """A new connection is open; `on_ready` is called once it can be asked."""
        self._connection = connection
        self._open()

    def detach(self) -> None:
        """The connection is gone; whoever waits is told so."""
        self._connection = self._channel = None
        self._shared.clear()
        self._fresh.clear()
        waiting, self._waiting = self._waiting, deque()
        for look in waiting:
            for then in look.thens:
                then(None)

    def ask(self, host: str, then: Then) -> None:
        """Look at the host's queue now, whatever was found a moment ago."""
        self._send(_Look(host, then))

    def ask_for_request(self, host: str, then: Then) -> None:
        """Before a request: what a look found within the last `FRESH` seconds, or will find."""
        state = self._found_lately(host, FRESH)
        coming = self._shared.get(host)
        if state is not None:
            then(state)
        elif coming is not None:
            coming.thens.append(then)
        else:
            self._shared[host] = look = _Look(host, then)
            self._send(look)

    def send_ahead(self, host: str) -> None:
        """Look for the request that probably comes next, unless the last look is young enough."""
        if (
            self._channel is not None
            and host not in self._shared
            and self._found_lately(host, FRESH / 2) is None
        ):
            self._shared[host] = look = _Look(host)
            self._send(look)

    def _found_lately(self, host: str, seconds: float) -> QueueState | None:
        made, state = self._fresh.get(host, (0.0, None))
        return state if time.monotonic() - made <= seconds else None

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
        if self._shared.get(look.host) is look:
            del self._shared[look.host]
        if state is not None and state.consumers:
            self._fresh[look.host] = (time.monotonic(), state)
        else:
            self._fresh.pop(look.host, None)
        for then in look.thens:
            then(state)

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
