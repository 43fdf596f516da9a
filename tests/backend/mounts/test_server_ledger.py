"""The explorer on a ledger without ids: pages by key, facets, details, orphans."""

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert

from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.dms import schema
from backend.dms.ledger import SCHEMA_FILE, Ledger
from backend.mounts import actions, explorer, ledger_repository, orphans, paging
from backend.mounts import settings as mount_settings
from backend.mounts.errors import BadCursor, MountNotFound
from backend.mounts.schemas import EMPTY, SORTS, Filters
from tests.backend.mounts.test_explorer import FILTERS, START, _fits
from tests.fixtures import server_ledger
from tests.fixtures.mounts import add_environment

ENTRIES = 400
INDEXES_FILE = SCHEMA_FILE.parents[2] / "data" / "ledger_indexes.server.sql"


def _fill(ledger: Ledger) -> list[dict[str, Any]]:
    """Distinct keys; some made in the same second, some never changed, some without times."""
    chance = random.Random(5)
    rows = [
        {
            "created_at": START + timedelta(hours=6 * (number // 3)) if number % 40 else None,
            "updated_at": None if number % 3 else START,
            "deleted": chance.random() < 0.15,
            "backup_target_id": f"target-{chance.randint(1, 6)}",
            "jobid": 100 + number,
            "host": f"compute-{chance.randint(1, 5)}",
            "mounted": chance.random() < 0.2,
        }
        for number in range(ENTRIES)
    ]
    ledger.write(lambda c: c.execute(insert(schema.server_ledger), rows))
    return rows


@pytest.fixture(params=server_ledger.KINDS, scope="module")
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Ledger, list[dict[str, Any]]]]:
    url = server_ledger.empty_database(request.param, request, tmp_path_factory.mktemp("server"))
    with closing(Ledger(server_ledger.create(url))) as ledger:
        yield ledger, _fill(ledger)


def _made(row: dict[str, Any]) -> datetime:
    return row["created_at"] or datetime.min  # noqa: DTZ901 - NULL is the least


_KEYS = {
    "newest": lambda r: (_made(r), r["jobid"]),
    "oldest": lambda r: (_made(r), r["jobid"]),
    "host": lambda r: (r["host"], r["jobid"]),
    "target": lambda r: (r["backup_target_id"], r["jobid"]),
    "job": lambda r: r["jobid"],
}


def _through(ledger: Ledger, filters: Filters, sort: Any, limit: int) -> list[Any]:
    found, cursor = [], ""
    for _ in range(ENTRIES):
        items, following, used = paging.page(ledger, filters, sort, cursor, limit)
        assert (used, len(items) <= limit) == (sort, True)
        found += [item.jobid for item in items]
        if following is None:
            return found
        cursor = following
    raise AssertionError("the pages never end")


def _timed_fits(row: dict[str, Any], filters: Filters) -> bool:
    if row["created_at"] is None:
        return (
            filters.since is None
            and filters.until is None
            and _fits({**row, "created_at": START}, filters)
        )
    return _fits(row, filters)


class TestPages:
    @pytest.mark.parametrize("sort", SORTS)
    def test_together_they_are_exactly_what_fits_in_order(
        self, filled: tuple[Ledger, list[dict[str, Any]]], sort: Any
    ):
        ledger, rows = filled
        for filters in FILTERS:
            expected = sorted(
                (row for row in rows if _timed_fits(row, filters)),
                key=_KEYS[sort],
                reverse=sort == "newest",
            )
            found = _through(ledger, filters, sort, limit=17)
            assert found == [row["jobid"] for row in expected], filters

    def test_the_indexes_that_a_deployment_may_add_change_no_page(
        self, request: pytest.FixtureRequest, tmp_path: Path
    ):
        url = server_ledger.empty_database("mariadb", request, tmp_path)
        server_ledger.create(url)
        server_ledger.run(url, *INDEXES_FILE.read_text(encoding="utf-8").split(";")[:-1])
        with closing(Ledger(url)) as ledger:
            assert {"created_at", "host", "backup_target_id", "mounted"} <= ledger.shape.leading
            rows = _fill(ledger)
            for sort in SORTS:
                found = _through(ledger, Filters(mounted=False), sort, limit=50)
                expected = [row for row in rows if not row["mounted"]]
                expected.sort(key=_KEYS[sort], reverse=sort == "newest")
                assert found == [row["jobid"] for row in expected]

    def test_the_first_page_reads_no_more_than_a_page_where_the_index_is(
        self, request: pytest.FixtureRequest, tmp_path: Path
    ):
        url = server_ledger.empty_database("mariadb", request, tmp_path)
        server_ledger.create(url)
        server_ledger.run(url, *INDEXES_FILE.read_text(encoding="utf-8").split(";")[:-1])
        with closing(Ledger(url)) as ledger:
            _fill(ledger)
            statements: list[tuple[str, Any]] = []

            def note(_c: Any, _cur: Any, statement: str, parameters: Any, *_: Any) -> None:
                statements.append((statement, parameters))

            event.listen(ledger.engine, "before_cursor_execute", note)
            paging.page(ledger, Filters(), "newest", "", 10)
            event.remove(ledger.engine, "before_cursor_execute", note)
            [(statement, parameters)] = statements
            with ledger.engine.connect() as connection:
                explain = (
                    f"EXPLAIN /*!80000 FORMAT=TRADITIONAL */ {statement}"  # MySQL 9 has another
                )
                plan = connection.exec_driver_sql(explain, parameters).first()
            assert plan is not None
            assert plan.key == "idx_created_at"
            assert "filesort" not in (plan.Extra or "")

    @pytest.mark.parametrize("cursor", ["x", "W10", "WyJuZXdlc3QiLCBbMSwgMiwgMywgNF1d"])
    def test_a_foreign_cursor_is_refused(
        self, filled: tuple[Ledger, list[dict[str, Any]]], cursor: str
    ):
        with pytest.raises(BadCursor):
            paging.page(filled[0], Filters(), "newest", cursor, 10)

    def test_groups_count_what_fits(self, filled: tuple[Ledger, list[dict[str, Any]]]):
        ledger, rows = filled
        for filters in FILTERS:
            groups, seen = ledger_repository.groups(ledger, filters, 100_000)
            pairs = [(r["host"], r["backup_target_id"]) for r in rows if _timed_fits(r, filters)]
            assert Counter({(h, t): n for h, t, n in groups}) == Counter(pairs), filters
            assert seen == len(pairs)


