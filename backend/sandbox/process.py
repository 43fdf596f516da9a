"""The child process that holds the stand-ins, as the portal sees it."""

import json
import os
import selectors
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.core.errors import JobError

START_SECONDS = 90.0
_LEFT = "left"
#: A supervisor gives the portal ten seconds; what is killed then ends its PostgreSQL with it.
STOP_SECONDS = 6.0


class PortalStops(JobError):
    def __init__(self) -> None:
        super().__init__("The sandbox was not started: the portal stops.")


class SandboxDidNotStart(JobError):
    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The sandbox did not start: {reason}. The portal works without it; set "
            "PORTAL_SANDBOX=off to be rid of this notice, or look at the log."
        )


def left(folder: Path) -> float:
    """When somebody left the sandbox, in seconds since 1970; 0 when nobody did."""
    try:
        return (folder / _LEFT).stat().st_mtime
    except FileNotFoundError:
        return 0.0


def mark_left(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _LEFT).touch()


@dataclass
class Child:
    """report: what the child printed: {"connections": […], "problems": […]}."""

    process: subprocess.Popen[bytes]
    report: dict[str, Any]

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def stop(self) -> None:
        """Close its stdin and wait; a child that hangs is killed."""
        if self.process.stdin is not None and not self.process.stdin.closed:
            self.process.stdin.close()
        try:
            self.process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(timeout=5)
        if self.process.stdout is not None:
            self.process.stdout.close()


def launch(folder: Path, stopping: threading.Event | None = None) -> Child:
    """Start the child and wait for its report, or until `stopping`; then the child is ended.

    Raises SandboxDidNotStart, PortalStops.
    """
    stopping = stopping or threading.Event()
    folder.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "backend.sandbox", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).resolve().parents[2],
        env={**os.environ, "DATAHUB_TELEMETRY_ENABLED": "false"},
        start_new_session=True,
    )
    child = Child(process, {})
    try:
        child.report = json.loads(_first_line(process, stopping))
    except ValueError as exc:
        child.stop()
        if stopping.is_set():
            raise PortalStops from exc
        raise SandboxDidNotStart("it ended or said nothing in time") from exc
    return child


def _first_line(process: subprocess.Popen[bytes], stopping: threading.Event) -> bytes:
    if process.stdout is None:
        raise SandboxDidNotStart("its output is closed")
    deadline = time.monotonic() + START_SECONDS
    buffer = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while b"\n" not in buffer and time.monotonic() < deadline and not stopping.is_set():
            if not selector.select(timeout=0.2):
                continue
            chunk = os.read(process.stdout.fileno(), 65536)
            if not chunk:
                break
            buffer += chunk
    return buffer.partition(b"\n")[0]
