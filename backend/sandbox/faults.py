"""Bad days on demand, for every stand-in: slow, refusing, cut off, or another server altogether."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Call:
    """What is asked. operation, invocation: of AWS only ("Invoke" and "Event", "DryRun")."""

    method: str = ""
    path: str = ""
    body: bytes = b""
    operation: str = ""
    invocation: str = ""


@dataclass(eq=False)
class Fault:
    """What goes wrong with the calls that match.

    method, operation, invocation: empty matches all. path: searched for, a regular expression.
    holding: only calls whose body holds these bytes match, so that a PATCH can fail and the
    empty one that asks what the server does with If-Match is let through.
    after: matching calls let through first; times: how many fail then (None: all).

    latency: seconds to wait first, at most until the fault is over. drop: cut the connection
    "before" the call is carried out, or "after" it. status, code, message, body, content_type,
    headers: the answer instead; html: the web page that the stand-in's vendor or its proxy shows.
    drip: the answer comes one byte at a time. With none of these only the latency is added.
    """

    method: str = ""
    path: str = ""
    operation: str = ""
    invocation: str = ""
    holding: bytes = b""
    after: int = 0
    times: int | None = None
    latency: float = 0.0
    drop: Literal["", "before", "after"] = ""
    status: int | None = None
    code: str = ""
    message: str = "injected"
    body: bytes | None = None
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    html: bool = False
    drip: bool = False
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def answers(self) -> bool:
        """Whether the stand-in answers with the fault instead of the truth."""
        return self.html or self.status is not None or self.body is not None

    def takes(self, call: Call) -> bool:
        """Count the call; True when it is one that fails."""
        for wanted in ("method", "operation", "invocation"):
            if getattr(self, wanted) not in ("", getattr(call, wanted)):
                return False
        if not re.search(self.path, call.path) or self.holding not in call.body:
            return False
        if self.after > 0:
            self.after -= 1
            return False
        if self.times is None:
            return True
        self.times -= 1
        return self.times >= 0


class Faults:
    """The faults of one stand-in, in the order added; the first that takes a call decides."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, **fault: Any) -> Fault:
        """See Fault for what may be given. It holds until `clear`."""
        added = Fault(**fault)
        with self._lock:
            self._faults.append(added)
        return added

    @contextmanager
    def inject(self, **fault: Any) -> Iterator[Fault]:
        """The fault holds inside the block: `with faults.inject(status=500, times=1): …`"""
        added = self.add(**fault)
        try:
            yield added
        finally:
            with self._lock:
                self._faults = [each for each in self._faults if each is not added]
            added.over.set()

    def clear(self) -> None:
        with self._lock:
            for fault in self._faults:
                fault.over.set()
            self._faults.clear()

    def take(self, call: Call) -> Fault | None:
        with self._lock:
            return next((fault for fault in self._faults if fault.takes(call)), None)
