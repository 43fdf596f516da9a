"""RabbitMQ transport: one connection, owned by one thread, used by any number of callers.

The owner thread runs pika's event loop; callers hand it work and wait on a future. Requests leave
on channels that carry one each (`pika_channel`). Replies arrive on another channel, in a named,
durable queue of this client: they survive a broken connection and even this process, and are
acknowledged only after they are stored.
"""

import logging
import threading
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from pika.adapters.select_connection import SelectConnection
from pika.exceptions import AMQPError, ConnectionClosedByClient, ConsumerCancelled, NoFreeChannels

from . import brokers
from .broker_errors import ACCESS_REFUSED, NOT_FOUND, explain
from .errors import RabbitMQException
from .pika_channel import LOST, Load, QueueCheck, Request, RequestChannel, collect
from .pika_replies import Unacknowledged
from .requests import counted
from .transport import (
    CLOSED,
    Closed,
    LateReply,
    NotDelivered,
    PendingCall,
    QueueState,
    Replied,
    Result,
    Store,
)

log = logging.getLogger(__name__)

#: An unused reply queue, and what is in it, goes away after this long (milliseconds).
_KEPT = {"x-expires": 24 * 3600 * 1000}
#: Seconds between two rounds over all brokers, and between two tries to get a refused queue.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_FIRST_TRY, _LONGEST_TRY = 1.0, 60.0


