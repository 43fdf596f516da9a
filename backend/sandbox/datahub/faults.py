"""Bad days on demand: slow, failing, hanging, dropping, or the wrong server altogether."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(eq=False)
class Fault:
    """Applies to requests whose path begins with `path`, `times` times (None: until removed).

    after: the request is carried out first, and only its answer suffers.
    """

    path: str = "/"
    method: str | None = None
    times: int | None = None
    latency: float = 0.0
    status: int | None = None
    redirect: str | None = None
    html: bool = False
    hang: bool = False
    drip: bool = False
    drop: bool = False
    after: bool = False


class Faults:
    """The faults in force. Hanging requests are let go when their fault ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self.released = threading.Event()

    @contextmanager
    def inject(
        self,
        *,
        path: str = "/",
        method: str | None = None,
        times: int | None = None,
        latency: float = 0.0,
        status: int | None = None,
        redirect: str | None = None,
        html: bool = False,
        hang: bool = False,
        drip: bool = False,
        drop: bool = False,
        after: bool = False,
    ) -> Iterator[Fault]:
        """`with faults.inject(status=500, times=1): …`"""
        fault = Fault(path, method, times, latency, status, redirect, html, hang, drip, drop, after)
        with self._lock:
            self._faults.append(fault)
            self.released = threading.Event()
        try:
            yield fault
        finally:
            with self._lock:
                self._faults.remove(fault)
                self.released.set()

    def take(self, method: str, path: str) -> Fault | None:
        """The fault that this request meets; counts it."""
        with self._lock:
            for fault in self._faults:
                if not path.startswith(fault.path) or fault.method not in (None, method):
                    continue
                if fault.times is None:
                    return fault
                if fault.times > 0:
                    fault.times -= 1
                    return fault
        return None
