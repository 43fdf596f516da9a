"""A channel that carries one request at a time, so that what closes it concerns just that request.

A request goes: passive look (does the queue exist, does anybody read it?), publish (mandatory,
persistent, expiring), the broker's confirmation. Everything here runs in the transport's owner
thread.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol

import pika
from pika.exceptions import ChannelClosedByBroker

from .broker_errors import NOT_FOUND, queue_is_away
from .brokers import Broker
from .transport import NotDelivered, PendingCall, QueueState, QueueUnknown, Store, queue_of

LOST = "the connection to the broker was lost before the request was sent"
#: Replies of a vanished client that one look takes.
_MOST_COLLECTED = 10_000


class Load(Protocol):
    """What a channel carries."""

    host: str

    def checked(self, state: QueueState | None) -> bool:
        """Take what was found, None when the connection was lost; True: publish now."""

    def publish(self, channel: Any) -> None: ...

    def refused(self, reason: str) -> None:
        """It surely reached nobody."""


class QueueCheck:
    """A passive declaration and nothing after it."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.found: Future[QueueState | None] = Future()

    def checked(self, state: QueueState | None) -> bool:
        if not self.found.done():
            self.found.set_result(state)
        return False

    def publish(self, channel: Any) -> None:
        """Never: `checked` says no."""

    def refused(self, reason: str) -> None:
        if not self.found.done():
            self.found.set_exception(QueueUnknown(f"RabbitMQ: {reason}."))


class Request:
    """A request on its way. published: kept under the transport's lock."""

    def __init__(
        self,
        host: str,
        body: bytes,
        expires: float,
        call: PendingCall,
        *,
        may_publish: Callable[["Request"], bool],
        resolve: Callable[["Request", NotDelivered], None],
    ) -> None:
        self.host = host
        self.call = call
        self.reply_to = ""
        self.published = False
        self._body = body
        self._deadline = time.monotonic() + expires
        self._may_publish = may_publish
        self._resolve = resolve

    def checked(self, state: QueueState | None) -> bool:
        queue = queue_of(self.host)
        if state is None:
            reason = LOST
        elif not state.exists:
            reason = f"there is no queue {queue}; check the host's name and its DMS server"
        elif not state.consumers:
            reason = f"nobody reads the queue {queue}; the DMS server on {self.host} is down"
        elif self._deadline <= time.monotonic():
            reason = "its time was over before it could be sent"
        else:
            self.call.ahead = state.depth
            return self._may_publish(self)
        self.refused(reason)
        return False

    def publish(self, channel: Any) -> None:
        left = self._deadline - time.monotonic()
        channel.basic_publish(
            exchange="",
            routing_key=queue_of(self.host),
            body=self._body,
            properties=pika.BasicProperties(
                reply_to=self.reply_to,
                correlation_id=self.call.correlation_id,
                delivery_mode=2,
                content_type="application/json",
                expiration=str(max(1, int(left * 1000))),
            ),
            mandatory=True,
        )

    def refused(self, reason: str) -> None:
        self._resolve(self, NotDelivered(reason))


class RequestChannel:
    """One channel of a connection; `free` gets it back once it can carry the next."""

    def __init__(self, connection: Any, load: Load, free: Callable[["RequestChannel"], None]):
        self._load: Load | None = load
        self._published = False
        self._free = free
        self._channel: Any = None
        connection.channel(on_open_callback=self._on_open)

    @property
    def usable(self) -> bool:
        return bool(self._channel.is_open)

    def carry(self, load: Load) -> None:
        self._load, self._published = load, False
        queue = queue_of(load.host)
        self._channel.queue_declare(queue, passive=True, callback=self._on_checked)

    def _on_open(self, channel: Any) -> None:
        self._channel = channel
        channel.add_on_close_callback(self._on_closed)
        channel.add_on_return_callback(self._on_return)
        channel.confirm_delivery(self._on_confirm)
        if self._load is not None:
            self.carry(self._load)

    def _on_checked(self, frame: Any) -> None:
        load, found = self._load, frame.method
        if load is None:
            return
        if load.checked(QueueState(True, found.consumer_count, found.message_count)):
            self._published = True
            load.publish(self._channel)
        else:
            self._done()

    def _on_return(self, _channel: Any, method: Any, _properties: Any, _body: bytes) -> None:
        """Mandatory and no queue: it went away between the look and the publish."""
        if self._load is not None:
            reason = f"the queue {method.routing_key} went away ({method.reply_text})"
            self._load.refused(reason)

    def _on_confirm(self, frame: Any) -> None:
        if self._load is not None and isinstance(frame.method, pika.spec.Basic.Nack):
            self._load.refused("the broker refused to take the request")
        self._done()

    def _on_closed(self, channel: Any, reason: Any) -> None:
        """The broker's answer to what the channel carried; or the whole connection is gone."""
        load, self._load = self._load, None
        lost = channel.connection.is_closing or channel.connection.is_closed
        if load is None:
            return
        if lost:
            if not self._published:
                load.checked(None)
        elif not self._published and queue_is_away(reason):
            load.refused(f"the queue {queue_of(load.host)} is on a node of the broker that is away")
        elif not self._published and getattr(reason, "reply_code", 0) == NOT_FOUND:
            load.checked(QueueState(False, 0, 0))
        else:
            said = str(getattr(reason, "reply_text", "")) or "it gives no reason"
            load.refused(f"the broker refused to take it ({said})")

    def _done(self) -> None:
        self._load = None
        self._free(self)


def collect(broker: Broker, reply_queue: str, store: Store, timeout: float) -> None:
    """`store` what waits in the queue, if there is one; each is taken out once it is stored."""
    connection = pika.BlockingConnection(broker.parameters(timeout=timeout))
    try:
        channel = connection.channel()
        for _ in range(_MOST_COLLECTED):
            method, properties, body = channel.basic_get(reply_queue)
            if method is None:
                break
            store(properties.correlation_id or "", body)
            channel.basic_ack(method.delivery_tag)
    except ChannelClosedByBroker as exc:
        if exc.reply_code != NOT_FOUND:
            raise
    finally:
        if connection.is_open:
            connection.close()
