"""Which old rows of jobs, runs and tokens leave, and which stay because something needs them."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from backend.core import archive, audit, clock
from backend.core import retention as core_retention
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.core.errors import InvalidInput
from backend.core.settings import get_settings
from backend.jobs import retention as jobs_retention
from backend.models import (
    ApiToken,
    Change,
    IngestionRun,
    Job,
    NotificationChannel,
    SyncItem,
    SyncPlan,
    SyncRow,
    SyncRun,
    TokenizationRun,
)
from benchmarks import _history_rows, history

YEARS = {"AUDIT": 1095, "JOBS": 365, "RUNS": 730, "TOKENS": 365}


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, days in YEARS.items():
        monkeypatch.setenv(f"PORTAL_KEEP_{name}_DAYS", str(days))
    get_settings.cache_clear()


def test_old_jobs_and_runs_leave_for_archives(database: Database) -> None:
    history.fill(database.url, history.Size(1200, 0.0005))
    with database.write() as session:
        # An open job stays, however old it is.
        session.execute(update(Job).where(Job.id == 1).values(state="queued"))
        session.execute(update(TokenizationRun).values(rows_updated=0))
        session.execute(
            update(TokenizationRun).where(TokenizationRun.id == 3).values(rows_updated=5)
        )
    removed = _clean(database)
    of_runs = {"ingestion_runs", "tokenization_runs", "user_sync_runs"}
    assert {"audit_events", "jobs", *of_runs} == set(removed)
    with database.read() as session:
        runs = (IngestionRun, TokenizationRun, SyncRun)
        for table, days in ((Job, 365), *((each, 730) for each in runs)):
            query = select(table.id).where(table.created_at < _ago(days))
            kept = {Job: [1], TokenizationRun: [3]}.get(table, [])
            assert list(session.scalars(query)) == kept, table
        assert audit.verify(session).ok
        key = audit.key_of(session)
    found = [archive.read(key, path) for path in sorted(archive.folder().glob("jobs-*"))]
    assert sum(len(each.rows) for each in found) == removed["jobs"]
    assert found[0].rows[0]["kind"]
    assert _clean(database) == {}


@pytest.mark.parametrize("what", ["change", "plan", "sync run", "tokenization", "channel"])
def test_a_job_that_something_open_refers_to_stays(database: Database, what: str) -> None:
    with database.write() as session:
        session.execute(insert(Job), [_history_rows.job(n, _ago(800)) for n in range(4)])
        session.execute(update(Job).values(state="succeeded"))
    with database.read() as session:
        first, *rest = session.scalars(select(Job.id).order_by(Job.id))
    _refer(database, what, first)
    due = _due(database, "jobs")
    assert _clean(database)["jobs"] == due == len(rest) - 1  # the newest always stays
    with database.read() as session:
        assert list(session.scalars(select(Job.id))) == [first, rest[-1]]


def test_a_run_whose_revert_is_planned_stays(database: Database) -> None:
    with database.write() as session:
        for number in (1, 2, 3):
            _sync_run(session, number, _ago(800))
        session.execute(update(SyncPlan).where(SyncPlan.id == 3).values(reverts_run_id=1))
        session.execute(update(SyncRun).where(SyncRun.id == 2).values(state="stopped"))
    assert _due(database, "user_sync_runs") == 0
    assert _clean(database) == {}
    with database.read() as session:
        assert set(session.scalars(select(SyncItem.run_id))) == {1, 2, 3}


def test_it_can_be_stopped_between_two_transactions(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What had left is in an archive, and in the audit log; the rest is still there."""
    monkeypatch.setattr(core_retention, "ROWS", 3)
    with database.write() as session:
        session.execute(insert(Job), [_history_rows.job(n, _ago(800)) for n in range(10)])
        session.execute(update(Job).values(state="succeeded"))

    def stop(rule: core_retention.Rule, done: int) -> None:
        if done >= 6:
            raise InvalidInput("stopped here")

    with pytest.raises(InvalidInput, match="stopped here"):
        jobs_retention.run(database, SYSTEM, step=stop)
    with database.read() as session:
        key = audit.key_of(session)
        assert session.scalar(select(func.count()).select_from(Job)) == 4
    files = sorted(archive.folder().glob("jobs-*"))
    assert [len(archive.read(key, path).rows) for path in files] == [3, 3]


