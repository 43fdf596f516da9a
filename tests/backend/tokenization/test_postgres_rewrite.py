"""A run on a real table: all rows or none, whatever the table and whoever else is there."""

import io
import threading
import time

import psycopg2
import pytest

from backend.core.errors import PortalError, UpstreamError, UpstreamUnavailable
from backend.integrations.postgres.connection import connect
from backend.integrations.postgres.errors import LockNotAvailable
from backend.tokenization.engines.base import AlreadyRunning, RewriteResult
from backend.tokenization.engines.postgres import rewrite
from backend.tokenization.tokens import Tokenizer
from tests.backend.tokenization.world import (
    KEY,
    TOKENIZER,
    Recorder,
    Source,
    choices,
    customers,
)

LOCK_WAITS = (
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


def run(
    source: Source,
    table: str,
    *columns: str,
    control: Recorder | None = None,
    tokenizer: Tokenizer = TOKENIZER,
    schema: str = "public",
) -> RewriteResult:
    with connect(source.settings, source.secrets, lock_timeout=0.5) as connection:
        return rewrite.rewrite(
            connection,
            source.table(table, schema),
            choices(*columns),
            tokenizer,
            control or Recorder(),
        )


def plain(source: Source, table: str = "customers", column: str = "email") -> int:
    return int(source.column(f"SELECT count(*) FROM {table} WHERE {column} NOT LIKE 'tok%poc'")[0])


class TestRewrite:
    def test_rewrites_the_chosen_columns_and_no_other(self, source: Source) -> None:
        customers(source, rows=100)
        names = source.column("SELECT name FROM customers ORDER BY id")

        result = run(source, "customers", "email", "phone")

        assert result == RewriteResult(100, 100)
        assert source.column("SELECT email FROM customers ORDER BY id") == [
            TOKENIZER.token(f"person{n}@example.org") for n in range(1, 101)
        ]
        assert source.column("SELECT name FROM customers ORDER BY id") == names

    def test_a_second_run_updates_nothing(self, source: Source) -> None:
        customers(source)
        run(source, "customers", "email", "phone")
        before = source.rows("SELECT *, xmin::text FROM customers ORDER BY id")

        assert run(source, "customers", "email", "phone") == RewriteResult(50, 0)
        assert source.rows("SELECT *, xmin::text FROM customers ORDER BY id") == before

    def test_an_empty_table(self, source: Source) -> None:
        source.run("CREATE TABLE t (a text)")

        assert run(source, "t", "a") == RewriteResult(0, 0)

    def test_a_row_counts_once_and_keeps_what_is_a_token(self, source: Source) -> None:
        source.run(
            "CREATE TABLE t (id int, a text, b text)",
            "INSERT INTO t VALUES (1, 'x', 'tok_YQ==_poc'), (2, NULL, ''), (3, 'y', 'z')",
        )

        assert run(source, "t", "a", "b") == RewriteResult(3, 2)
        assert source.rows("SELECT a, b FROM t ORDER BY id") == [
            (TOKENIZER.token("x"), "tok_YQ==_poc"),
            (None, ""),
            (TOKENIZER.token("y"), TOKENIZER.token("z")),
        ]

    def test_progress_covers_many_batches(
        self, source: Source, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        customers(source, rows=5000)
        monkeypatch.setattr(rewrite, "FIRST_BATCH_BLOCKS", 4)
        monkeypatch.setattr(rewrite, "_BATCH_SECONDS", 0.0)
        seen = Recorder()

        result = run(source, "customers", "email", control=seen)

        assert result == RewriteResult(5000, 5000)
        assert len(seen.shares) > 10
        assert seen.shares == sorted(seen.shares)
        assert seen.shares[-1] == 1.0
        assert plain(source) == 0

    def test_columns_named_twice_are_one(self, source: Source) -> None:
        customers(source)

        assert run(source, "customers", "email", "email") == RewriteResult(50, 50)


class TestOthers:
    def test_a_second_run_on_the_same_table_is_refused_and_changes_nothing(
        self, source: Source
    ) -> None:
        customers(source)
        refused: list[BaseException] = []

        def second() -> None:
            with pytest.raises(AlreadyRunning) as caught:
                run(source, "customers", "email")
            refused.append(caught.value)

        result = run(source, "customers", "email", control=Recorder(on_committing=second))

        assert result == RewriteResult(50, 50)
        assert len(refused) == 1

    def test_a_writer_waits_and_its_row_is_not_lost(self, source: Source) -> None:
        customers(source)
        wrote = threading.Event()

        def write() -> None:
            source.run("UPDATE customers SET name = 'late' WHERE id = 1")
            wrote.set()

        writer = threading.Thread(target=write)

        def meanwhile() -> None:
            writer.start()
            end = time.monotonic() + 60
            while source.column(LOCK_WAITS) != [1]:
                assert time.monotonic() < end, "the writer never waited"
                time.sleep(0.01)
            assert not wrote.is_set()

        run(source, "customers", "email", control=Recorder(on_started=meanwhile))
        writer.join(60)

        assert source.rows("SELECT name, email FROM customers WHERE id = 1") == [
            ("late", TOKENIZER.token("person1@example.org"))
        ]

    def test_readers_go_on_and_see_the_old_values_until_the_commit(self, source: Source) -> None:
        customers(source)
        seen: list[int] = []

        run(
            source,
            "customers",
            "email",
            control=Recorder(on_committing=lambda: seen.append(plain(source))),
        )

        assert seen == [50]
        assert plain(source) == 0

    def test_a_lock_of_somebody_else_is_named_and_nothing_changes(self, source: Source) -> None:
        customers(source)
        with source.connection(application_name="nightly load") as other:
            other.autocommit = False
            other.cursor().execute("UPDATE customers SET name = name WHERE id = 1")

            with pytest.raises(
                LockNotAvailable,
                match=r"process \d+ \(nightly load, for \d+ s: UPDATE customers.*holds a lock",
            ):
                run(source, "customers", "email")
        assert plain(source) == 50

    def test_whatever_stops_it_in_the_middle_leaves_the_table_whole(
        self, source: Source, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        customers(source, rows=2000)
        monkeypatch.setattr(rewrite, "FIRST_BATCH_BLOCKS", 2)

        def stop(share: float) -> None:
            if share > 0.3:
                raise PortalError("Cancelled on request.")

        with pytest.raises(PortalError, match="Cancelled"):
            run(source, "customers", "email", control=Recorder(on_progress=stop))
        assert plain(source) == 2000

    def test_a_broken_connection_is_a_sentence_and_the_table_whole(self, source: Source) -> None:
        customers(source)

        def cut() -> None:
            # With a time to wait, it returns when the session has ended.
            source.run(
                "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity "
                "WHERE application_name LIKE 'steward-portal%' AND datname = current_database()"
            )

        with pytest.raises(UpstreamUnavailable, match="the connection broke"):
            run(source, "customers", "email", control=Recorder(on_started=cut))
        assert plain(source) == 50


class TestKey:
    def test_is_in_no_statement_and_gone_after_the_commit(self, source: Source) -> None:
        customers(source)
        seen: list[str] = []
        keys = TOKENIZER.padded_keys()

        def look() -> None:
            seen.extend(source.column("SELECT query FROM pg_stat_activity"))

        control = Recorder(on_progress=lambda _share: look(), on_committing=look)
        run(source, "customers", "email", control=control)

        text = " ".join(seen).lower()
        assert "update only" in text
        for secret in (KEY, keys.inner, keys.outer):
            assert secret.hex() not in text
        assert source.column(
            "SELECT count(*) FROM pg_class WHERE relname = 'portal_tokenization_key'"
        ) == [0]

    def test_a_server_that_computes_something_else_is_refused_before_row_1(
        self, source: Source, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        customers(source)
        monkeypatch.setattr(
            "backend.tokenization.engines.postgres.expressions._copy_line",
            lambda _keys: io.StringIO("\\\\x00\t\\\\x00\n").getvalue(),
        )

        with pytest.raises(UpstreamError, match="another token for a test value"):
            run(source, "customers", "email")
        assert plain(source) == 50


def test_every_psycopg2_error_class_becomes_a_sentence() -> None:
    from backend.integrations.postgres.errors import as_portal_error

    classes = [
        found
        for found in vars(psycopg2.errors).values()
        if isinstance(found, type) and issubclass(found, psycopg2.Error)
    ]

    assert len(classes) > 200
    for found in classes:
        error = as_portal_error(found("value secret-person@example.org"), "db on host")
        assert error.message.endswith(".")
        assert "secret-person" not in error.message
