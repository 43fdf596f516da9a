"""What kinds of jobs exist and what a running job is given.

A job kind is named `room.verb` and its function lives in `backend/<room>/tasks.py`; that is how
a worker finds it without this room importing the domains. Functions take ids and plain values,
open their own units of work, call a service, and may safely run twice.
"""

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from backend.core.access import Actor
from backend.core.database import Database

#: Rooms that may hold a tasks.py; their schedules run with every app and worker process.
ROOMS = ("accounts", "connections", "user_sync", "mounts", "tokenization", "ingestion", "jobs")


class JobContext(Protocol):
    """What a job function gets: who asked, the database, progress, cancellation."""

    @property
    def job_id(self) -> int: ...

    @property
    def actor(self) -> Actor: ...

    @property
    def attempt(self) -> int:
        """1 at the first try, more after a crash."""

    @property
    def database(self) -> Database: ...

    def progress(self, done: int, total: int | None = None, *, note: str = "") -> None:
        """Record progress (written at most twice a second); also checks for cancellation."""

    def check_cancelled(self) -> None:
        """Raise JobCancelled or JobInterrupted when the job has to stop here."""

    def log(self, line: str) -> None:
        """Add one line to the job's live log, secrets masked."""


JobFunction = Callable[..., dict[str, Any] | None]

#: A result with this key ends the job as failed, with the sentence under it as the error, and is
#: kept: for work whose own record says how it failed, so that the job does not claim success.
FAILED = "failed"


@dataclass(frozen=True)
class JobKind:
    """resumable: after a crash the job is queued again; otherwise it is marked interrupted."""

    name: str
    title: str
    resumable: bool
    function: JobFunction


_kinds: dict[str, JobKind] = {}


def job(name: str, *, title: str, resumable: bool = False) -> Callable[[JobFunction], JobFunction]:
    """Register a job function under `room.verb`."""

    def register(function: JobFunction) -> JobFunction:
        _kinds[name] = JobKind(name, title, resumable, function)
        return function

    return register


def kind(name: str) -> JobKind:
    """The kind; imports its room's tasks when needed. Raises LookupError for an unknown name."""
    if name not in _kinds:
        room = name.partition(".")[0]
        if room in ROOMS:
            _import_tasks(room)
    if name not in _kinds:
        raise LookupError(f"no job of kind {name}")
    return _kinds[name]


def load_all() -> None:
    """Import every room's tasks, so that all kinds and schedules are registered."""
    for room in ROOMS:
        _import_tasks(room)


def _import_tasks(room: str) -> None:
    module = f"backend.{room}.tasks"
    if importlib.util.find_spec(module) is not None:
        importlib.import_module(module)
