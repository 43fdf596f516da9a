"""kill -9 right before and right after every commit of the jobs that write the state alone.

Each try dies one commit later than the one before, until one lives to its end; what the dead ones
left is what the next begins with. (Jobs that write to outside systems: matrix.PROVEN.)
"""

import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from sqlalchemy import event, insert, select, update
from sqlalchemy.orm import Session

from backend.core import archive, audit, clock, events, retention
from backend.core.access import SYSTEM
from backend.core.database import Database, forget_databases, get_database
from backend.core.events import About
from backend.core.settings import get_settings
from backend.jobs import retention as jobs_retention
from backend.models import Job, NotificationDelivery
from backend.notifications import delivery, dispatch
from benchmarks import _history_rows
from tests.backend.notifications.conftest import Receiver, add, receiver  # noqa: F401 - a fixture

MOMENTS = ("before_commit", "after_commit")
DAYS = 365


def _die_at(work: Callable[[Database], None], moment: str, number: int) -> None:
    seen = count(1)

    def commit(_session: Session) -> None:
        if next(seen) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Session, moment, commit)
    work(get_database())
    forget_databases()
    os._exit(0)


def killed(work: Callable[[Database], None], moment: str) -> Iterator[int]:
    """Run it in processes that die at their 1st, 2nd, … commit; yields after each death."""
    for number in count(1):
        forget_databases()  # an open SQLite connection does not survive a fork
        fork: Any = multiprocessing.get_context("fork")
        process = fork.Process(target=_die_at, args=(work, moment, number))
        process.start()
        process.join(120)
        assert process.exitcode in (0, -signal.SIGKILL), "it neither died nor ended"
        if process.exitcode == 0:
            return
        yield number


def _clean(database: Database) -> None:
    jobs_retention.run(database, SYSTEM)


def _archived() -> Counter[int]:
    """How often each job is in the archives, whose signatures hold."""
    with get_database().read() as session:
        key = audit.key_of(session)
    files = archive.folder().glob("jobs-*.gz")
    return Counter(row["id"] for path in files for row in archive.read(key, path).rows)


def _jobs() -> set[int]:
    with get_database().read() as session:
        return set(session.scalars(select(Job.id)))


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_clean_up_loses_no_row_and_archives_none_twice(
    database: Database, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    monkeypatch.setattr(retention, "ROWS", 3)
    monkeypatch.setenv("PORTAL_KEEP_JOBS_DAYS", str(DAYS))
    get_settings.cache_clear()
    old, young = clock.now() - timedelta(days=DAYS + 9), clock.now()
    with database.write() as session:
        rows = [_history_rows.job(n, young if n % 20 == 0 else old) for n in range(1, 90)]
        session.execute(insert(Job), rows)
        session.execute(update(Job).values(state="succeeded"))
        session.execute(update(Job).where(Job.id == 5).values(state="queued"))
    before = _jobs()
    deaths = 0
    for _ in killed(_clean, moment):
        deaths += 1
        archived, left = _archived(), _jobs()
        assert before - left <= archived.keys(), "a row that left is in an archive"
        assert set(archived.values()) <= {1}, "and in no second one"
    assert deaths >= 2
    stay = {5, max(before), *range(20, 90, 20)}
    assert _jobs() == stay
    assert _archived() == Counter(before - stay)
    with get_database().read() as session:
        assert audit.verify(session).ok


def _send(database: Database) -> None:
    """What the leader and the workers do, once."""
    dispatch.fan_out(database)
    with database.read() as session:
        numbers = dispatch.repository.due_channels(session)
    for number in numbers:
        delivery.deliver(database, number)


@pytest.mark.parametrize("moment", MOMENTS)
def test_notifications_all_arrive_and_twice_only_where_the_sender_died(
    database: Database,
    receiver: Receiver,  # noqa: F811 - the fixture
    moment: str,
) -> None:
    add(database, receiver.url)
    told = {f"OpenMetadata {number}" for number in range(8)}
    with database.write() as session:
        for number, subject in enumerate(sorted(told)):
            events.raised(
                session, "connections.failing", str(number), About(subject, "connections")
            )
    deaths = 0
    for _ in killed(_send, moment):
        deaths += 1
        with get_database().write() as session:  # the dead one's lease is over
            session.execute(
                update(NotificationDelivery)
                .where(NotificationDelivery.state == "waiting")
                .values(due_at=clock.now() - timedelta(seconds=1))
            )
    assert deaths >= 2
    with get_database().read() as session:
        states = Counter(session.scalars(select(NotificationDelivery.state)))
    assert states == {"sent": len(told)}
    arrived = Counter(subject for _, _, subject in receiver.told)
    assert arrived.keys() == told
    assert arrived.total() - len(told) <= deaths
