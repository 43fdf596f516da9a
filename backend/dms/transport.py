"""How requests travel: the interface both transports keep."""

import contextlib
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from typing import Protocol

from .errors import RabbitMQException

#: What to do with a reply nobody waits for any more: (correlation id, body, keep).
#: `keep()` is called once the reply is stored; until then the broker keeps it too.
LateReply = Callable[[str, bytes, Callable[[], None]], None]
#: Keeps a reply with its operation: (correlation id, body). The broker keeps it until then.
Store = Callable[[str, bytes], None]
CLOSED = "The DMS client is closed."


def queue_of(host: str) -> str:
    """The queue a host's DMS server reads."""
    return f"dms.{host}"


@dataclass(frozen=True)
class QueueState:
    """What a passive look found. depth: messages waiting."""

    exists: bool
    consumers: int
    depth: int


class QueueUnknown(RabbitMQException):
    """The broker answers, and does not say whether this queue exists."""


@dataclass(frozen=True)
class NotDelivered:
    """The request surely reached nobody; `reason` is one sentence."""

    reason: str


@dataclass(frozen=True)
class Replied:
    """The server answered `body`. `keep()` tells the broker that the answer is safely stored."""

    body: bytes
    keep: Callable[[], None]


@dataclass(frozen=True)
class Closed:
    """The client was closed while the server worked; the answer goes to the reply queue."""


Result = NotDelivered | Replied | Closed


class PendingCall(Future[Result]):
    """A request on its way; filled by the transport's thread, awaited by the caller's."""

    def __init__(self, correlation_id: str) -> None:
        super().__init__()
        self.correlation_id = correlation_id
        #: Requests that waited in the host's queue when this one was sent; not those in work.
        self.ahead = 0
        #: What the broker said meanwhile that may be why no answer comes.
        self.held_up = ""

    def wait(self, seconds: float) -> Result | None:
        """The result, or None when `seconds` pass without one."""
        try:
            return self.result(max(0.0, seconds))
        except TimeoutError:
            return None

    def resolve(self, result: Result) -> None:
        """The first result counts."""
        with contextlib.suppress(InvalidStateError):
            self.set_result(result)


class Transport(Protocol):
    """Safe to use from many threads at once."""

    #: Where replies arrive; recorded with each operation so that they can be collected later.
    reply_queue: str

    def send(self, host: str, body: bytes, *, correlation_id: str, expires: float) -> PendingCall:
        """Look for the host's queue and its consumer, then send.

        expires: seconds after which the broker throws the message away undelivered. Raises
        RabbitMQException when the broker cannot be reached; then nothing was sent.
        """

    def abandon(self, call: PendingCall) -> Result | None:
        """Stop waiting. A result that came in the last instant is returned, never lost."""

    def queue_state(self, host: str, *, timeout: float = 10.0) -> QueueState:
        """The host's queue, by a passive declaration; nothing is declared. Raises QueueUnknown."""

    def collect(self, reply_queue: str, store: Store, *, timeout: float = 10.0) -> None:
        """`store` the replies that a vanished client left in `reply_queue`.

        What `store` raises is passed on, and that reply stays where it was.
        """

    def close(self, *, keep_replies: bool = False) -> None:
        """Close; whoever still waits gets Closed, or NotDelivered when nothing was sent.

        The reply queue is left behind when a reply may be owed to it: one of those, one that was
        given out and not stored, and with keep_replies (outcomes are unknown) in any case.
        """
