"""Replies that were given out: the broker keeps each until it is stored."""

from collections import deque
from collections.abc import Callable
from typing import Any

#: Seconds until stored replies are acknowledged, unless a request that goes out is sooner.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0


class Unacknowledged:
    """True while the broker waits for an acknowledgement.

    Everything here runs in the transport's owner thread, only what `took` returns in any.
    """

    def __init__(self) -> None:
        self._count = 0
        self._stored: deque[tuple[Any, int]] = deque()  # channel and tag
        self._scheduled = False  # for those, in a moment

    def __bool__(self) -> bool:
        return self._count > 0

    def forget(self) -> None:
        """The connection is gone: they come again with the next."""
        self._count = 0
        self._stored.clear()
        self._scheduled = False

    def took(self, channel: Any, tag: int) -> Callable[[], None]:
        """A reply arrived; call the result once it is stored."""
        self._count += 1
        self._acknowledge_soon(channel.connection, _FIRST_PAUSE)
        return lambda: self._stored.append((channel, tag))

    def acknowledge(self) -> None:
        """What is stored by now."""
        while self._stored:
            channel, tag = self._stored.popleft()
            if channel.is_open:
                self._count -= 1
                channel.basic_ack(tag)

    def _acknowledge_soon(self, connection: Any, pause: float) -> None:
        """Until all is stored; to be woken for each reply would cost a mount more."""
        if self._scheduled:
            return
        self._scheduled = True

        def acknowledge() -> None:
            self._scheduled = False
            self.acknowledge()
            if self and connection.is_open:
                self._acknowledge_soon(connection, min(pause * 2, _LONGEST_PAUSE))

        connection.ioloop.call_later(pause, acknowledge)
