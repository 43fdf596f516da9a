"""What kinds of jobs exist and what a running job is given.

A job kind is named `domain.verb`. Its module is handed over by backend/composition.py and loaded
when the first of its kinds is asked for, or all at once when a worker starts. Functions take ids
and plain values, open their own units of work, call a service, and may safely run twice.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from backend.core.access import Actor
from backend.core.database import Database


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
    """resumable: after a crash the job is queued again; otherwise it is marked interrupted. told:
    its end is an event of its own; not where what it works for tells of itself. portal: it needs
    the portal's data folder, which a worker elsewhere does not have."""

    name: str
    title: str
    resumable: bool
    function: JobFunction
    told: bool
    portal: bool = False


_kinds: dict[str, JobKind] = {}
#: Domain → imports its module of jobs and periodic tasks, whose decorators register them.
_loaders: dict[str, Callable[[], object]] = {}


def provide(loaders: Mapping[str, Callable[[], object]]) -> None:
    """Where kinds and schedules come from, by domain."""
    _loaders.update(loaders)


def job(
    name: str, *, title: str, resumable: bool = False, told: bool = True, portal: bool = False
) -> Callable[[JobFunction], JobFunction]:
    """Register a job function under `domain.verb`."""

    def register(function: JobFunction) -> JobFunction:
        _kinds[name] = JobKind(name, title, resumable, function, told, portal)
        return function

    return register


def kind(name: str) -> JobKind:
    """The kind; loads its domain's jobs when needed. Raises LookupError for an unknown name."""
    load = _loaders.get(name.partition(".")[0])
    if name not in _kinds and load is not None:
        load()
    if name not in _kinds:
        raise LookupError(f"no job of kind {name}; its domain is not in backend/composition.py")
    return _kinds[name]


def load_all() -> None:
    """Load every domain's jobs, so that all kinds and schedules are registered."""
    if not _loaders:
        raise RuntimeError("no jobs: call backend.composition.install() first")
    for load in _loaders.values():
        load()


def names() -> tuple[str, ...]:
    """The domains that have jobs of their own, and their kinds."""
    return (*domains(), *sorted(_kinds))


def domains() -> tuple[str, ...]:
    """The domains that have jobs of their own, for a filter."""
    load_all()
    return tuple(sorted({name.partition(".")[0] for name in _kinds}))
