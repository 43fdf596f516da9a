"""What happens after AWS said 202: lines appear in the log group, executions end."""

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Behaviour:
    """How long one run takes and how it ends: succeed, fail, timeout or silent.

    chatter: how many lines of its own a function writes before it ends.
    """

    seconds: float = 1.0
    outcome: str = "succeed"
    chatter: int = 0


@dataclass
class OutcomeSimulator:
    """One thread that does things when their time has come."""

    account: str
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    _due: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _order: "itertools.count[int]" = field(default_factory=itertools.count)
    _wake: threading.Condition = field(default_factory=threading.Condition)
    _running: bool = False

    def start(self) -> None:
        self._running = True
        threading.Thread(target=self._loop, name="aws-stand-in-outcomes", daemon=True).start()

    def stop(self) -> None:
        with self._wake:
            self._running = False
            self._due.clear()
            self._wake.notify()

    def clear(self) -> None:
        """Forget what was still to happen."""
        with self._wake:
            self._due.clear()

    def hurry(self) -> None:
        """Everything that is still to happen is due now."""
        with self._wake:
            self._due = [(0.0, order, action) for _at, order, action in self._due]
            heapq.heapify(self._due)
            self._wake.notify()

    def function(self, name: str, region: str, request_id: str, event: str) -> None:
        """Write the lines that Lambda writes for one asynchronous call."""
        behaviour = self.behaviours.get(name, Behaviour())
        if behaviour.outcome == "silent":
            return
        stream = f"2026/01/01/[$LATEST]{request_id.lower()[:32]}"
        start = [f"START RequestId: {request_id} Version: $LATEST", f"event: {event}"]
        self._at(0.0, lambda: self._write(name, region, stream, start))
        end = self._end(behaviour, request_id)
        self._at(behaviour.seconds, lambda: self._write(name, region, stream, end))

    def _end(self, behaviour: Behaviour, request_id: str) -> list[str]:
        chatter = [f"[INFO]\t{request_id}\trow {number}" for number in range(behaviour.chatter)]
        end = [*chatter, *_ending(behaviour, request_id), f"END RequestId: {request_id}"]
        took = behaviour.seconds * 1000
        duration = (
            f"Duration: {took:.2f} ms\tBilled Duration: {took:.0f} ms\tMemory Size: 128 MB\t"
            "Max Memory Used: 61 MB"
        )
        status = {
            "fail": "\tStatus: error\tError Type: IngestError",
            "timeout": "\tStatus: timeout",
        }
        end.append(f"REPORT RequestId: {request_id}\t{duration}{status.get(behaviour.outcome, '')}")
        return end

    def attempt(self, name: str, region: str, request_id: str, *, begins: bool, ends: bool) -> None:
        """One more try of a failed call, in a stream of its own."""
        behaviour = self.behaviours.get(name, Behaviour())
        stream = f"2026/01/01/[$LATEST]again-{request_id.lower()[:32]}"
        lines = [f"START RequestId: {request_id} Version: $LATEST"] if begins else []
        lines += self._end(behaviour, request_id) if ends else []
        self._write(name, region, stream, lines)

    def execution(self, machine: str, region: str, arn: str) -> None:
        """End an execution when its time is over, unless somebody stopped it first."""
        behaviour = self.behaviours.get(machine, Behaviour())
        if behaviour.outcome != "silent" and arn:
            self._at(behaviour.seconds, lambda: self._finish(region, arn, behaviour))

    def redrive(self, region: str, arn: str) -> bool:
        """Let a failed execution go on, as RedriveExecution does; False when it did not fail."""
        execution = self.find(region, arn)
        if execution is None or execution.status not in ("FAILED", "TIMED_OUT", "ABORTED"):
            return False
        execution.status, execution.stop_date, execution.error = "RUNNING", None, None
        execution.cause = None
        self.execution(arn.split(":")[6], region, arn)
        return True

    def find(self, region: str, arn: str) -> Any:
        """moto's execution of that ARN, None when there is none."""
        from moto.stepfunctions.models import stepfunctions_backends

        machines = stepfunctions_backends[self.account][region].state_machines
        found = (run for machine in machines for run in machine.executions)
        return next((run for run in found if run.execution_arn == arn), None)

    def _write(self, name: str, region: str, stream: str, lines: list[str]) -> None:
        from moto.logs.models import logs_backends

        logs, group = logs_backends[self.account][region], f"/aws/lambda/{name}"
        logs.ensure_log_group(group)
        logs.ensure_log_stream(group, stream)
        now = int(time.time() * 1000)
        logs.put_log_events(group, stream, [{"timestamp": now, "message": m} for m in lines])

    def _finish(self, region: str, arn: str, behaviour: Behaviour) -> None:
        from moto.core.utils import utcnow

        execution = self.find(region, arn)
        if execution is None or execution.status != "RUNNING":
            return
        execution.stop_date = utcnow()
        if behaviour.outcome == "succeed":
            execution.output, execution.status = "{}", "SUCCEEDED"
        else:
            execution.error, execution.cause = "IngestError", "the source did not answer"
            execution.status = "TIMED_OUT" if behaviour.outcome == "timeout" else "FAILED"

    def _at(self, seconds: float, action: Callable[[], None]) -> None:
        with self._wake:
            entry: Any = (time.monotonic() + seconds, next(self._order), action)
            heapq.heappush(self._due, entry)
            self._wake.notify()

    def _loop(self) -> None:
        while True:
            with self._wake:
                if not self._running:
                    return
                if not self._due:
                    self._wake.wait()
                    continue
                wait = self._due[0][0] - time.monotonic()
                if wait > 0:
                    self._wake.wait(wait)
                    continue
                action = heapq.heappop(self._due)[2]
            try:
                action()
            except Exception as exc:
                # What it is about may be forgotten while it is done (`AwsStandIn.reset`), and all
                # other runs have to end.
                log.warning("AWS: something did not happen in the stand-in.", exc_info=exc)


def _ending(behaviour: Behaviour, request_id: str) -> list[str]:
    if behaviour.outcome == "fail":
        return [
            "[ERROR] IngestError: the source did not answer\nTraceback (most recent call last):"
        ]
    if behaviour.outcome == "timeout":
        when = "2026-01-01T00:00:00.000Z"
        return [f"{when} {request_id} Task timed out after {behaviour.seconds:.2f} seconds"]
    return ["rows read: 1200", "rows written: 1200"]
