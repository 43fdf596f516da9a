"""A worker process with job kinds of its own, for tests that kill it.

With `host` it does what the portal does beside workers: it takes the sandbox's jobs alone.
"""

import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from backend import composition
from backend.cli import common, system
from backend.core import signals
from backend.core.database import get_database
from backend.jobs import worker
from backend.jobs.registry import JobContext, job


@job("test.steps", title="Write one line per step", resumable=True)
def steps(ctx: JobContext, *, file: str, count: int, held: int = 0) -> dict[str, int]:
    """Appends "job attempt pid step" per step; goes on after the last step that is in the file.

    held: the step before which its first attempt stays until it is stopped.
    """
    path = Path(file)
    done = len(path.read_text().splitlines()) if path.exists() else 0
    for number in range(done, count):
        while held and number == held and ctx.attempt == 1:
            ctx.check_cancelled()
            time.sleep(0.05)
        with path.open("a") as handle:
            handle.write(f"{ctx.job_id} {ctx.attempt} {os.getpid()} {number}\n")
        ctx.progress(number + 1, count)
        time.sleep(0.05)
    return {"steps": count}


@job("test.once", title="Must not run twice")
def once(ctx: JobContext, *, file: str) -> None:
    with Path(file).open("a") as handle:
        handle.write(f"{os.getpid()}\n")
    while True:
        ctx.check_cancelled()
        time.sleep(0.05)


@job("test.deaf", title="Reaches no safe point")
def deaf(ctx: JobContext, *, file: str) -> None:
    """Nor does a thread of its pool, for which Python waits at its exit."""
    with ThreadPoolExecutor(1) as pool:
        Path(file).write_text("")
        pool.submit(time.sleep, 3_600)


def host() -> None:
    done = threading.Event()
    signals.call_on([signal.SIGTERM], done.set)
    running = worker.start(get_database(), queues=[])
    running.take_sandbox_jobs(leads=True)
    done.wait()
    running.stop()


if __name__ == "__main__":
    composition.install()
    common.database()
    if sys.argv[1:] == ["host"]:
        host()
    else:
        system.worker()
