"""Periodic work: APScheduler in every process, one leader at a time does the work.

The lease is a row of the state database; whoever holds it runs what is due. A mark per task says
when it last ran, so a change of leader neither skips nor doubles a run. While a process hosts the
sandbox it is the one that leads: what tasks ask of the sandbox, no other process reaches.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from backend.core import clock, events, metric_totals
from backend.core.database import Database, ReadSession, WriteSession, database_now
from backend.core.errors import PortalError
from backend.core.events import About
from backend.core.log import get_logger, log_unexpected
from backend.jobs import recovery, runner
from backend.models.jobs import Lease, ScheduleMark

log = get_logger(__name__)

LEASE_NAME, HOST_LEASE = "scheduler", "sandbox"
LEASE_SECONDS = 30
#: The shortest interval that a task asks for.
TICK_SECONDS = 5
#: Ticks are not exact: what came a moment early would else wait for the next one.
EARLY = timedelta(seconds=0.5)


@dataclass(frozen=True)
class Task:
    name: str
    interval: timedelta
    function: Callable[[Database], Any]


_tasks: dict[str, Task] = {}


def every(
    name: str, *, seconds: float = 0, minutes: float = 0, hours: float = 0
) -> Callable[[Callable[[Database], Any]], Callable[[Database], Any]]:
    """Run the function on the leader at this interval; it gets the Database and must be quick
    (longer work is enqueued as a job)."""

    def register(function: Callable[[Database], Any]) -> Callable[[Database], Any]:
        interval = timedelta(seconds=seconds, minutes=minutes, hours=hours)
        _tasks[name] = Task(name, interval, function)
        return function

    return register


class Scheduler:
    """One per process."""

    def __init__(self, database: Database) -> None:
        from apscheduler.schedulers.background import BackgroundScheduler

        self.hosts_sandbox = False
        self._database = database
        self._scheduler = BackgroundScheduler(timezone="UTC", daemon=True)
        self._scheduler.add_job(
            self._tick,
            "interval",
            seconds=TICK_SECONDS,
            max_instances=1,
            coalesce=True,
            next_run_time=clock.now(),
        )

    def start(self) -> None:
        self._scheduler.start()

    def stop(self) -> None:
        self._scheduler.shutdown(wait=False)
        try:
            metric_totals.add(self._database)
            release(self._database)
        except PortalError as exc:
            log.info("The lease runs out by itself.", error=exc.message)

    def _tick(self) -> None:
        try:
            metric_totals.add(self._database)
            if lead(self._database, hosts_sandbox=self.hosts_sandbox):
                recovery.recover(self._database)
                run_due(self._database)
        except PortalError as exc:
            log.warning("The schedule waits for the state database.", error=exc.message)
        except Exception as exc:
            # One bad tick must not end all later ones.
            log_unexpected(log, "A tick of the schedule failed.", exc)


def lead(database: Database, *, hosts_sandbox: bool = False) -> bool:
    """Take or renew the lease; False while another process holds it, or hosts the sandbox."""
    try:
        with database.write() as session:
            if _gives_way(session, hosts_sandbox):
                _give_back(session, LEASE_NAME)
                return False
            return _lead(session)
    except IntegrityError:
        return False


def _gives_way(session: WriteSession, hosts_sandbox: bool) -> bool:
    """Whether another living process hosts the sandbox; the host renews its own word here."""
    me, now = runner.worker_name(), database_now(session)
    host = session.get(Lease, HOST_LEASE, with_for_update=True)
    _shorten(host, now)
    if not hosts_sandbox:
        return host is not None and host.holder != me and host.expires_at > now
    expires = now + timedelta(seconds=LEASE_SECONDS)
    if host is None:
        session.add(Lease(name=HOST_LEASE, holder=me, expires_at=expires))
    else:
        host.holder, host.expires_at = me, expires
    return False


def _lead(session: WriteSession) -> bool:
    me, now = runner.worker_name(), database_now(session)
    lease = session.scalars(
        select(Lease).where(Lease.name == LEASE_NAME).with_for_update()
    ).one_or_none()
    _shorten(lease, now)
    expires = now + timedelta(seconds=LEASE_SECONDS)
    if lease is None:
        session.add(Lease(name=LEASE_NAME, holder=me, expires_at=expires))
        return True
    if lease.holder != me:
        if lease.expires_at > now:
            return False
        # One that stops gives its lease back; this one ran out.
        events.once(session, "jobs.leader_lost", About(f"{me} leads in its place", "jobs"))
    lease.holder, lease.expires_at = me, expires
    return True


def _shorten(lease: Lease | None, now: datetime) -> None:
    """A lease from before the clock was set back counts from now: a dead holder's would else stand
    for as long as the clock went back, and a living one renews it."""
    most = now + timedelta(seconds=LEASE_SECONDS)
    if lease is not None and lease.expires_at > most + EARLY:
        lease.expires_at = most


@dataclass(frozen=True)
class Held:
    """Who leads, and until when if that process does not say so again."""

    holder: str
    until: datetime


def lease(session: ReadSession) -> Held | None:
    """The lease as it is held now, None when no process of the portal runs."""
    row = session.get(Lease, LEASE_NAME, populate_existing=True)
    alive = row is not None and row.expires_at > database_now(session)
    return Held(row.holder, row.expires_at) if row is not None and alive else None


def leader(session: ReadSession) -> str | None:
    """The process that holds the lease now, None when no process of the portal runs."""
    held = lease(session)
    return held.holder if held is not None else None


def release(database: Database) -> None:
    """Give the leases back, so that the next process need not wait for them to run out."""
    with database.write() as session:
        for name in (HOST_LEASE, LEASE_NAME):
            _give_back(session, name)


def _give_back(session: WriteSession, name: str) -> None:
    lease = session.get(Lease, name, with_for_update=True)
    if lease is not None and lease.holder == runner.worker_name():
        session.delete(lease)


def run_due(database: Database) -> list[str]:
    """Run every task whose interval has passed, until the process stops; returns their names."""
    ran = []
    with database.read() as session:
        now = database_now(session)
        last = {mark.name: mark.last_run_at for mark in session.scalars(select(ScheduleMark))}
    for task in list(_tasks.values()):
        if runner.stopping.is_set():
            break
        if not _is_due(task, last.get(task.name), now) or not _take_turn(database, task):
            continue
        ran.append(task.name)
        try:
            task.function(database)
        except PortalError as exc:
            log.warning("A periodic task failed.", task=task.name, error=exc.message)
        except Exception as exc:
            # A bug in one task must not stop the others.
            log_unexpected(log, "A periodic task failed unexpectedly.", exc, task=task.name)
    return ran


def _is_due(task: Task, last: datetime | None, now: datetime) -> bool:
    """A run in the future was before the clock was set back; nobody knows how long ago."""
    return last is None or last > now + EARLY or now - last >= task.interval - EARLY


def make_due(database: Database, names: Sequence[str]) -> None:
    """Let these tasks run at the next tick, because what they look at has just changed."""
    with database.write() as session:
        for name in names:
            mark = session.get(ScheduleMark, name, with_for_update=True)
            if mark is not None:
                session.delete(mark)


def _take_turn(database: Database, task: Task) -> bool:
    """Mark the task as run now; False when it is not due, or another leader was first: the lease
    of one that hangs runs out while it still works."""
    try:
        return database.change(_mark, task)
    except IntegrityError:
        return False


def _mark(session: WriteSession, task: Task) -> bool:
    mark = session.get(ScheduleMark, task.name, with_for_update=True)
    now = database_now(session)
    if mark is None:
        session.add(ScheduleMark(name=task.name, last_run_at=now))
        return True
    if not _is_due(task, mark.last_run_at, now):
        return False
    mark.last_run_at = now
    return True
