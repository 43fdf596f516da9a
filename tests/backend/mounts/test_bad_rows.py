"""The table belongs to others: a row that cannot be read never takes down a view."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.dms.client import DMSClient
from backend.dms.ledger import Ledger
from backend.mounts import alerts, explorer, orphans
from backend.mounts import settings as mount_settings
from backend.mounts.schemas import EMPTY, SORTS, Filters
from tests.fixtures import server_ledger
from tests.fixtures.mounts import add_environment

TABLE = "backup_target_mount_ledger"
COLUMNS = "created_at, updated_at, deleted, backup_target_id, jobid, host, mounted"
ROWS = (
    "('2026-01-01 10:00:00', '2026-01-01 10:00:00', 0, 't', 1, 'compute-01', 1)",
    "('0000-00-00 00:00:00', '2026-01-01 10:00:00', 0, 't', 2, 'compute-01', 1)",
    "('2026-00-10 00:00:00', '2026-01-01 10:00:00', 0, 't', 3, 'compute-01', 1)",
    "('2026-01-03 10:00:00', '0000-00-00 00:00:00', 0, '', 4, 'compute-01', 1)",
    "('2026-01-04 10:00:00', '2026-01-01 10:00:00', 0, 't', -5, '', 0)",
    "('2026-01-05 10:00:00', '2026-01-01 10:00:00', 0, 't', 4000000000, 'compute-02', 1)",
)
JOBS = [1, 2, 3, 4, -5, 4_000_000_000]


@pytest.fixture(params=["guide sqlite", "guide mariadb", "server sqlite", "server mariadb"])
def odd(request: pytest.FixtureRequest, tmp_path: Path, database: Database) -> Iterator[str]:
    shape, kind = request.param.split()
    url = server_ledger.empty_database(kind, request, tmp_path)
    if shape == "guide":
        Ledger(url).close()
    else:
        server_ledger.create(url)
    lenient = () if kind == "sqlite" else ("SET SESSION sql_mode = ''",)
    wide = () if kind == "sqlite" else (f"ALTER TABLE {TABLE} MODIFY jobid BIGINT NOT NULL",)
    insert = f"INSERT INTO {TABLE} ({COLUMNS}) VALUES {', '.join(ROWS)}"
    server_ledger.run(url, *lenient, *wide, insert)
    add_environment(database, ledger_url=url, broker_url=f"memory://{url[-9:].replace('/', '-')}")
    yield url
    mount_settings.forget_ledgers()
    explorer.forget_counts()


def test_every_list_shows_every_row_with_its_key(database: Database, odd: str):
    for sort in SORTS:
        found, cursor = [], ""
        for _ in range(20):
            with database.read() as session:
                page = explorer.list_mounts(
                    session, SYSTEM, filters=Filters(), sort=sort, cursor=cursor, limit=2
                )
            found += page.items
            if page.next_cursor is None:
                break
            cursor = page.next_cursor
        assert sorted(str(m.jobid) for m in found) == sorted(map(str, JOBS)), sort
    unread = {m.jobid: m.problem for m in found if m.problem}
    assert set(unread) == {2, 3, 4}
    assert "0000-00-00" in unread[2]
    assert "2026-00-10" in unread[3]
    for mount in found:
        with database.read() as session:
            details = explorer.details(session, SYSTEM, key=mount.key)
        assert details.mount == mount


@pytest.mark.parametrize(
    ("filters", "jobs"),
    [
        (Filters(job=-5), [-5]),
        (Filters(job=4_000_000_000), [4_000_000_000]),
        (Filters(host=EMPTY), [-5]),
        (Filters(target=EMPTY), [4]),
        (Filters(host="pute-0", mounted=True), [1, 2, 3, 4, 4_000_000_000]),
        (Filters(host="COMPUTE-02"), [4_000_000_000]),
        (Filters(host="compute-01"), [1, 2, 3, 4]),
        (Filters(host="nowhere"), []),
    ],
    ids=str,
)
def test_odd_values_filter(database: Database, odd: str, filters: Filters, jobs: list[int]):
    with database.read() as session:
        found = explorer.list_mounts(session, SYSTEM, filters=filters).items
    assert sorted(m.jobid or 0 for m in found) == sorted(jobs)


def test_csv_charts_facets_and_the_client_read_them(database: Database, odd: str):
    with database.read() as session:
        text = "".join(explorer.export_csv(session, SYSTEM, filters=Filters()))
        assert explorer.charts(session, SYSTEM).sampled == 6
        assert dict(explorer.facets(session, SYSTEM, filters=Filters()).hosts)[""] == 1
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 6
    assert sum("is no time" in row["problem"] for row in rows) == 3
    with DMSClient(odd) as client:
        assert {e.jobid for e in client.get_active_mounts()} == {1, 2, 3, 4, 4_000_000_000}
        assert len(client.get_ledger_history("t")) == 5


def test_a_scan_shows_what_it_could_not_read(database: Database, odd: str):
    watch = orphans.scan(database, SYSTEM)
    assert watch.active == 5
    with database.read() as session:
        found = {o.jobid: o for o in orphans.list_found(session, SYSTEM).items}
    assert {job for job, o in found.items() if "unreadable" in o.evidence} == {2, 3, 4}
    assert found[4_000_000_000].created_at is not None
    assert found[2].created_at is None


def test_a_scan_that_fails_for_whatever_reason_is_an_alert(
    database: Database, odd: str, monkeypatch: pytest.MonkeyPatch
):
    def broken(*_arguments: Any) -> Any:
        raise RuntimeError("not foreseen")

    monkeypatch.setattr(orphans, "gather", broken)
    with pytest.raises(RuntimeError, match="not foreseen"):
        orphans.scan(database, SYSTEM)
    with database.read() as session:
        page = orphans.list_found(session, SYSTEM)
        [alert] = alerts.alerts(session, SYSTEM)
    assert page.found_at is None
    assert page.failing_since is not None
    assert "not being watched" in alert.text
