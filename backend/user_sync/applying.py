"""Applies a run: a few users at a time, each outcome stored, safe to stop and to start again.

Before a PATCH leaves, its item says `sending`. After a crash those items are looked at first: what
is stored already is never written again. One thread coordinates and talks to the state database,
the others talk to OpenMetadata.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import timedelta

from backend.connections import resolve
from backend.connections.schemas import ConnectionConfig
from backend.core import audit, clock
from backend.core.access import Actor, Role
from backend.core.database import Database, ReadSession
from backend.core.errors import PortalError
from backend.core.log import get_logger
from backend.jobs.errors import JobCancelled, JobInterrupted, JobLost
from backend.models import SyncPlan
from backend.user_sync import left_alone, repository, rules_repository, run_repository
from backend.user_sync.errors import ElsewhereNow, PlanExpired
from backend.user_sync.planning import Control, gateway_for
from backend.user_sync.schemas import Change, Outcome, RunState, RunView
from backend.user_sync.writing import Writer

log = get_logger(__name__)

#: This many users in a row without OpenMetadata being there end the run.
STRIKES = 3
BEAT_SECONDS = 5.0
#: A run asked for in time may begin so long after its plan expired, and go on after a crash; one
#: that lay there longer than that (a portal switched off) must not write what was true long ago.
LATE = timedelta(hours=1)
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
        left_alone.skip(session, run_id)
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
        self._flying: dict[Future[Outcome], tuple[int, Change]] = {}
        self._again: deque[tuple[int, Change]] = deque()
        self._source = _Source(database, run_id)
        self._strikes = 0
        self._why = ""
        with database.read() as session:
            view = run_repository.view(session, run_repository.get_run(session, run_id))
        self._done, self._total = view.done, view.total

    def run(self) -> str:
        """Until nothing is left; returns why it stopped early, or ""."""
        with ThreadPoolExecutor(self._concurrency, "user-sync") as pool:
            try:
                self._settle(pool)
                self._go(pool, self._writer.write, self._source.take)
            finally:
                self._land()
        return self._why

    def _settle(self, pool: ThreadPoolExecutor) -> None:
        """Look at what an earlier attempt left under way, before anything new is sent."""
        interrupted = deque(self._source.interrupted())
        self._go(pool, self._writer.settle, lambda n: _take(interrupted, n))

    def _go(
        self,
        pool: ThreadPoolExecutor,
        work: Callable[[Change], Outcome],
        take: Callable[[int], list[tuple[int, Change]]],
    ) -> None:
        while True:
            # May raise to stop: before anything is noted as on its way.
            self._control.check_cancelled()
            self._control.progress(self._done, self._total, note="Writing to OpenMetadata.")
            batch = [] if self._why else self._batch(take)
            self._record(batch)
            for position, change in batch:
                self._flying[pool.submit(work, change)] = (position, change)
            if not self._flying:
                return
            wait(self._flying, timeout=BEAT_SECONDS, return_when=FIRST_COMPLETED)

    def _batch(self, take: Callable[[int], list[tuple[int, Change]]]) -> list[tuple[int, Change]]:
        # While OpenMetadata is away one user at a time asks whether it is back.
        most = 1 if self._strikes else self._concurrency
        room = most - sum(not future.done() for future in self._flying)
        batch = _take(self._again, room) if room > 0 else []
        return batch + (take(room - len(batch)) if room > len(batch) else [])

    def _record(self, batch: list[tuple[int, Change]]) -> None:
        """One short unit of work: what has ended, what is sent next, that we are alive."""
        outcomes = [self._landed(future) for future in list(self._flying) if future.done()]
        with self._database.write() as session:
            owned = run_repository.record(
                session,
                self._run_id,
                self._token,
                intents=[position for position, _ in batch],
                outcomes=outcomes,
            )
        if not owned:
            raise JobLost
        self._done += sum(o.state not in ("pending", "sending") for _, o in outcomes)

    def _landed(self, future: Future[Outcome]) -> tuple[int, Outcome]:
        position, change = self._flying.pop(future)
        outcome = _result(future)
        if outcome.stops:
            self._why = outcome.reason
        elif outcome.away:
            self._strikes += 1
            if self._strikes >= STRIKES:
                self._why = outcome.reason
            elif outcome.state == "pending":
                self._again.append((position, change))
        else:
            self._strikes = 0
        return position, outcome

    def _land(self) -> None:
        """Wait for the writes under way and keep their outcomes, whatever ended the loop."""
        while self._flying:
            wait(self._flying)
            outcomes = [self._landed(future) for future in list(self._flying)]
            with self._database.write() as session:
                run_repository.record(
                    session, self._run_id, self._token, intents=[], outcomes=outcomes
                )


class _Source:
    """Reads the items still to do, a few hundred at a time."""

    def __init__(self, database: Database, run_id: int) -> None:
        self._database = database
        self._run_id = run_id
        self._ready: deque[tuple[int, Change]] = deque()
        self._after = -1
        self._dry = False

    def interrupted(self) -> list[tuple[int, Change]]:
        with self._database.read() as session:
            return run_repository.next_changes(
                session, self._run_id, "sending", after=-1, limit=10_000
            )

    def take(self, count: int) -> list[tuple[int, Change]]:
        if len(self._ready) < count and not self._dry:
            with self._database.read() as session:
                more = run_repository.next_changes(
                    session, self._run_id, "pending", after=self._after, limit=_READ_AHEAD
                )
            self._ready.extend(more)
            self._dry = len(more) < _READ_AHEAD
            self._after = more[-1][0] if more else self._after
        return _take(self._ready, count)


def _take(source: deque[tuple[int, Change]], count: int) -> list[tuple[int, Change]]:
    return [source.popleft() for _ in range(min(count, len(source)))]


def _result(future: Future[Outcome]) -> Outcome:
    error = future.exception()
    if error is None:
        return future.result()
    # A bug in one row must not lose the others; what it had sent is unknown.
    log.error("Writing a user failed unexpectedly.", exc_info=error)
    return Outcome("unknown", "Something went wrong; look at the user and the log.")


def _end(database: Database, run_id: int, token: str, state: RunState | None, note: str) -> RunView:
    """Record how the run ended; state None: by its items."""
    with database.write() as session:
        run = run_repository.get_run(session, run_id, lock=True)
        view = run_repository.view(session, run)
        if run.claimed_by != token:
            return view
        run.state = state or ("succeeded" if view.counts.get("applied") == run.total else "partial")
        run.note, run.claimed_by = note[:500], None
        run.finished_at = None if run.state == "queued" else clock.now()
        if run.state != "queued":
            audit.record(
                session,
                Actor(run.actor_id, run.actor_name, Role(run.actor_role), run.actor_kind),  # type: ignore[arg-type]
                "user_sync:plan:apply",
                subject=f"run {run_id} of plan {run.plan_id} on {run.environment}",
                phase="outcome",
                outcome=run.state,
                details={"counts": view.counts, "note": run.note},
            )
        session.flush()
        return run_repository.view(session, run)
