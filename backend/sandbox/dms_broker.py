"""In-memory transport: the same interface and the same outcomes, without a broker.

`memory://NAME` names a broker that all clients of this process share. With
`?hosts=compute-01,compute-02` the process starts an agent for each host at first use: it answers
mount and unmount as a DMS server would, so a sandbox needs no other part. Further options:
`latency` (seconds per request), `failing` (target ids whose mount is refused) and `idle` (hosts
whose queue exists while nobody reads it).
"""

import itertools
import json
import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from backend.dms import connect
from backend.dms.errors import RabbitMQException
from backend.dms.transport import (
    CLOSED,
    Closed,
    LateReply,
    NotDelivered,
    PendingCall,
    QueueState,
    Replied,
    Result,
    Store,
    queue_of,
)

log = logging.getLogger(__name__)

#: Reads a request's body and gives the bodies of the replies to send, usually one.
Handler = Callable[[bytes], Iterable[bytes]]


@dataclass(frozen=True)
class _Message:
    body: bytes
    correlation_id: str
    reply_to: str
    expires_at: float


class _Consumer:
    """One reader of a queue: takes one message at a time, in order."""

    def __init__(self, broker: "MemoryBroker", queue: str, handler: Handler) -> None:
        self._broker = broker
        self._queue = queue
        self._handler = handler
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"memory-{queue}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._broker.remove(self._queue, self)

    def _run(self) -> None:
        while not self._stopped.is_set():
            message = self._broker.take(self._queue, self._stopped)
            if message is None:
                continue
            try:
                for body in self._handler(message.body):
                    self._broker.reply(message.reply_to, message.correlation_id, body)
            except Exception as exc:
                log.warning("An in-memory DMS agent died while answering.", exc_info=exc)
                self.stop()


class MemoryBroker:
    """Queues of one process."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._queues: dict[str, deque[_Message]] = {}
        self._consumers: dict[str, list[_Consumer]] = {}
        self._clients: dict[str, Callable[[str, bytes], None]] = {}
        self._left: dict[str, list[tuple[str, bytes]]] = {}

    def declare(self, queue: str) -> None:
        with self._changed:
            self._queues.setdefault(queue, deque())

    def delete(self, queue: str) -> None:
        with self._changed:
            self._queues.pop(queue, None)

    def consume(self, queue: str, handler: Handler) -> _Consumer:
        """Start answering what arrives in `queue`; stop it with `.stop()`."""
        self.declare(queue)
        consumer = _Consumer(self, queue, handler)
        with self._changed:
            self._consumers.setdefault(queue, []).append(consumer)
        return consumer

    def remove(self, queue: str, consumer: _Consumer) -> None:
        with self._changed:
            if consumer in self._consumers.get(queue, []):
                self._consumers[queue].remove(consumer)
            self._changed.notify_all()

    def state(self, queue: str) -> QueueState:
        with self._changed:
            if queue not in self._queues:
                return QueueState(False, 0, 0)
            consumers = len(self._consumers.get(queue, []))
            return QueueState(True, consumers, len(self._queues[queue]))

    def publish(self, queue: str, message: _Message) -> None:
        with self._changed:
            self._queues[queue].append(message)
            self._changed.notify_all()

    def take(self, queue: str, stopped: threading.Event) -> _Message | None:
        """The next message that has not expired; waits for one, or for `stopped`."""
        with self._changed:
            waiting = self._queues.get(queue)
            while waiting:
                message = waiting.popleft()
                if message.expires_at > time.monotonic():
                    return message
            if not stopped.is_set():
                self._changed.wait(1.0)
        return None

    def attach(self, reply_queue: str, deliver: Callable[[str, bytes], None]) -> None:
        with self._changed:
            self._clients[reply_queue] = deliver

    def detach(self, reply_queue: str, *, keep: bool) -> None:
        with self._changed:
            self._clients.pop(reply_queue, None)
            if keep:
                self._left.setdefault(reply_queue, [])
            else:
                self._left.pop(reply_queue, None)

    def reply(self, reply_queue: str, correlation_id: str, body: bytes) -> None:
        with self._changed:
            deliver = self._clients.get(reply_queue)
            if deliver is None and reply_queue in self._left:
                self._left[reply_queue].append((correlation_id, body))
        if deliver is not None:
            deliver(correlation_id, body)

    def leave(self, reply_queue: str, correlation_id: str, body: bytes) -> None:
        """Put a reply back that its client could not store."""
        with self._changed:
            self._left.setdefault(reply_queue, []).append((correlation_id, body))

    def left_in(self, reply_queue: str) -> list[tuple[str, bytes]]:
        with self._changed:
            return list(self._left.get(reply_queue, []))

    def forget(self, reply_queue: str, reply: tuple[str, bytes]) -> None:
        """A reply that was left is stored now."""
        with self._changed:
            if reply in self._left.get(reply_queue, []):
                self._left[reply_queue].remove(reply)


_brokers: dict[str, MemoryBroker] = {}
_brokers_lock = threading.Lock()


def broker(name: str) -> MemoryBroker:
    """The process's broker called `name`."""
    with _brokers_lock:
        return _brokers.setdefault(name, MemoryBroker())


