"""Replies that nobody waits for any more: stored with their operation, off the broker's thread."""

import logging
import os
import queue
import threading
from collections import deque
from collections.abc import Callable

from .errors import DMSClientException
from .ledger import Ledger
from .transport import Replied, Transport

log = logging.getLogger(__name__)

#: A reply and what tells the broker that it is stored, as `on_late` gets it.
_Late = tuple[str, bytes, Callable[[], None]]


class LateReplies:
    """Stores late replies on a thread of its own, so that a slow ledger stops no heartbeat.

    What the ledger does not take is left here, and stays in the broker too, for a re-check.
    """

    def __init__(self, store: Callable[[str, bytes], None]) -> None:
        self._keep = store
        self._waiting: queue.Queue[_Late | None] = queue.Queue()
        self._left: deque[_Late] = deque()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        #: An operation of this client is unknown: its answer may still come.
        self.owed = False

    def put(self, correlation_id: str, body: bytes, keep: Callable[[], None]) -> None:
        """Called by the transport; returns at once."""
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._work, name="dms-late", daemon=True)
                thread.start()  # may raise: then the next reply tries again
                self._thread = thread
        self._waiting.put((correlation_id, body, keep))

    def _work(self) -> None:
        while (item := self._waiting.get()) is not None:
            try:
                self._store(item)
            except DMSClientException as exc:
                log.warning("A late reply waits for a re-check: %s", exc.message)
                self._left.append(item)

    def leave(self, correlation_id: str, result: Replied) -> None:
        """A reply that could not be written now, or that nobody waits for any more."""
        self._left.append((correlation_id, result.body, result.keep))

    def store_left(self) -> None:
        """Try again what was left; raises DatabaseException and keeps it when that fails too."""
        for _ in range(len(self._left)):
            try:
                item = self._left.popleft()
            except IndexError:  # another thread's re-check was faster
                return
            try:
                self._store(item)
            except BaseException:
                self._left.append(item)
                raise

    def _store(self, item: "_Late") -> None:
        correlation_id, body, keep = item
        self._keep(correlation_id, body)
        keep()

    def close(self) -> None:
        with self._lock:  # a thread that is being started cannot be joined yet
            thread = self._thread
        if thread is not None:
            self._waiting.put(None)
            thread.join(timeout=10.0)


def drop(transport: Transport | None, late: LateReplies, ledger: Ledger, process: int) -> None:
    """`close` for a client that nobody closed: the garbage collector found it, or the program ends.

    The collector runs in any thread, also in one of the client's own in the middle of what closing
    waits for. The main thread is none of these, and the only one at the program's end.
    """
    arguments = (transport, late, ledger, process)
    if threading.current_thread() is threading.main_thread():
        close(*arguments)
    else:
        threading.Thread(target=close, args=arguments, name="dms-close", daemon=True).start()


def close(transport: Transport | None, late: LateReplies, ledger: Ledger, process: int) -> None:
    """What `DMSClient.close` does. Its reply queue goes, unless an answer is owed to it."""
    if os.getpid() == process:  # after a fork the sockets are the parent's
        if transport is not None:
            transport.close(keep_replies=late.owed)
        late.close()
        ledger.close()
