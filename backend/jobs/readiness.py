"""Can this portal do its work now: what a load balancer asks before it sends people here."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait

from pika.exceptions import AMQPError
from sqlalchemy import func, select, text

from backend.core import startup
from backend.core.database import Database, database_now
from backend.core.errors import PortalError
from backend.jobs import broker, remote, schedule
from backend.models.jobs import Job, ScheduleMark

DEADLINE = 4.0
#: Seconds an answer is good for: strangers may ask, and each asking writes.
FRESH = 2.0
OK = "ok"
_MARK = "readiness"
_lock = threading.Lock()
_last: tuple[float, Database, dict[str, str]] | None = None


def check(database: Database) -> dict[str, str]:
    """Part -> "ok" or a sentence: state, migrations, broker, leader. Takes DEADLINE at most."""
    global _last
    with _lock:
        if _last and _last[1] is database and time.monotonic() - _last[0] < FRESH:
            return _last[2]
        asked = {
            name: _within(part, database)
            for name, part in (
                ("state", _state),
                ("migrations", _migrations),
                ("broker", _broker),
                ("leader", _leader),
            )
        }
        until = time.monotonic() + DEADLINE
        found = {name: _answer(future, until) for name, future in asked.items()}
        _last = (time.monotonic(), database, found)
        return found


def _within(part: Callable[[Database], str], database: Database) -> "Future[str]":
    """In a daemon thread: a locked file or a hanging broker holds nobody."""
    outcome: Future[str] = Future()

    def work() -> None:
        try:
            outcome.set_result(part(database))
        except PortalError as exc:
            outcome.set_result(exc.message)
        except Exception as exc:
            # whatever it is, it is not ready; the class is enough for a stranger
            outcome.set_result(f"It failed with {type(exc).__name__}.")

    threading.Thread(target=work, name="readiness", daemon=True).start()
    return outcome


def _answer(future: "Future[str]", until: float) -> str:
    wait([future], timeout=max(0.0, until - time.monotonic()))
    return future.result() if future.done() else f"It did not answer within {DEADLINE:g} s."


def _state(database: Database) -> str:
    """A row is written and committed: a full or read-only disk and a held lock show only there."""
    with database.write() as session:
        mark = session.get(ScheduleMark, _MARK)
        if mark is None:
            session.add(ScheduleMark(name=_MARK, last_run_at=database_now(session)))
        else:
            mark.last_run_at = database_now(session)
    return OK


def _migrations(database: Database) -> str:
    with database.read() as session:
        at = session.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return OK if at == startup.SCHEMA_REVISION else f"The schema is at {at}."


def _broker(_database: Database) -> str:
    return next(iter(problems()), OK)


def problems(_settings: object = None) -> list[str]:
    """What is wrong with the broker, as a sentence; for `doctor`, too."""
    if not broker.is_remote():
        return []
    try:
        broker.ask()
    except (AMQPError, OSError):
        return [remote.AWAY]
    return []


def _leader(database: Database) -> str:
    held = database.ask(schedule.leader)
    return OK if held else "No process of the portal runs the schedule."


def queue(database: Database) -> tuple[dict[str, int], float]:
    """How many jobs wait and run, by state, and the seconds that the oldest one waits."""
    with database.read() as session:
        found = session.execute(
            select(Job.state, func.count(), func.min(Job.id))
            .where(Job.state.in_(("queued", "running")))
            .group_by(Job.state)
        ).all()
        oldest = next((first for state, _, first in found if state == "queued"), None)
        since = session.scalar(select(Job.created_at).where(Job.id == oldest)) if oldest else None
        waits = (database_now(session) - since).total_seconds() if since else 0.0
    counts = {"queued": 0, "running": 0} | {state: count for state, count, _ in found}
    return counts, max(waits, 0.0)
