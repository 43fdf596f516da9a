"""Which replies the broker may forget: those that are stored. Runs in the transport's owner thread.

Acknowledging can wait: the owner does it for many together, or a moment later, which spares waking
it and the broker for every reply.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

#: Stored replies are acknowledged within this many seconds, and when this many have come together.
ACKNOWLEDGE_WITHIN = 0.05
ACKNOWLEDGE_AT_ONCE = 32


class Acknowledgements:
    """Replies of one connection that were given out, until they are acknowledged."""

    def __init__(self) -> None:
        self._stored: deque[tuple[Any, int]] = deque()  # filled from any thread
        self._owed = 0
        self._connection: Any = None
        self._armed = False

    @property
    def owed(self) -> bool:
        """Whether some reply is given out and not acknowledged: the broker must keep it."""
        return self._owed > 0

    def attach(self, connection: Any) -> None:
        self._connection = connection

    def detach(self) -> None:
        """The connection is gone: what was not acknowledged comes again with the next one."""
        self._connection = None
        self._stored.clear()
        self._owed, self._armed = 0, False

    def keeper(self, channel: Any, tag: int) -> Callable[[], None]:
        """A reply is given out; what is returned notes, from any thread, that it is stored."""
        self._owed += 1
        if not self._armed:
            self._arm()
        return lambda: self._stored.append((channel, tag))

    def before_request(self) -> None:
        """Many acknowledgements travel with a request."""
        if len(self._stored) >= ACKNOWLEDGE_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        while self._stored:
            channel, tag = self._stored.popleft()
            self._owed = max(0, self._owed - 1)
            if channel.is_open:
                channel.basic_ack(tag)

    def _arm(self) -> None:
        self._armed = True
        self._connection.ioloop.call_later(ACKNOWLEDGE_WITHIN, self._on_time)

    def _on_time(self) -> None:
        self._armed = False
        self.flush()
        if self._owed and self._connection is not None:
            self._arm()
