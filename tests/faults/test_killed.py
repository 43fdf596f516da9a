"""kill -9 right before and right after every commit of the jobs that write the state alone."""

from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import insert, select, update

from backend.core import archive, audit, clock, events, retention
from backend.core.access import SYSTEM
from backend.core.database import Database, get_database
from backend.core.events import About
from backend.core.settings import get_settings
from backend.jobs import retention as jobs_retention
from backend.models import Job, NotificationDelivery
from backend.notifications import delivery, dispatch
from benchmarks import _history_rows
from tests.backend.notifications.conftest import Receiver, add, receiver  # noqa: F401 - a fixture
from tests.faults.killing import COMMITS, killed, tell

DAYS = 365


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


@pytest.mark.kills(5)
@pytest.mark.parametrize("moment", COMMITS)
def test_a_clean_up_loses_no_row_and_archives_none_twice(
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
    request: pytest.FixtureRequest,
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
    tell(request, deaths)
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


@pytest.mark.kills(5)
@pytest.mark.parametrize("moment", COMMITS)
def test_notifications_all_arrive_and_twice_only_where_the_sender_died(
    database: Database,
    receiver: Receiver,  # noqa: F811 - the fixture
    moment: str,
    request: pytest.FixtureRequest,
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
    tell(request, deaths)
    with get_database().read() as session:
        states = Counter(session.scalars(select(NotificationDelivery.state)))
    assert states == {"sent": len(told)}
    arrived = Counter(subject for _, _, subject in receiver.told)
    assert arrived.keys() == told
    assert arrived.total() - len(told) <= deaths