class PikaTransport:
    """See `transport.Transport`."""

    def __init__(
        self,
        url: str,
        *,
        on_late: LateReply,
        connect_timeout: float = 10.0,
        tls: Mapping[str, str] | None = None,
    ) -> None:
        try:
            self._brokers = brokers.read(url, tls)
            self._parameters = [b.parameters(timeout=connect_timeout) for b in self._brokers]
        except ValueError as exc:
            raise RabbitMQException(explain(exc, url).sentence) from exc
        self._turn = 0  # which of them is tried or used
        self._on_late = on_late
        self._connect_timeout = connect_timeout
        self.reply_queue = self._durable = _new_name()
        self._own_queue = True  # False: the broker named an exclusive one for us
        self._calls: dict[str, Request] = {}
        self._lock = threading.Lock()
        self._idle: list[RequestChannel] = []
        self._blocked = ""  # the sentence that says so, while the broker takes no requests
        self._unacknowledged = Unacknowledged()
        self._connection: Any = None
        self._replies: Any = None
        self._ready = threading.Event()
        self._attempted = threading.Event()  # connected once, or failed once
        self._stop = threading.Event()
        self._delete_queue = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._own, name="dms-rabbitmq", daemon=True)
        self._thread.start()
        self._attempted.wait(len(self._brokers) * connect_timeout + 1.0)
        if not self._ready.is_set():
            self.close()
            raise self._unreachable()

    # -- for callers, from any thread -----------------------------------------------------------

    def send(self, host: str, body: bytes, *, correlation_id: str, expires: float) -> PendingCall:
        request = Request(
            host,
            body,
            expires,
            call := PendingCall(correlation_id),
            may_publish=self._may_publish,
            resolve=self._resolve,
        )
        self._await_ready(min(expires, self._connect_timeout))
        with self._lock:
            if self._stop.is_set():
                raise RabbitMQException(CLOSED)
            self._calls[correlation_id] = request
        try:
            self._in_owner(lambda: self._begin(request))
        except RabbitMQException:
            self.abandon(call)
            raise
        return call

    def abandon(self, call: PendingCall) -> Result | None:
        with self._lock:
            request = self._calls.pop(call.correlation_id, None)
        if request is None or request.published:
            return call.wait(0)
        return NotDelivered("the broker took nothing in time")

    def queue_state(self, host: str, *, timeout: float = 10.0) -> QueueState:
        self._await_ready(timeout)
        if self._blocked:
            raise RabbitMQException(f"RabbitMQ: {self._blocked}.")
        check = QueueCheck(host)
        self._in_owner(lambda: self._carry(check))
        try:
            state = check.found.result(timeout)
        except TimeoutError:
            state = None
        if state is None:
            raise RabbitMQException("The broker did not say in time whether the queue exists.")
        return state

    def collect(self, reply_queue: str, store: Store, *, timeout: float = 10.0) -> None:
        if reply_queue == self.reply_queue:  # this client consumes it already
            return
        broker = self._brokers[self._turn]
        try:
            collect(broker, reply_queue, store, timeout)
        except (AMQPError, ValueError) as exc:
            raise RabbitMQException(explain(exc, broker.address).sentence) from exc

    def close(self, *, keep_replies: bool = False) -> None:
        with self._lock:
            first = not self._stop.is_set()
            self._stop.set()
        if first:  # what may still be answered is looked for in the queue by a later re-check
            self._delete_queue = not (self._end_calls() or keep_replies) and self._own_queue
        connection = self._connection
        if connection is not None:
            try:
                connection.ioloop.add_callback_threadsafe(self._shut)
            except (AMQPError, OSError, RuntimeError):
                log.debug("The connection was closed already.")
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=self._connect_timeout + 5.0)

    def _end_calls(self) -> bool:
        """Nobody waits for the timeout of a closed client; True when some request was sent."""
        with self._lock:
            ended = list(self._calls.values())
            self._calls.clear()
            for request in ended:
                unsent = NotDelivered("the DMS client was closed before it was sent")
                request.call.resolve(Closed() if request.published else unsent)
        return any(request.published for request in ended)

    def _await_ready(self, timeout: float) -> None:
        if self._stop.is_set():
            raise RabbitMQException(CLOSED)
        if not self._ready.wait(timeout):
            raise self._unreachable()

    def _unreachable(self) -> RabbitMQException:
        found = explain(self._failure or TimeoutError(), self._brokers[self._turn].address)
        others = len(self._brokers) - 1
        more = f" So did {counted(others, 'other broker')}." if others else ""
        return RabbitMQException(found.sentence + more)

    def _in_owner(self, work: Callable[[], None]) -> None:
        connection = self._connection
        try:
            connection.ioloop.add_callback_threadsafe(work)
        except (AttributeError, AMQPError, OSError, RuntimeError) as exc:
            raise RabbitMQException("RabbitMQ: the connection was just lost; try again.") from exc

    # -- the owner thread -----------------------------------------------------------------------

    def _own(self) -> None:
        pause = _FIRST_PAUSE
        while not self._stop.is_set():
            try:
                self._connection = SelectConnection(
                    self._parameters[self._turn],
                    on_open_callback=self._on_open,
                    on_open_error_callback=self._on_open_error,
                    on_close_callback=self._on_close,
                )
                if not self._stop.is_set():
                    self._connection.ioloop.start()
            except Exception as exc:
                self._failure = exc
                log.warning("The connection to the broker failed.", exc_info=exc)
            if self._ready.is_set():
                pause = _FIRST_PAUSE
            self._forget_connection()
            self._turn = (self._turn + 1) % len(self._brokers)
            if self._turn == 0:  # the last of them was tried
                self._attempted.set()
                self._stop.wait(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
        self._ready.clear()

    def _forget_connection(self) -> None:
        """The connection is gone: requests not yet published are surely not sent."""
        self._ready.clear()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.ioloop.close()
        self._replies = None
        self._idle.clear()
        self._unacknowledged.forget()
        self._blocked = ""
        self._refuse_unpublished(LOST)

    def _refuse_unpublished(self, reason: str) -> None:
        with self._lock:
            waiting = [request for request in self._calls.values() if not request.published]
        for request in waiting:
            self._resolve(request, NotDelivered(reason))

    def _on_open(self, connection: Any) -> None:
        self._own_queue = True  # rights may have returned
        connection.add_on_connection_blocked_callback(self._on_blocked)
        connection.add_on_connection_unblocked_callback(self._on_unblocked)
        connection.channel(on_open_callback=self._on_replies_channel)

    def _on_blocked(self, _connection: Any, frame: Any) -> None:
        """The broker is short of memory or disk and reads nothing more from this connection."""
        why = frame.method.reason or "it gives no reason"
        self._hold_up(f"the broker takes no requests at the moment ({why})")
        log.warning("RabbitMQ: %s.", self._blocked)
        self._refuse_unpublished(self._blocked)

    def _on_unblocked(self, _connection: Any, _frame: Any) -> None:
        self._hold_up("")

    def _hold_up(self, why: str) -> None:
        self._blocked = why
        with self._lock:
            for request in self._calls.values():
                request.call.held_up = why

    def _on_open_error(self, connection: Any, error: BaseException) -> None:
        self._failure = error
        connection.ioloop.stop()

    def _on_close(self, connection: Any, reason: BaseException) -> None:
        if not self._stop.is_set():
            if not isinstance(
                reason, ConnectionClosedByClient
            ):  # else what made us close it counts
                self._failure = reason
            said = str(self._failure)[:200]
            log.warning("The broker connection was lost; reconnecting (%s).", said)
        connection.ioloop.stop()

    def _shut(self) -> None:
        self._unacknowledged.acknowledge()
        connection = self._connection
        delete, self._delete_queue = self._delete_queue and not self._unacknowledged, False
        if delete and self._replies is not None and self._replies.is_open:
            self._replies.queue_delete(self.reply_queue, callback=lambda _frame: self._shut())
        elif connection.is_open:
            connection.close()
        else:
            connection.ioloop.stop()

    # -- requests -------------------------------------------------------------------------------

    def _begin(self, request: Request) -> None:
        self._unacknowledged.acknowledge()  # in the same packet
        request.reply_to = self.reply_queue
        if self._blocked:
            self._resolve(request, NotDelivered(self._blocked))
        else:
            self._carry(request)

    def _carry(self, load: Load) -> None:
        connection = self._connection
        if connection is None or not connection.is_open:
            load.checked(None)
            return
        while self._idle:
            channel = self._idle.pop()
            if channel.usable:
                channel.carry(load)
                return
        try:
            RequestChannel(connection, load, self._idle.append)
        except NoFreeChannels:
            load.refused("the connection has no free channel: too many requests at once")

    def _may_publish(self, request: Request) -> bool:
        """Not what was given up, or was told to be not delivered, while its look was on its way."""
        with self._lock:
            request.published = request.call.correlation_id in self._calls
            return request.published

    def _resolve(self, request: Request, result: Result) -> None:
        with self._lock:
            self._calls.pop(request.call.correlation_id, None)
            request.call.resolve(result)

    # -- replies --------------------------------------------------------------------------------

    def _on_replies_channel(self, channel: Any) -> None:
        self._replies = channel
        channel.add_on_close_callback(self._on_replies_closed)
        channel.add_on_cancel_callback(self._on_replies_cancelled)
        if self._own_queue:
            self._declare_durable(channel, self._on_queue)
        else:
            channel.queue_declare("", exclusive=True, callback=self._on_queue)

    def _declare_durable(self, channel: Any, then: Callable[[Any], None]) -> None:
        channel.queue_declare(self._durable, durable=True, arguments=_KEPT, callback=then)

    def _on_queue(self, frame: Any) -> None:
        self.reply_queue = frame.method.queue
        self._replies.basic_consume(
            self.reply_queue, on_message_callback=self._on_reply, callback=self._on_consuming
        )

    def _on_consuming(self, _frame: Any) -> None:
        self._ready.set()
        self._attempted.set()

    def _on_replies_closed(self, channel: Any, reason: Any) -> None:
        connection = channel.connection
        if self._stop.is_set() or connection.is_closing or connection.is_closed:
            return
        refused = getattr(reason, "reply_code", 0) == ACCESS_REFUSED
        if refused and self._own_queue and self._durable in str(getattr(reason, "reply_text", "")):
            # A user that may only make queues the broker names: replies then end with us.
            self._own_queue = False
            connection.channel(on_open_callback=self._on_replies_channel)
            self._ask_again(connection, _FIRST_TRY)
            return
        if getattr(reason, "reply_code", 0) == NOT_FOUND and self._own_queue:
            # The node of the cluster that it lives on is away. It is looked into by re-checks.
            self._durable = _new_name()
        self._begin_again(connection, reason)

    def _on_replies_cancelled(self, frame: Any) -> None:
        """Somebody deleted the reply queue, or its node is gone: no reply would arrive any more."""
        if self._stop.is_set():
            return  # it was deleted by us
        log.warning("The reply queue %s went away.", self.reply_queue)
        self._begin_again(self._connection, ConsumerCancelled(frame.method))

    def _begin_again(self, connection: Any, reason: BaseException) -> None:
        self._ready.clear()  # whoever sends waits for the next connection
        self._failure = reason
        if connection.is_open:
            connection.close()

    def _ask_again(self, connection: Any, pause: float) -> None:
        """Try for the durable queue on side channels, each of which a refusal costs."""

        def opened(channel: Any) -> None:
            channel.add_on_close_callback(closed)
            self._declare_durable(channel, lambda _frame: made(channel))

        def closed(_channel: Any, reason: Any) -> None:
            if getattr(reason, "reply_code", 0) == ACCESS_REFUSED and connection.is_open:
                self._ask_again(connection, min(pause * 2, _LONGEST_TRY))

        def made(channel: Any) -> None:
            channel.close()
            if connection.is_open:
                self._own_queue = True  # the old channel stays: replies to its queue may still come
                connection.channel(on_open_callback=self._on_replies_channel)

        def due() -> None:
            if connection.is_open:
                connection.channel(on_open_callback=opened)

        connection.ioloop.call_later(pause, due)

    def _on_reply(self, channel: Any, method: Any, properties: Any, body: bytes) -> None:
        correlation_id = properties.correlation_id or ""
        keep = self._unacknowledged.took(channel, method.delivery_tag)
        with self._lock:
            request = self._calls.pop(correlation_id, None)
            if request is not None:  # inside the lock: whoever gives up finds it here or there
                request.call.resolve(Replied(body, keep))
                return
        self._on_late(correlation_id, body, keep)


def _new_name() -> str:
    return f"dms.reply.{uuid.uuid4()}"
