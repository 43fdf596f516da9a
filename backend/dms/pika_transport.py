"""RabbitMQ transport: one connection, owned by one thread, used by any number of callers.

The owner thread runs pika's event loop; callers hand it work with `add_callback_threadsafe` and
wait on an event. Replies arrive in a named, durable queue of this client: they survive a broken
connection and even this process, and are acknowledged only after they are stored. A request is
looked after in this order: passive look (queue? consumer?), publish (mandatory, confirmed,
persistent, expiring), reply.
"""

import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import pika
from pika.adapters.select_connection import SelectConnection
from pika.exceptions import AMQPError

from . import brokers, pika_collect, pika_rights
from .broker_errors import explain
from .errors import RabbitMQException
from .pika_acks import Acknowledgements
from .pika_looks import Looks
from .pika_rights import ACCESS_REFUSED
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
    Sending,
    Store,
    queue_of,
)

log = logging.getLogger(__name__)

#: An unused reply queue, and what is in it, goes away after this long (milliseconds).
_KEPT = {"x-expires": 24 * 3600 * 1000}
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0


class PikaTransport:
    """See `backend.dms.transport.Transport`."""

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
        self.reply_queue = self._durable = f"dms.reply.{uuid.uuid4()}"
        self._own_queue = True  # False: the broker named an exclusive one for us
        self._calls: dict[str, Sending] = {}
        self._calls_lock = threading.Lock()
        self._looks = Looks(self._on_looks_ready)
        self._unconfirmed: dict[int, Sending] = {}
        self._acks = Acknowledgements()
        self._published = 0
        self._blocked = ""  # the sentence that says so, while the broker takes no requests
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
        sending = Sending(host, body, expires, call := PendingCall(correlation_id))
        self._await_ready(min(expires, self._connect_timeout))
        with self._calls_lock:
            if self._stop.is_set():
                raise RabbitMQException(CLOSED)
            self._calls[correlation_id] = sending
        try:
            self._in_owner(lambda: self._begin(sending))
        except RabbitMQException:
            self.abandon(call)
            raise
        return call

    def abandon(self, call: PendingCall) -> Result | None:
        with self._calls_lock:
            sending = self._calls.pop(call.correlation_id, None)
            if sending is not None:
                sending.given_up = True
        if sending is None or sending.published:
            return call.wait(0)
        return NotDelivered("the broker took nothing in time")

    def look(self, host: str, *, timeout: float = 10.0) -> QueueState:
        self._await_ready(timeout)
        answer: deque[QueueState | None] = deque()
        done = threading.Event()

        def then(state: QueueState | None) -> None:
            answer.append(state)
            done.set()

        self._in_owner(lambda: self._looks.ask(host, then))
        if not done.wait(timeout) or answer[0] is None:
            raise RabbitMQException("The broker did not say in time whether the queue exists.")
        return answer[0]

    def collect(self, reply_queue: str, store: Store, *, timeout: float = 10.0) -> None:
        if reply_queue != self.reply_queue:  # its own this client consumes already
            pika_collect.collect(self._brokers[self._turn], reply_queue, store, timeout=timeout)

    def close(self, *, keep_replies: bool = False) -> None:
        with self._calls_lock:
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
        with self._calls_lock:
            ended = list(self._calls.values())
            self._calls.clear()
            for sending in ended:
                sending.given_up = True
                unsent = NotDelivered("the DMS client was closed before it was sent")
                sending.call.resolve(Closed() if sending.published else unsent)
        return any(sending.published for sending in ended)

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
        self._unconfirmed.clear()
        self._acks.detach()
        self._blocked = ""
        self._looks.detach()
        for sending in self._unpublished():  # handed to a loop that had ended already
            self._looked(sending, None)

    def _unpublished(self) -> list[Sending]:
        with self._calls_lock:
            return [sending for sending in self._calls.values() if not sending.published]

    def _on_open(self, connection: Any) -> None:
        self._own_queue = True  # rights may have returned
        self._acks.attach(connection)
        connection.add_on_connection_blocked_callback(self._on_blocked)
        connection.add_on_connection_unblocked_callback(self._on_unblocked)
        connection.channel(on_open_callback=self._on_replies_channel)

    def _on_blocked(self, _connection: Any, frame: Any) -> None:
        """The broker is short of memory or disk and reads nothing more from this connection."""
        why = frame.method.reason or "it gives no reason"
        self._blocked = f"the broker takes no requests at the moment ({why})"
        log.warning("RabbitMQ: %s.", self._blocked)
        for sending in self._unpublished():
            self._resolve(sending, NotDelivered(self._blocked))

    def _on_unblocked(self, _connection: Any, _frame: Any) -> None:
        self._blocked = ""

    def _on_open_error(self, connection: Any, error: BaseException) -> None:
        self._failure = error
        connection.ioloop.stop()

    def _on_close(self, connection: Any, reason: BaseException) -> None:
        if not self._stop.is_set():
            self._failure = reason
            log.warning("The broker connection was lost; reconnecting (%s).", str(reason)[:200])
        connection.ioloop.stop()

    def _shut(self) -> None:
        connection = self._connection
        self._acks.flush()
        delete, self._delete_queue = self._delete_queue and not self._acks.owed, False
        if delete and self._replies is not None and self._replies.is_open:
            self._replies.queue_delete(self.reply_queue, callback=lambda _frame: self._shut())
        elif connection.is_open:
            connection.close()
        else:
            connection.ioloop.stop()

    # -- channels -------------------------------------------------------------------------------

    def _on_replies_channel(self, channel: Any) -> None:
        self._replies = channel
        self._published = 0
        channel.add_on_close_callback(self._on_replies_closed)
        channel.add_on_return_callback(self._on_return)
        channel.confirm_delivery(self._on_confirm)
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
        if not self._ready.is_set():
            self._looks.attach(self._connection)

    def _take_durable(self) -> None:
        """The broker has made the durable queue after all: replies go there from now on."""
        connection = self._connection
        if connection is not None and connection.is_open and self._unconfirmed:
            connection.ioloop.call_later(0.1, self._take_durable)  # they are counted by channel
        elif connection is not None and connection.is_open:
            self._own_queue = True  # the old channel stays: replies to its queue may still come
            connection.channel(on_open_callback=self._on_replies_channel)

    def _on_looks_ready(self) -> None:
        self._ready.set()
        self._attempted.set()

    def _on_replies_closed(self, channel: Any, reason: Any) -> None:
        if self._stop.is_set() or channel.connection.is_closing or channel.connection.is_closed:
            return
        said = str(getattr(reason, "reply_text", ""))
        refused = getattr(reason, "reply_code", 0) == ACCESS_REFUSED
        if refused and "exchange" in said and len(self._unconfirmed) == 1:
            # Surely this one's publish; of several, earlier ones may have been routed already.
            _tag, sending = self._unconfirmed.popitem()
            self._resolve(sending, NotDelivered(f"the broker refused to take it ({said})"))
        if refused and self._own_queue and self._durable in said:
            # A user that may only make queues the broker names: replies then end with us.
            self._own_queue = False
            channel.connection.channel(on_open_callback=self._on_replies_channel)
            pika_rights.ask(channel.connection, self._declare_durable, self._take_durable)
            return
        self._failure = reason
        channel.connection.close()

    def _begin(self, sending: Sending) -> None:
        if self._blocked:
            self._resolve(sending, NotDelivered(self._blocked))
            return
        self._acks.before_request()
        self._looks.ask_for_request(sending.host, lambda state: self._looked(sending, state))

    def _looked(self, sending: Sending, state: QueueState | None) -> None:
        queue = queue_of(sending.host)
        if state is None:
            reason = "the connection to the broker was lost before the request was sent"
        elif not state.exists:
            reason = f"there is no queue {queue}; check the host's name and its DMS server"
        elif not state.consumers:
            reason = f"nobody reads the queue {queue}; the DMS server on {sending.host} is down"
        else:
            self._publish(sending, queue)
            return
        self._resolve(sending, NotDelivered(reason))

    def _publish(self, sending: Sending, queue: str) -> None:
        left = sending.deadline - time.monotonic()
        if left <= 0:
            self._resolve(sending, NotDelivered("its time was over before it could be sent"))
            return
        with self._calls_lock:
            if sending.given_up:
                return
            sending.published = True
        self._published += 1
        self._unconfirmed[self._published] = sending
        self._replies.basic_publish(
            exchange="",
            routing_key=queue,
            body=sending.body,
            properties=pika.BasicProperties(
                reply_to=self.reply_queue,
                correlation_id=sending.call.correlation_id,
                delivery_mode=2,
                content_type="application/json",
                expiration=str(max(1, int(left * 1000))),
            ),
            mandatory=True,
        )

    def _on_confirm(self, frame: Any) -> None:
        method = frame.method
        upto = method.delivery_tag
        tags = [t for t in self._unconfirmed if t <= upto] if method.multiple else [upto]
        for tag in tags:
            sending = self._unconfirmed.pop(tag, None)
            if sending is not None and isinstance(method, pika.spec.Basic.Nack):
                self._resolve(sending, NotDelivered("the broker refused to take the request"))

    def _on_return(self, _channel: Any, method: Any, properties: Any, _body: bytes) -> None:
        """Mandatory and no queue: it went away between the look and the publish."""
        with self._calls_lock:
            sending = self._calls.get(properties.correlation_id or "")
        if sending is not None:
            self._resolve(
                sending,
                NotDelivered(f"the queue {method.routing_key} went away ({method.reply_text})"),
            )

    def _on_reply(self, channel: Any, method: Any, properties: Any, body: bytes) -> None:
        correlation_id = properties.correlation_id or ""
        keep = self._acks.keeper(channel, method.delivery_tag)
        with self._calls_lock:
            sending = self._calls.pop(correlation_id, None)
            if sending is not None:  # inside the lock: whoever gives up finds it here or there
                sending.call.resolve(Replied(body, keep))
        if sending is not None:
            self._looks.send_ahead(sending.host)
        else:
            self._on_late(correlation_id, body, keep)

    def _resolve(self, sending: Sending, result: Result) -> None:
        with self._calls_lock:
            self._calls.pop(sending.call.correlation_id, None)
            sending.call.resolve(result)
