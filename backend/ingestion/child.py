"""A program that a job runs: told on its standard input, followed line by line, ended with it."""

import contextlib
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence

from backend.core.errors import JobError
from backend.jobs.registry import JobContext

TERMINATE_SECONDS = 10
#: What a program may inherit: enough to find programs, certificates and the way out, no secrets.
_INHERITED = (
    "PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
    "http_proxy", "https_proxy", "no_proxy",
)  # fmt: skip


class Child:
    """`with Child(…) as child: for line in child.lines(ctx): …; child.status` → exit status.

    told: what it reads on its standard input. held: descriptors that it keeps open, so that a lock
    lasts as long as it does, even when this process is killed. Leaving the block ends the program
    and everything it started.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        told: str = "",
        held: Sequence[int] = (),
    ) -> None:
        inherited = {key: os.environ[key] for key in _INHERITED if key in os.environ}
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
            env={**inherited, **environment},
            pass_fds=held,
        )
        self._told = told
        self.status = 0

    def __enter__(self) -> "Child":
        # One that ends before it has read everything says why in its lines.
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError), self._process.stdin as stdin:
                stdin.write(self._told)
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._process.poll() is None:
            self._signal(signal.SIGTERM)
            try:
                self._process.wait(timeout=TERMINATE_SECONDS)
            except subprocess.TimeoutExpired:
                self._signal(signal.SIGKILL)
                self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def lines(self, ctx: JobContext, *, seconds: float | None = None) -> Iterator[str]:
        """Lines as they come; asks for cancellation twice a second even while none come.

        Raises JobCancelled, and JobError once the seconds are over.
        """
        came: queue.Queue[str | None] = queue.Queue()

        def read() -> None:
            for line in self._process.stdout or ():
                came.put(line.rstrip("\n"))
            came.put(None)

        threading.Thread(target=read, name="child-lines", daemon=True).start()
        until = time.monotonic() + seconds if seconds is not None else None
        while True:
            ctx.check_cancelled()
            if until is not None and time.monotonic() > until:
                raise JobError(f"It did not end within {seconds:,.0f} seconds and was stopped.")
            try:
                line = came.get(timeout=0.5)
            except queue.Empty:
                continue
            if line is None:
                break
            if line:
                yield line
        self.status = self._process.wait()