def test_tokens_that_ended_long_ago_go_and_the_newest_stays(database: Database) -> None:
    with database.write() as session:
        for number in range(4):
            session.add(_token(number, revoked=_ago(400) if number != 1 else None))
    removed = _clean(database)
    assert removed == {"api_tokens": 2}
    with database.read() as session:
        assert sorted(session.scalars(select(ApiToken.name))) == ["token 1", "token 3"]


def test_runs_of_user_sync_go_with_their_people(database: Database) -> None:
    with database.write() as session:
        for number, finished in ((1, _ago(800)), (2, _ago(800)), (3, _ago(1))):
            _sync_run(session, number, finished)
    assert _clean(database) == {"user_sync_runs": 2}
    with database.read() as session:
        assert list(session.scalars(select(SyncRun.id))) == [3]
        assert set(session.scalars(select(SyncItem.run_id))) == {3}
        assert list(session.scalars(select(SyncPlan.id))) == [3]
        assert set(session.scalars(select(SyncRow.plan_id))) == {3}
    assert not list(archive.folder().glob("user_sync*")) if archive.folder().exists() else True


def _clean(database: Database) -> dict[str, int]:
    return dict(core_retention.clean(database, lambda rule, done: None))


def _due(database: Database, table: str) -> int:
    with database.read() as session:
        items = jobs_retention.show(session, SYSTEM).items
    return next(item.due for item in items if item.table == table)


def _refer(database: Database, what: str, job_id: int) -> None:
    """Something open that names this job."""
    with database.write() as session:
        if what in ("plan", "sync run"):
            _sync_run(session, 1, _ago(1))
            plan = {"state": "planning", "job_id": job_id} if what == "plan" else {}
            run = {"state": "stopped", "job_id": job_id} if what == "sync run" else {}
            session.execute(update(SyncPlan).values(**{"state": "ready", **plan}))
            session.execute(update(SyncRun).values(**{"state": "succeeded", **run}))
        elif what == "tokenization":
            row = {**_history_rows.tokenization(1, _ago(1), 1), "write_back": "pending"}
            session.execute(insert(TokenizationRun), [{**row, "job_id": job_id}])
        elif what == "change":
            session.add(_change(job_id))
        else:
            session.add(_channel(job_id))


def _change(job_id: int) -> Change:
    texts = ("environment", "action", "subject", "reason", "ciphertext", "digest", "rule")
    return Change(
        **dict.fromkeys(texts, ""),
        environment_id=1,
        shown={},
        needed=1,
        state="running",
        requester_id=1,
        requester_name="ann",
        requester_kind="user",
        created_at=_ago(1),
        expires_at=_ago(-1),
        run_id="",
        job_id=job_id,
        outcome="",
    )


def _channel(job_id: int) -> NotificationChannel:
    texts = ("name", "service", "shown", "ciphertext", "quiet", "digest", "created_by")
    return NotificationChannel(
        **dict.fromkeys(texts, ""),
        owner_id=0,
        kinds=[],
        created_at=_ago(1),
        since_event=0,
        job_id=job_id,
        enabled=True,
    )


def _ago(days: int) -> datetime:
    return clock.now() - timedelta(days=days)


def _token(number: int, *, revoked: datetime | None) -> ApiToken:
    return ApiToken(
        name=f"token {number}",
        prefix=f"prefix{number}",
        token_hash="0" * 64,
        role="viewer",
        created_at=_ago(500),
        created_by="admin",
        last_address="",
        actions="",
        environments="",
        ask_only=False,
        revoked_at=revoked,
        revoked_by="admin" if revoked else "",
    )


def _sync_run(session: Any, number: int, finished: datetime) -> None:
    rows = _history_rows.user_sync(number, finished)
    for row in rows:
        session.add(row)
