"""Pages of the ledger: complete, in order, bounded; on SQLite, MariaDB and PostgreSQL."""

import csv
import io
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert, text

from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.core.errors import InvalidInput
from backend.dms import schema
from backend.dms.ledger import SCHEMA_FILE, Ledger
from backend.mounts import explorer, id_bounds, ledger_repository, paging, query_plan
from backend.mounts import settings as mount_settings
from backend.mounts.errors import BadCursor, LedgerNotConfigured, MountNotFound
from backend.mounts.schemas import SORTS, Filters
from tests.fixtures.mounts import MountsEnvironment

START = datetime(2026, 1, 1)  # noqa: DTZ001 - the ledger's own times are naive UTC
ENTRIES = 1_200
INDEXES_FILE = SCHEMA_FILE.parents[2] / "data" / "ledger_indexes.sql"


def _fill(ledger: Ledger) -> list[dict[str, Any]]:
    chance = random.Random(3)
    rows = [
        {
            "created_at": START + timedelta(hours=number),
            "updated_at": START + timedelta(hours=number, minutes=30),
            "deleted": chance.random() < 0.15,
            "backup_target_id": f"target-{chance.randint(1, 6)}",
            "jobid": 100 + number // 3,
            "host": f"compute-{chance.randint(1, 5)}",
            "mounted": chance.random() < 0.2,
        }
        for number in range(ENTRIES)
    ]
    ledger.write(lambda c: c.execute(insert(schema.ledger), rows))
    for number, row in enumerate(rows, start=1):
        row["id"] = number
    return rows


def _database(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    """URL of an empty one."""
    if kind == "sqlite":
        return f"sqlite:///{folder / 'ledger.sqlite'}"
    server = request.getfixturevalue(
        {"mariadb": "mariadb", "postgresql": "postgres"}[kind] + "_server"
    )
    return str(server.url(server.create_database()))


@pytest.fixture(params=["sqlite", "mariadb", "postgresql"], scope="module")
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Ledger, list[dict[str, Any]]]]:
    ledger = Ledger(_database(request.param, request, tmp_path_factory.mktemp("ledger")))
    yield ledger, _fill(ledger)
    ledger.close()


FILTERS = [
    Filters(),
    Filters(host="compute-2"),
    Filters(target="target-3"),
    Filters(job=250),
    Filters(job=250, target="target-1"),
    Filters(mounted=True),
    Filters(mounted=False),
    Filters(mounted=True, deleted=False),
    Filters(mounted=True, deleted=True),
    Filters(mounted=True, host="compute-1"),
    Filters(mounted=True, target="target-2", deleted=False),
    Filters(mounted=True, target="target-2", host="compute-3"),
    Filters(deleted=True),
    Filters(deleted=True, host="compute-4", target="target-5"),
    Filters(host="compute-2", target="target-3"),
    Filters(since=datetime(2026, 1, 10, tzinfo=UTC), until=datetime(2026, 1, 20, tzinfo=UTC)),
    Filters(host="compute-2", since=datetime(2026, 2, 1, tzinfo=UTC), mounted=False),
    Filters(host="nowhere"),
]


def _fits(row: dict[str, Any], f: Filters) -> bool:
    at = row["created_at"].replace(tzinfo=UTC)
    return (
        (not f.host or row["host"] == f.host)
        and (not f.target or row["backup_target_id"] == f.target)
        and (f.job is None or row["jobid"] == f.job)
        and (f.mounted is None or row["mounted"] is f.mounted)
        and (f.deleted is None or row["deleted"] is f.deleted)
        and (f.since is None or at >= f.since)
        and (f.until is None or at <= f.until)
    )


_KEYS = {
    "newest": lambda r: -r["id"],
    "oldest": lambda r: r["id"],
    "host": lambda r: (r["host"], r["id"]),
    "target": lambda r: (r["backup_target_id"], r["id"]),
    "job": lambda r: (r["jobid"], r["id"]),
}


def _walk_through(
    ledger: Ledger, filters: Filters, sort: Any, limit: int = 37
) -> tuple[list[int], str]:
    found, cursor, used = [], "", sort
    for _ in range(500):
        items, following, used = paging.page(ledger, filters, sort, cursor, limit)
        assert len(items) <= limit
        found += [item.id for item in items]
        if following is None:
            return found, used
        cursor = following
    raise AssertionError("the pages never end")