def agent(*, latency: float = 0.0, failing: frozenset[str] = frozenset()) -> Handler:
    """A DMS server's side: mounts what it is asked to, refuses what is in `failing`.

    Its words are those seen of deployed servers, also where it has nothing to do.
    """
    mounted: set[str] = set()

    def handle(body: bytes) -> Iterable[bytes]:
        time.sleep(latency)
        request = json.loads(body)
        target = request["backup_target"]
        path, kind = target["filesystem_export_mount_path"], target["type"].upper()
        if request["action"] == "mount":
            if target["id"] in failing:
                return [_reply(error_msg=f"Mount failed: permission denied on {path}")]
            if path in mounted:
                return [_reply(success_msg=f"Already mounted at {path}")]
            mounted.add(path)
            return [_reply(success_msg=f"{kind} target mounted successfully at {path}")]
        if path not in mounted:
            return [_reply(success_msg=f"Target not mounted at {path}")]
        mounted.discard(path)
        return [_reply(success_msg=f"Target unmounted successfully from {path}")]

    return handle


def _reply(*, error_msg: str | None = None, success_msg: str | None = None) -> bytes:
    status = "error" if error_msg else "success"
    said = {"status": status, "error_msg": error_msg, "success_msg": success_msg}
    return json.dumps(said).encode()


class MemoryTransport:
    """See `backend.dms.transport.Transport`."""

    def __init__(self, url: str, *, on_late: LateReply) -> None:
        parts = urlsplit(url)
        self._broker = broker(parts.hostname or "default")
        self._on_late = on_late
        self.reply_queue = f"dms.reply.{uuid.uuid4()}"
        self._calls: dict[str, PendingCall] = {}
        self._unstored: dict[int, tuple[str, bytes]] = {}  # replies given out, by number
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._closed = False
        self._start_agents(parse_qs(parts.query))
        self._broker.attach(self.reply_queue, self._deliver)

    def _start_agents(self, options: dict[str, list[str]]) -> None:
        latency = float(options.get("latency", ["0"])[0])
        failing = frozenset(_split(options.get("failing", [])))
        for host in _split(options.get("idle", [])):
            self._broker.declare(queue_of(host))
        for host in _split(options.get("hosts", [])):
            with _brokers_lock:
                queue = queue_of(host)
                if not self._broker.state(queue).consumers:
                    self._broker.consume(queue, agent(latency=latency, failing=failing))

    def send(self, host: str, body: bytes, *, correlation_id: str, expires: float) -> PendingCall:
        if self._closed:
            raise RabbitMQException(CLOSED)
        call = PendingCall(correlation_id)
        queue, state = queue_of(host), self.queue_state(host)
        if not state.exists:
            reason = f"there is no queue {queue}; check the host's name and its DMS server"
            call.resolve(NotDelivered(reason))
        elif not state.consumers:
            reason = f"nobody reads the queue {queue}; the DMS server on {host} is down"
            call.resolve(NotDelivered(reason))
        else:
            call.ahead = state.depth
            with self._lock:
                if self._closed:
                    raise RabbitMQException(CLOSED)
                self._calls[correlation_id] = call
            expires_at = time.monotonic() + expires
            message = _Message(body, correlation_id, self.reply_queue, expires_at)
            self._broker.publish(queue, message)
        return call

    def abandon(self, call: PendingCall) -> Result | None:
        with self._lock:
            self._calls.pop(call.correlation_id, None)
        return call.wait(0)

    def queue_state(self, host: str, *, timeout: float = 10.0) -> QueueState:  # noqa: ARG002
        return self._broker.state(queue_of(host))

    def collect(self, reply_queue: str, store: Store, *, timeout: float = 10.0) -> None:  # noqa: ARG002
        for reply in self._broker.left_in(reply_queue):
            store(*reply)
            self._broker.forget(reply_queue, reply)

    def close(self, *, keep_replies: bool = False) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            ended, self._calls = self._calls, {}
            unstored, self._unstored = self._unstored, {}
            for call in ended.values():
                call.resolve(Closed())
        keep = keep_replies or bool(ended or unstored)
        self._broker.detach(self.reply_queue, keep=keep)
        for correlation_id, body in unstored.values():
            self._broker.leave(self.reply_queue, correlation_id, body)

    def _deliver(self, correlation_id: str, body: bytes) -> None:
        with self._lock:
            if self._closed:
                self._broker.leave(self.reply_queue, correlation_id, body)
                return
            number = next(self._numbers)
            self._unstored[number] = (correlation_id, body)
            call = self._calls.pop(correlation_id, None)
            if call is not None:  # inside the lock: whoever gives up finds it here or there
                call.resolve(Replied(body, lambda: self._keep(number)))
                return
        self._on_late(correlation_id, body, lambda: self._keep(number))

    def _keep(self, number: int) -> None:
        with self._lock:
            self._unstored.pop(number, None)


def _split(values: list[Any]) -> list[str]:
    return [part.strip() for value in values for part in str(value).split(",") if part.strip()]


def _opened(url: str, on_late: LateReply) -> MemoryTransport:
    return MemoryTransport(url, on_late=on_late)


connect.register("memory", _opened)
