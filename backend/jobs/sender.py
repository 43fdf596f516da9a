"""One thread that sends jobs' messages, for all threads of the process.

Dramatiq opens a connection for each thread that sends and never closes those of threads that have
ended; pages and requests run in threads that come and go. And a broker whose memory or disk alarm
is on takes a message and confirms it hours later: whoever sends must not wait so long.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue

#: How long whoever sends waits. A message is confirmed within milliseconds, or the broker is away.
SECONDS = 5.0


class Sender:
    """Runs calls one after the other, in a daemon thread that begins with the first of them."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Future[None], Callable[[], object]]] = SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._since: float | None = None  # the call that is on has been on

    def run(self, call: Callable[[], object]) -> None:
        """Raises what `call` raises, and TimeoutError when it is not done in SECONDS; one that has
        not begun by then never does. While a call is late already, nothing is waited for."""
        since = self._since
        if since is not None and time.monotonic() - since > SECONDS:
            raise TimeoutError("an earlier message is not taken yet")
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._own, name="jobs-sender", daemon=True)
                thread.start()  # may raise: then the next call tries again
                self._thread = thread
        outcome: Future[None] = Future()
        self._calls.put((outcome, call))
        try:
            outcome.result(SECONDS)
        except TimeoutError:
            outcome.cancel()
            raise

    def _own(self) -> None:
        while True:
            outcome, call = self._calls.get()
            if not outcome.set_running_or_notify_cancel():
                continue
            self._since = time.monotonic()
            try:
                call()
            except BaseException as exc:
                outcome.set_exception(exc)
            else:
                outcome.set_result(None)
            self._since = None
