"""kill -9 of the process that works, at every moment at which something has just become true.

A moment is a commit of the portal's own database or bytes handed to an outside system, and the
process dies right before it or right after. Each try dies one moment later than the one before,
until one lives to its end; what the dead ones left is what the next begins with.
"""

import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from backend.core.database import Database, forget_databases, get_database
from backend.integrations.aws import clients

COMMITS = ("before_commit", "after_commit")
SENDS = ("before_send", "after_send")
MOMENTS = (*COMMITS, *SENDS)
Work = Callable[[Database], None]


def killed(
    work: Work, moment: str, *, every: int = 1, first: int = 1, port: int = 0
) -> Iterator[int]:
    """Run it in processes that die at their first, first + every, … moment; yields after each,
    when the stand-in on `port` has dealt with what the dead one sent.

    `work` gets the database of its process. One that raises ends the loop as a failure.
    """
    for number in count(first, every):
        forget_databases()  # an open SQLite connection does not survive a fork,
        clients.forget()  # nor does one to AWS
        idle = in_service()
        fork: Any = multiprocessing.get_context("fork")
        process = fork.Process(target=_die_at, args=(work, moment, number))
        process.start()
        process.join(120)
        ended = process.exitcode
        process.kill()
        process.join()
        process.close()
        assert ended in (0, -signal.SIGKILL), f"it neither died nor ended: {ended}"
        if ended == 0:
            return
        if port:
            served(port, idle)
        yield number


def _die_at(work: Work, moment: str, number: int) -> None:
    seen = count(1)

    def pass_by(*_: object) -> None:
        if next(seen) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    if moment in COMMITS:
        event.listen(Session, moment, pass_by)
    else:
        for name in ("send", "sendall"):
            _watch(name, pass_by, after=moment == "after_send")
    work(get_database())
    forget_databases()
    os._exit(0)


def _watch(name: str, pass_by: Callable[[], None], *, after: bool) -> None:
    """In this process, which is about to die, alone."""
    original = getattr(socket.socket, name)

    def sending(self: socket.socket, data: Any, *flags: int) -> Any:
        if not after:
            pass_by()
        sent = original(self, data, *flags)
        if after:
            pass_by()
        return sent

    setattr(socket.socket, name, sending)


def in_service() -> int:
    """Connections that this process's stand-ins serve."""
    return sum("process_request_thread" in thread.name for thread in threading.enumerate())


def served(port: int, before: int) -> None:
    """Until the stand-in has dealt with all that the dead process sent: as minutes later."""
    socket.create_connection(("127.0.0.1", port), 60).close()  # taken after all that came before
    end = time.monotonic() + 60
    while in_service() > before:
        assert time.monotonic() < end, "a request of a dead process is never over"
        time.sleep(0.01)


def tell(request: pytest.FixtureRequest, deaths: int) -> None:
    """For the table of `python -m benchmarks.faults killed`."""
    request.node.user_properties.append(("kills", deaths))