@pytest.fixture
def server_lab(database: Database, mariadb_url: str, rabbitmq_url: str) -> Iterator[str]:
    """An environment whose ledger is a DMS server's, on a real MariaDB and RabbitMQ."""
    server_ledger.create(mariadb_url)
    server_ledger.run(
        mariadb_url,
        "INSERT INTO backup_target_mount_ledger VALUES "
        "('2026-01-01 10:00', NULL, NULL, 0, '1.0', 't-a', 1, 'compute-01', 1),"
        "('2026-01-02 10:00', NULL, NULL, 0, '1.0', 't-a', 2, 'compute-01', 1),"
        "('2026-01-03 10:00', NULL, NULL, NULL, '1.0', '', -5, '', 0)",
    )
    add_environment(database, ledger_url=mariadb_url, broker_url=rabbitmq_url)
    yield mariadb_url
    mount_settings.forget_ledgers()
    explorer.forget_counts()


class TestService:
    def test_an_entry_is_opened_by_its_key(self, database: Database, server_lab: str):
        with database.read() as session:
            page = explorer.list_mounts(session, SYSTEM, filters=Filters())
            assert [item.key for item in page.items] == [
                "-5::",
                "2:t-a:compute-01",
                "1:t-a:compute-01",
            ]
            details = explorer.details(session, SYSTEM, key="2:t-a:compute-01")
            assert [other.jobid for other in details.others] == [1]
            plan = actions.preview_unmount(session, SYSTEM, key="2:t-a:compute-01")
            assert not plan.sends
            assert explorer.details(session, SYSTEM, key="-5::").mount.jobid == -5
            for wrong in ("2", "9:t-a:compute-01", "2:T-A:compute-01", "x:y:z"):
                with pytest.raises(MountNotFound):
                    explorer.details(session, SYSTEM, key=wrong)

    def test_what_is_empty_or_negative_is_found(self, database: Database, server_lab: str):
        for filters in (Filters(host=EMPTY), Filters(target=EMPTY), Filters(job=-5)):
            with database.read() as session:
                found = explorer.list_mounts(session, SYSTEM, filters=filters).items
            assert [item.jobid for item in found] == [-5], filters

    def test_a_scan_finds_orphans_and_keeps_them(self, database: Database, server_lab: str):
        watch = orphans.scan(database, SYSTEM)
        assert (watch.active, watch.orphans) == (2, 2)
        with database.read() as session:
            first = orphans.list_found(session, SYSTEM, limit=1)
            assert first.next_cursor is not None
            second = orphans.list_found(session, SYSTEM, limit=1, cursor=first.next_cursor)
            now = orphans.find_now(session, SYSTEM)
        assert [o.key for o in (*first.items, *second.items)] == [
            "2:t-a:compute-01",
            "1:t-a:compute-01",
        ]
        assert [o.key for o in now.items] == ["2:t-a:compute-01", "1:t-a:compute-01"]
        assert "no_queue" in first.items[0].evidence

    def test_charts_facets_and_csv(self, database: Database, server_lab: str):
        with database.read() as session:
            assert explorer.charts(session, SYSTEM).complete
            assert dict(explorer.facets(session, SYSTEM).hosts) == {"compute-01": 2}
            exported = "".join(explorer.export_csv(session, SYSTEM, filters=Filters()))
        assert exported.count("\r\n") == 4 or exported.count("\n") == 4