class TestPages:
    @pytest.mark.parametrize("sort", SORTS)
    @pytest.mark.parametrize("filters", FILTERS, ids=str)
    def test_together_they_are_exactly_what_fits_in_order(
        self, filled: tuple[Ledger, list[dict[str, Any]]], filters: Filters, sort: Any
    ):
        ledger, rows = filled
        found, used = _walk_through(ledger, filters, sort)
        expected = sorted((row for row in rows if _fits(row, filters)), key=_KEYS[used])
        assert found == [row["id"] for row in expected]

    @pytest.mark.parametrize("kind", ["sqlite", "mariadb", "postgresql"])
    def test_the_indexes_that_a_deployment_may_add_are_used_and_change_no_page(
        self, kind: str, request: pytest.FixtureRequest, tmp_path: Path
    ):
        url = _database(kind, request, tmp_path)
        with closing(Ledger(url)) as ledger:
            rows = _fill(ledger)
            for statement in INDEXES_FILE.read_text(encoding="utf-8").split(";")[:-1]:
                ledger.write(lambda c, statement=statement: c.execute(text(statement)))
        used = set()
        with closing(Ledger(url)) as ledger:
            for filters, sort in product(FILTERS, SORTS):
                found, order = _walk_through(ledger, filters, sort, limit=400)
                expected = sorted((row for row in rows if _fits(row, filters)), key=_KEYS[order])
                assert found == [row["id"] for row in expected], (filters, sort)
                used.add(query_plan.plan(ledger, filters, sort, timed=False).index)
            assert _walk_through(ledger, explorer.ACTIVE, "host")[1] == "host"
        assert used >= query_plan.ADDED_INDEXES

    @pytest.mark.parametrize("filters", FILTERS, ids=str)
    def test_a_bounded_search_loses_nothing(
        self,
        filled: tuple[Ledger, list[dict[str, Any]]],
        filters: Filters,
        monkeypatch: pytest.MonkeyPatch,
    ):
        """With a search limit of 50 entries pages are short, and still add up."""
        monkeypatch.setattr(paging, "EXAMINE", 50)
        monkeypatch.setattr(id_bounds, "BISECT_FROM", 10)
        monkeypatch.setattr(id_bounds, "CLOSE", 20)
        ledger, rows = filled
        found, _ = _walk_through(ledger, filters, "newest", limit=20)
        expected = sorted((row for row in rows if _fits(row, filters)), key=_KEYS["newest"])
        assert found == [row["id"] for row in expected]

    @pytest.mark.parametrize("near", [(40, 200), (5, 5), (10_000, 100_000)], ids=str)
    @pytest.mark.parametrize("most_hosts", [2, 200])
    def test_going_from_host_to_host_loses_nothing(
        self,
        filled: tuple[Ledger, list[dict[str, Any]]],
        near: tuple[int, int],
        most_hosts: int,
        monkeypatch: pytest.MonkeyPatch,
    ):
        monkeypatch.setattr(paging, "NEAR", near[0])
        monkeypatch.setattr(paging, "LESS_NEAR", near[1])
        monkeypatch.setattr(paging, "MOST_HOSTS", most_hosts)
        monkeypatch.setattr(id_bounds, "BISECT_FROM", 10)
        ledger, rows = filled
        until = datetime(2026, 2, 1, tzinfo=UTC)
        for filters in (
            Filters(mounted=True),
            Filters(mounted=True, deleted=False),
            Filters(mounted=True, deleted=True),
            Filters(mounted=True, until=until),
        ):
            found, _ = _walk_through(ledger, filters, "newest", limit=7)
            expected = sorted((row for row in rows if _fits(row, filters)), key=_KEYS["newest"])
            assert found == [row["id"] for row in expected], filters

    @pytest.mark.parametrize(
        ("filters", "most"),
        [
            (Filters(), 1),
            (Filters(deleted=False), 1),
            (Filters(host="compute-2", deleted=False), 1),
            (Filters(host="compute-2", mounted=False), 1),
            (Filters(target="target-3", deleted=False), 1),
            (Filters(since=datetime(2026, 1, 2, tzinfo=UTC), deleted=False), 2),
            (Filters(mounted=True, deleted=False), 2),
        ],
        ids=str,
    )
    def test_a_page_behind_a_cursor_takes_few_queries(
        self,
        filled: tuple[Ledger, list[dict[str, Any]]],
        filters: Filters,
        most: int,
        monkeypatch: pytest.MonkeyPatch,
    ):
        """No more than the rows, and before them the span of ids or the names of the hosts."""
        monkeypatch.setattr(id_bounds, "BISECT_FROM", 10)
        ledger, _rows = filled
        _items, cursor, _plan = paging.page(ledger, filters, "newest", "", 10)
        queries: list[str] = []

        def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
            queries.append(statement)

        event.listen(ledger.engine, "before_cursor_execute", note)
        try:
            items, _following, _plan = paging.page(ledger, filters, "newest", cursor or "", 10)
        finally:
            event.remove(ledger.engine, "before_cursor_execute", note)
        assert len(items) == 10
        assert len([q for q in queries if "backup_target_mount_ledger" in q]) <= most

    @pytest.mark.parametrize(
        ("filters", "fitting"),
        [
            (Filters(since=datetime.min, until=datetime.max), ENTRIES),  # noqa: DTZ901
            (Filters(since=datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))), ENTRIES),
            (Filters(until=datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))), 0),
        ],
        ids=str,
    )
    def test_the_ends_of_the_calendar_are_times_like_others(
        self,
        filled: tuple[Ledger, list[dict[str, Any]]],
        filters: Filters,
        fitting: int,
        monkeypatch: pytest.MonkeyPatch,
    ):
        monkeypatch.setattr(id_bounds, "BISECT_FROM", 10)
        ledger, _rows = filled
        assert len(_walk_through(ledger, filters, "newest", limit=500)[0]) == fitting

    def test_groups_count_what_fits(self, filled: tuple[Ledger, list[dict[str, Any]]]):
        ledger, rows = filled
        for filters in FILTERS:
            groups, seen = ledger_repository.groups(ledger, filters, 100_000)
            counted = Counter({(h, t): n for h, t, n in groups if n})
            pairs = [(r["host"], r["backup_target_id"]) for r in rows if _fits(r, filters)]
            assert counted == Counter(pairs), filters
            assert seen >= len(pairs)


