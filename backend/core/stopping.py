"""Something long that a person may stop: what is asked on their behalf stops where it can.

Only for what reads. Holds for this context, as `backend.core.resolving` does.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar

from backend.core.errors import Conflict


class Stopped(Conflict):
    """A person stopped it; what it had found is thrown away."""

    def __init__(self) -> None:
        super().__init__("Stopped on request.")


class Stop:
    """note: what is being done now, for who waits; share: of all of it, from 0 to 1."""

    def __init__(self) -> None:
        self.note, self.share = "", 0.0
        self._asked = threading.Event()
        self._lock = threading.Lock()
        self._under_way: list[Callable[[], None]] = []

    @property
    def asked(self) -> bool:
        return self._asked.is_set()

    def ask(self) -> None:
        """Stop at the next safe point; a source's statement that is under way is cancelled."""
        with self._lock:
            self._asked.set()
            cancels = list(self._under_way)
        for cancel in cancels:  # beside the caller: a server that stands still answers late
            threading.Thread(target=cancel, name="stop", daemon=True).start()

    def step(self, note: str, share: float = 0.0) -> None:
        if self.asked:
            raise Stopped()
        self.note, self.share = note, share

    @contextlib.contextmanager
    def cancelled_by(self, cancel: Callable[[], None]) -> Iterator[None]:
        with self._lock:
            if self.asked:
                raise Stopped()
            self._under_way.append(cancel)
        try:
            yield
            if self.asked:  # a cancelled statement may look like one that found nothing
                raise Stopped()
        except Exception as exc:
            if self.asked:
                raise Stopped() from exc
            raise
        finally:
            with self._lock:
                self._under_way.remove(cancel)


_stop: ContextVar[Stop | None] = ContextVar("stop", default=None)


@contextlib.contextmanager
def by(stop: Stop) -> Iterator[None]:
    """Inside, `stop` stops it."""
    token = _stop.set(stop)
    try:
        yield
    finally:
        _stop.reset(token)


def step(note: str, share: float = 0.0) -> None:
    """A safe point: says what comes next and how much is done, or raises Stopped."""
    stop = _stop.get()
    if stop is not None:
        stop.step(note, share)


@contextlib.contextmanager
def cancellable(cancel: Callable[[], None]) -> Iterator[None]:
    """cancel: called from another thread, at most once, while the body runs or just after; must not
    raise. Raises Stopped when it was or is stopped."""
    stop = _stop.get()
    if stop is None:
        yield
        return
    with stop.cancelled_by(cancel):
        yield
