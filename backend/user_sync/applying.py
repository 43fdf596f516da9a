"""Applies a run: a few users at a time, each outcome stored, safe to stop and to start again.

Before a PATCH leaves, its item says `sending`. After a crash, and after a write that OpenMetadata
went away from, such items are looked at first: what is stored already is never written again. Where
a run ends without having looked, they are `unknown`. One thread coordinates and talks to the state
database, the others talk to OpenMetadata.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import timedelta
from typing import NamedTuple

from backend.connections import resolve
from backend.connections.schemas import ConnectionConfig
from backend.core import audit, clock
from backend.core.access import Actor, Role
from backend.core.database import Database, ReadSession, StateDatabaseDown, WriteSession
from backend.core.errors import PortalError
from backend.core.log import get_logger
from backend.jobs.errors import JobCancelled, JobInterrupted, JobLost
from backend.models import SyncPlan, SyncRun
from backend.user_sync import repository, rules, rules_repository, run_repository
from backend.user_sync.errors import ElsewhereNow, PlanExpired
from backend.user_sync.planning import Control
from backend.user_sync.schemas import ItemState, RunState, RunView
from backend.user_sync.sources import gateway_for
from backend.user_sync.writing import Change, Outcome, Writer

log = get_logger(__name__)

#: This many users in a row without OpenMetadata being there end the run.
MOST_AWAY = 3
BEAT_SECONDS = 5.0
#: A run asked for in time may begin so long after its plan expired, and go on after a crash; one
#: that lay there longer than that (a portal switched off) must not write what was true long ago.
LATE = timedelta(hours=1)
STATE_AWAY = "The portal's own database was not available for a while; the run can be continued."
_READ_AHEAD = 500


def execute(database: Database, run_id: int, control: Control, *, token: str) -> RunView:
    """Work through a run until it ends.

    Returns at once when the run has ended or another worker has it. A run that cannot go on
    (OpenMetadata away, token refused) ends as `stopped` with the reason in its note; it can be
    continued. Raises JobCancelled and JobInterrupted after the writes under way have ended.
    """
    with database.write() as session:
        if not run_repository.claim(session, run_id, token):
            return run_repository.view(session, run_repository.get_run(session, run_id))
        rules.skip_ignored(session, run_id)
    try:
        config, concurrency = _prepare(database, run_id)
        with gateway_for(config, connections=concurrency + 1) as gateway:
            who = gateway.probe()
            writer = Writer(gateway, principal=who.principal, is_bot=who.is_bot)
            note = _Work(database, run_id, control, token, writer, concurrency).run()
    except JobCancelled:
        _end(database, run_id, token, "cancelled", "Cancelled; the rest was not tried.")
        raise
    except JobInterrupted:
        _end(database, run_id, token, "queued", "")
        raise
    except JobLost:
        raise
    except StateDatabaseDown:
        return _end(database, run_id, token, "stopped", STATE_AWAY)
    except PortalError as exc:
        return _end(database, run_id, token, "stopped", exc.message)
    except BaseException:
        _end(database, run_id, token, "stopped", "It was interrupted; it can be continued.")
        raise
    return _end(database, run_id, token, "stopped" if note else None, note)


def _prepare(database: Database, run_id: int) -> tuple[ConnectionConfig, int]:
    with database.read() as session:
        run = run_repository.get_run(session, run_id)
        plan = repository.get_plan(session, run.plan_id)
        check_fresh(plan, late=LATE)
        config = connection(session, plan)
        view = rules_repository.settings_view(session, run.environment_id, run.environment)
    return config, max(1, min(32, view.settings.concurrency))


def connection(session: ReadSession, plan: SyncPlan) -> ConnectionConfig:
    """The server that a plan was made for. Raises ElsewhereNow when the environment has another."""
    config = resolve.connection(session, kind="openmetadata", environment=plan.environment)
    now = config.settings["host_port"].rstrip("/")
    if now != plan.host_port:
        raise ElsewhereNow(plan.id, plan.host_port, now)
    return config


def check_fresh(plan: SyncPlan, *, late: timedelta = timedelta()) -> None:
    """Raises PlanExpired when the plan expired more than `late` ago."""
    if plan.expires_at is not None and plan.expires_at + late <= clock.now():
        raise PlanExpired(plan.id, f"{plan.expires_at:%Y-%m-%d at %H:%M} UTC")


class _Work:
    """The loop of one run."""

    def __init__(
        self,
        database: Database,
        run_id: int,
        control: Control,
        token: str,
        writer: Writer,
        concurrency: int,
    ) -> None:
        self._database = database
        self._run_id = run_id
        self._control = control
        self._token = token
        self._writer = writer
        self._concurrency = concurrency
        self._flying: dict[Future[Outcome], _Task] = {}
        self._again: deque[_Task] = deque()
        self._away = 0
        self._why = ""
        with database.read() as session:
            view = run_repository.view(session, run_repository.get_run(session, run_id))
        self._done, self._total = view.done, view.total

    def run(self) -> str:
        """Until nothing is left; returns why it stopped early, or ""."""
        with ThreadPoolExecutor(self._concurrency, "user-sync") as pool:
            try:
                # What an earlier attempt left under way is looked at before anything new is sent.
                self._go(
                    pool, _Source(self._database, self._run_id, "sending", self._writer.settle)
                )
                self._go(pool, _Source(self._database, self._run_id, "pending", self._writer.write))
            finally:
                self._land()
        return self._why

    def _go(self, pool: ThreadPoolExecutor, source: "_Source") -> None:
        """Until the source is dry and nobody of it waits for another try, or the run stops."""
        while True:
            # May raise to stop: before anything is noted as on its way.
            self._control.check_cancelled()
            self._control.progress(self._done, self._total, note="Writing to OpenMetadata.")
            batch = [] if self._why else self._batch(source)
            self._record(batch)
            for task in batch:
                self._flying[pool.submit(task.work, task.change)] = task
            if self._flying:
                wait(self._flying, timeout=BEAT_SECONDS, return_when=FIRST_COMPLETED)
            elif self._why or not self._again:
                return

    def _batch(self, source: "_Source") -> list["_Task"]:
        # While OpenMetadata is away one user at a time asks whether it is back.
        most = 1 if self._away else self._concurrency
        room = most - sum(not future.done() for future in self._flying)
        batch = _take(self._again, room) if room > 0 else []
        return batch + (source.take(room - len(batch)) if room > len(batch) else [])

    def _record(self, batch: list["_Task"]) -> None:
        """One short unit of work: what has ended, what is sent next, that we are alive."""
        outcomes = [self._landed(future) for future in list(self._flying) if future.done()]
        owned = self._database.change(
            run_repository.record,
            self._run_id,
            self._token,
            intents=[task.position for task in batch],
            outcomes=outcomes,
        )
        if not owned:
            raise JobLost
        self._done += sum(o.state not in ("pending", "sending") for _, o in outcomes)

    def _landed(self, future: Future[Outcome]) -> tuple[int, Outcome]:
        task = self._flying.pop(future)
        outcome = _result(future)
        if outcome.stops:
            self._why = outcome.reason
        elif outcome.away:
            self._away += 1
            if self._away >= MOST_AWAY:
                self._why = outcome.reason
            elif outcome.state == "pending":
                self._again.append(task._replace(work=self._writer.write))
            elif outcome.state == "sending":
                self._again.append(task._replace(work=self._writer.settle))
        else:
            self._away = 0
        return task.position, outcome

    def _land(self) -> None:
        """Wait for the writes under way and keep their outcomes, whatever ended the loop."""
        while self._flying:
            wait(self._flying)
            outcomes = [self._landed(future) for future in list(self._flying)]
            self._database.change(
                run_repository.record, self._run_id, self._token, intents=[], outcomes=outcomes
            )


class _Task(NamedTuple):
    """One item of the run and what to do about it: write it, or look first what became of it."""

    position: int
    change: Change
    work: Callable[[Change], Outcome]


class _Source:
    """Reads the items of a state, a few hundred at a time."""

    def __init__(
        self, database: Database, run_id: int, state: ItemState, work: Callable[[Change], Outcome]
    ) -> None:
        self._database = database
        self._run_id = run_id
        self._state = state
        self._work = work
        self._ready: deque[_Task] = deque()
        self._after = -1
        self._dry = False

    def take(self, count: int) -> list[_Task]:
        if len(self._ready) < count and not self._dry:
            more = self._database.ask(
                run_repository.next_changes,
                self._run_id,
                self._state,
                after=self._after,
                limit=_READ_AHEAD,
            )
            self._ready.extend(_Task(position, change, self._work) for position, change in more)
            self._dry = len(more) < _READ_AHEAD
            self._after = more[-1][0] if more else self._after
        return _take(self._ready, count)


def _take(source: deque[_Task], count: int) -> list[_Task]:
    return [source.popleft() for _ in range(min(count, len(source)))]


def _result(future: Future[Outcome]) -> Outcome:
    error = future.exception()
    if error is None:
        return future.result()
    # A bug in one row must not lose the others; what it had sent is unknown.
    log.error("Writing a user failed unexpectedly.", exc_info=error)
    return Outcome("unknown", "Something went wrong; look at the user and the log.")


def _end(database: Database, run_id: int, token: str, state: RunState | None, note: str) -> RunView:
    """Record how our attempt ended; state None: by its items."""
    with database.write() as session:
        run = run_repository.get_run(session, run_id, lock=True)
        if run.claimed_by != token:
            return run_repository.view(session, run)
        if state != "queued":
            return close(session, run, state, note)
        run.state, run.note, run.claimed_by, run.finished_at = "queued", "", None, None
        session.flush()
        return run_repository.view(session, run)


def close(session: WriteSession, run: SyncRun, state: RunState | None, note: str) -> RunView:
    """Record the end of a run; state None, or a stop with nobody left to look at: by its items.

    Items under way become `unknown`: nobody looks at them any more, unless it is continued.
    """
    run_repository.leave_unknown(session, run.id)
    view = run_repository.view(session, run)
    if state is None or (state == "stopped" and not view.unsettled):
        state = "succeeded" if view.counts.get("applied") == run.total else "partial"
    run.state, run.note = state, note[:500]
    run.claimed_by, run.finished_at = None, clock.now()
    audit.record(
        session,
        # mypy: written from a Literal, read back as str
        Actor(run.actor_id, run.actor_name, Role(run.actor_role), run.actor_kind),  # type: ignore[arg-type]
        "user_sync:plan:apply",
        subject=f"run {run.id} of plan {run.plan_id} on {run.environment}",
        phase="outcome",
        outcome=run.state,
        details={"counts": view.counts, "note": run.note},
    )
    session.flush()
    return run_repository.view(session, run)
