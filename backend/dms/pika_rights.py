"""Asking again for a queue that the broker refused. Runs in the transport's owner thread."""

from collections.abc import Callable
from typing import Any

ACCESS_REFUSED = 403
#: Seconds before the first try, and between two at most.
FIRST, LONGEST = 1.0, 60.0

#: Declares the queue on a channel, and calls back when the broker has made it.
Declare = Callable[[Any, Callable[[Any], None]], None]


def ask(
    connection: Any, declare: Declare, granted: Callable[[], None], pause: float = FIRST
) -> None:
    """`declare` on a side channel, which a refusal costs, until the broker grants it."""

    def opened(channel: Any) -> None:
        channel.add_on_close_callback(closed)
        declare(channel, lambda _frame: done(channel))

    def closed(_channel: Any, reason: Any) -> None:
        if getattr(reason, "reply_code", 0) == ACCESS_REFUSED and connection.is_open:
            ask(connection, declare, granted, min(pause * 2, LONGEST))

    def done(channel: Any) -> None:
        channel.close()
        granted()

    def due() -> None:
        if connection.is_open:
            connection.channel(on_open_callback=opened)

    connection.ioloop.call_later(pause, due)
