"""Bad days on demand: a slow, refusing, talking-nonsense or vanishing AWS."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal


@dataclass
class Fault:
    """One rule. operation: "Invoke", "StartExecution", …; empty matches all.

    status and code: answer with this error. html: answer 200 with a web page. answer: answer 200
    with this JSON text. latency: seconds to wait first, at most until the rule is gone. drop: cut
    the connection "before" the call is carried out or "after" it. invocation: only this
    X-Amz-Invocation-Type ("Event", "DryRun"). times: how often, None = always
    """

    operation: str = ""
    invocation: str = ""
    status: int = 0
    code: str = ""
    message: str = "injected"
    html: bool = False
    answer: str = ""
    latency: float = 0.0
    drop: Literal["", "before", "after"] = ""
    times: int | None = None
    gone: threading.Event = field(default_factory=threading.Event)


class Faults:
    """The rules in force; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[Fault] = []

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._rules.append(fault)

    def clear(self) -> None:
        with self._lock:
            for rule in self._rules:
                rule.gone.set()
            self._rules.clear()

    @contextlib.contextmanager
    def inject(
        self,
        *,
        operation: str = "",
        invocation: str = "",
        status: int = 0,
        code: str = "",
        html: bool = False,
        answer: str = "",
        latency: float = 0.0,
        drop: Literal["", "before", "after"] = "",
        times: int | None = None,
    ) -> Iterator[None]:
        """The rule holds inside the block."""
        fault = Fault(
            operation=operation,
            invocation=invocation,
            status=status,
            code=code,
            html=html,
            answer=answer,
            latency=latency,
            drop=drop,
            times=times,
        )
        self.add(fault)
        try:
            yield
        finally:
            with self._lock:
                self._rules = [rule for rule in self._rules if rule is not fault]
            fault.gone.set()

    def take(self, operation: str, invocation: str) -> Fault | None:
        """The first rule for this call, counted as used."""
        with self._lock:
            for rule in self._rules:
                if rule.operation not in ("", operation) or rule.times == 0:
                    continue
                if rule.invocation not in ("", invocation):
                    continue
                if rule.times is not None:
                    rule.times -= 1
                return rule
        return None