class TestService:
    def test_without_a_ledger_it_says_what_to_do(self, database: Database):
        with database.read() as session, pytest.raises(LedgerNotConfigured, match="DMS_DB_URL"):
            explorer.list_mounts(session, SYSTEM)

    def test_the_dms_settings_are_used_without_any_environment(
        self, database: Database, seeded_ledger: str, monkeypatch: pytest.MonkeyPatch
    ):
        from backend.core.settings import get_settings

        monkeypatch.setenv("DMS_DB_URL", seeded_ledger)
        get_settings.cache_clear()
        with database.read() as session:
            assert explorer.list_mounts(session, SYSTEM).items
        mount_settings.forget_ledgers()

    def test_an_environments_connection_beats_the_dms_settings(
        self, database: Database, lab: MountsEnvironment, monkeypatch: pytest.MonkeyPatch
    ):
        from backend.core.settings import get_settings

        monkeypatch.setenv("DMS_DB_URL", "sqlite:////nowhere/at/all.sqlite")
        get_settings.cache_clear()
        with database.read() as session:
            found = mount_settings.find(session, None)
        assert (found.db_url, found.environment) == (lab.ledger_url, "Lab")

    def test_with_environments_but_no_default_nothing_is_guessed(
        self, database: Database, lab: MountsEnvironment, monkeypatch: pytest.MonkeyPatch
    ):
        from backend.connections import environments
        from backend.connections.errors import NoDefaultEnvironment
        from backend.core.settings import get_settings

        with database.write() as session:
            environments.add(session, SYSTEM, name="Other", default=True)
            environments.remove(session, SYSTEM, name="Other", confirm_name="Other")
        monkeypatch.setenv("DMS_DB_URL", lab.ledger_url)
        get_settings.cache_clear()
        with database.read() as session, pytest.raises(NoDefaultEnvironment):
            explorer.list_mounts(session, SYSTEM)

    @pytest.mark.parametrize("cursor", ["x", "!!", "W10", "bnVsbA", "WyJob3N0IixudWxsLDFd"])
    def test_a_foreign_cursor_is_refused(
        self, database: Database, lab: MountsEnvironment, cursor: str
    ):
        with database.read() as session, pytest.raises(BadCursor):
            explorer.list_mounts(session, SYSTEM, cursor=cursor)

    @pytest.mark.parametrize("wrong", [{"limit": 0}, {"limit": 501}, {"sort": "colour"}])
    def test_wrong_arguments_are_said(
        self, database: Database, lab: MountsEnvironment, wrong: dict[str, Any]
    ):
        with database.read() as session, pytest.raises(InvalidInput):
            explorer.list_mounts(session, SYSTEM, **wrong)

    def test_times_are_aware(self, database: Database, lab: MountsEnvironment):
        with database.read() as session:
            item = explorer.list_mounts(session, SYSTEM).items[0]
        assert item.created_at.tzinfo is not None

    def test_facets_are_exact_for_a_small_ledger(self, database: Database, lab: MountsEnvironment):
        with database.read() as session:
            found = explorer.facets(session, SYSTEM, filters=Filters())
            whole = explorer.list_mounts(session, SYSTEM, filters=Filters(), limit=500).items
        assert found.exact
        assert found.total == len(whole)
        assert dict(found.hosts)["compute-01"] == sum(m.host == "compute-01" for m in whole)

    def test_facets_of_a_large_ledger_say_that_they_are_a_sample(
        self, database: Database, lab: MountsEnvironment, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(explorer, "FACET_SAMPLE", 100)
        with database.read() as session:
            whole = explorer.facets(session, SYSTEM, filters=Filters())
            some = explorer.facets(session, SYSTEM, filters=Filters(mounted=False))
        assert (whole.exact, whole.sampled, whole.estimated) == (False, 100, True)
        assert whole.total is not None
        assert whole.total > 100
        assert (some.exact, some.total) == (False, None)

    def test_the_charts_end_at_what_is_mounted_now(
        self, database: Database, lab: MountsEnvironment
    ):
        with database.read() as session:
            charts = explorer.charts(session, SYSTEM)
            active = explorer.facets(session, SYSTEM)
        assert charts.active[-1][1] == active.total
        assert charts.complete
        assert sum(count for _name, count in charts.durations) >= 300
        by_host = Counter[str]()
        for host, _target, count in charts.pairs:
            by_host[host] += count
        assert by_host == dict(active.hosts)

    def test_the_charts_obey_the_filters(self, database: Database, lab: MountsEnvironment):
        here = Filters(host="compute-02", mounted=True, deleted=False)
        with database.read() as session:
            charts = explorer.charts(session, SYSTEM, filters=here)
            active = explorer.facets(session, SYSTEM, filters=here)
        assert {host for host, _target, _count in charts.pairs} == {"compute-02"}
        assert charts.active[-1][1] == active.total

    def test_status_puts_what_is_mounted_first(self, database: Database, lab: MountsEnvironment):
        with database.read() as session:
            found = explorer.status(session, SYSTEM, job=20_105, target="s3-prod-eu").items
            assert [m.mounted for m in found] == [True], "doubled rows are read as one"
            with pytest.raises(MountNotFound):
                explorer.status(session, SYSTEM, job=1, target="none")


class TestCsv:
    def _export(self, database: Database, **arguments: Any) -> list[list[str]]:
        with database.read() as session:
            text = "".join(explorer.export_csv(session, SYSTEM, **arguments))
        return list(csv.reader(io.StringIO(text)))

    def test_holds_the_filtered_entries(self, database: Database, lab: MountsEnvironment):
        rows = self._export(database, filters=Filters(host="compute-01"))
        assert rows[0] == list(explorer.CSV_COLUMNS)
        assert {row[3] for row in rows[1:]} == {"compute-01"}
        with database.read() as session:
            listed = explorer.list_mounts(
                session, SYSTEM, filters=Filters(host="compute-01"), limit=500
            ).items
        assert len(rows) - 1 == len(listed)

    def test_a_cut_export_says_so(self, database: Database, lab: MountsEnvironment):
        rows = self._export(database, filters=Filters(), most=10)
        assert len(rows) == 12
        assert "cut after 10" in rows[-1][0]
