"""Log streams of AWS's own runtime clients: what they print, with the platform's lines around it.

Only START, END, REPORT, INIT_REPORT and `platform.*` are put here, in the service's form (see
tests/backend/integrations/aws/recorded); everything between was printed by the runtime.
"""

import contextlib
import json
import os
import queue
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.integration.lambda_runtimes.clients import FUNCTIONS, Client
from tests.integration.lambda_runtimes.runtime_api import RuntimeApi

#: Each ends its process, so it is the last of one.
LAST = ("exit", "timeout")
SECONDS = 120.0
_FRAME = b"\xa5\x5a\x00"
_FRAME_HEAD = 16
_METRICS = {"durationMs": 12.3, "billedDurationMs": 13, "memorySizeMB": 128, "maxMemoryUsedMB": 40}


@dataclass(frozen=True)
class Stream:
    """One call's log. failed: what the runtime told the platform, or how its process ended."""

    case: str
    request_id: str
    failed: bool
    events: tuple[str, ...]


class Runtime:
    """A started client and everything that it prints, in one file in its order."""

    def __init__(self, client: Client, folder: Path, *, json_format: bool, at_init: bool) -> None:
        self.client, self.json_format = client, json_format
        self.output = folder / f"{uuid.uuid4().hex}.log"
        self._descriptor = os.open(self.output, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        self.api = RuntimeApi(lambda: os.path.getsize(self.output))
        env = {
            "PATH": os.environ["PATH"],
            "AWS_LAMBDA_RUNTIME_API": self.api.address,
            "AWS_LAMBDA_FUNCTION_NAME": "f",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/f",
            "AWS_LAMBDA_LOG_STREAM_NAME": "s",
            "AWS_LAMBDA_LOG_FORMAT": "JSON" if json_format else "Text",
            "AWS_REGION": "eu-west-1",
            "LAMBDA_TASK_ROOT": str(FUNCTIONS),
            "PYTHONUNBUFFERED": "1",
            **client.env,
        }
        if client.frames:
            env["_LAMBDA_TELEMETRY_LOG_FD"] = str(self._descriptor)
        if at_init:
            env["CASE_AT_INIT"] = "1"
        self.process = subprocess.Popen(
            client.command,
            cwd=FUNCTIONS,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=self._descriptor,
            stderr=self._descriptor,
            pass_fds=(self._descriptor,),
        )

    def __enter__(self) -> "Runtime":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self.api.close()
        os.close(self._descriptor)

    def call(self, case: str) -> Stream:
        """One call to its end. Raises AssertionError when the runtime never says how it ended."""
        request_id = str(uuid.uuid4())
        begun = self._size()
        self.api.calls.put((request_id, {"case": case}))
        if case == "timeout":
            self._wait(lambda: self._size() > begun)  # it has begun to print
            self.process.kill()
        posted, deadline = None, time.monotonic() + SECONDS
        while posted is None and self.process.poll() is None:
            assert time.monotonic() < deadline, f"{case}: {self.output.read_text(errors='replace')}"
            with contextlib.suppress(queue.Empty):
                posted = self.api.ended.get(timeout=0.05)
        printed = self._events(begun, posted.printed if posted else self._size())
        status = "" if posted else "timeout" if case == "timeout" else "error"
        failed = posted.failed if posted else True
        return Stream(case, request_id, failed, tuple(self._framed(request_id, printed, status)))

    def fail_at_init(self) -> Stream:
        """The log of a call whose function could not be loaded."""
        self.process.wait(timeout=SECONDS)
        printed, request_id = self._events(0, self._size()), str(uuid.uuid4())
        tries = [
            line for phase in ("init", "invoke") for line in (*printed, self._init_report(phase))
        ]
        return Stream("init", request_id, True, (*tries, *self._framed(request_id, [], "error")))

    def wait_until_loaded(self) -> None:
        """Returns when the client has asked for its first call."""
        assert self.api.asked.acquire(timeout=SECONDS), self.output.read_text(errors="replace")
        self.api.asked.release()

    def _size(self) -> int:
        return self.output.stat().st_size

    def _wait(self, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SECONDS
        while not ready():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def _events(self, start: int, end: int) -> list[str]:
        return list(_split(self.output.read_bytes()[start:end]))

    def _init_report(self, phase: str) -> str:
        if not self.json_format:
            return (
                f"INIT_REPORT Init Duration: 154.03 ms\tPhase: {phase}\tStatus: error\t"
                "Error Type: Runtime.ExitError"
            )
        record = {"phase": phase, "status": "error", "errorType": "Runtime.ExitError"}
        return _platform("platform.initReport", record)

    def _framed(self, request_id: str, printed: list[str], status: str) -> Iterator[str]:
        """status: what the platform says; "" (and success in JSON) for what a runtime handed over,
        be it a result or an error."""
        kind = "Runtime.ExitError" if status == "error" else ""
        if not self.json_format:
            yield f"START RequestId: {request_id} Version: $LATEST"
            yield from printed
            yield f"END RequestId: {request_id}"
            said = f"Status: {status}" if status else ""
            said += f"\tError Type: {kind}" if kind else ""
            yield (
                f"REPORT RequestId: {request_id}\tDuration: 179.85 ms\tBilled Duration: 180 ms\t"
                f"Memory Size: 128 MB\tMax Memory Used: 43 MB\t{said}"
            )
            return
        told: dict[str, object] = {"requestId": request_id, "status": status or "success"}
        told |= {"errorType": kind} if kind else {}
        yield _platform("platform.start", {"requestId": request_id, "version": "$LATEST"})
        yield from printed
        yield _platform("platform.runtimeDone", told)
        yield _platform("platform.report", told | {"metrics": _METRICS})


def record(client: Client, folder: Path, *, json_format: bool) -> Iterator[Stream]:
    """The streams of every case, each process a stream of several calls as the service has it."""
    for last in LAST:
        with Runtime(client, folder, json_format=json_format, at_init=False) as runtime:
            runtime.wait_until_loaded()
            if last == "timeout":
                for case in ("ok", "lookalike", "raise", "own"):
                    yield runtime.call(case)
            yield runtime.call(last)
    with Runtime(client, folder, json_format=json_format, at_init=True) as runtime:
        yield runtime.fail_at_init()


def _split(data: bytes) -> Iterator[str]:
    """Log events: a frame is one, and so is each line beside them."""
    while data:
        if data.startswith(_FRAME):
            length = int.from_bytes(data[4:8], "big")
            event, data = data[_FRAME_HEAD : _FRAME_HEAD + length], data[_FRAME_HEAD + length :]
        else:
            frame, line = data.find(_FRAME), data.find(b"\n")
            ends = [place for place in (frame, line + 1 if line >= 0 else -1) if place > 0]
            end = min(ends, default=len(data))
            event, data = data[:end], data[end:]
        text = event.decode(errors="replace").rstrip("\n")
        if text:
            yield text


def _platform(kind: str, record: Mapping[str, object]) -> str:
    time_ = "2026-11-28T00:59:00.000Z"
    return json.dumps({"time": time_, "type": kind, "record": record}, separators=(",", ":"))
