"""A run on a real table: all rows or none, whatever the table and whoever else is there."""

import io
import threading
import time

import psycopg2
import pytest

from backend.core.errors import PortalError, UpstreamError, UpstreamUnavailable
from backend.integrations.postgres.connection import connect
from backend.integrations.postgres.errors import LockNotAvailable, SourceRefused
from backend.tokenization.engines.base import AlreadyRunning, Blocked, RewriteResult
from backend.tokenization.engines.postgres import rewrite
from backend.tokenization.tokens import Tokenizer
from tests.backend.tokenization.world import (
    BASE64,
    KEY,
    TOKENIZER,
    Recorder,
    Source,
    choices,
    customers,
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


class TestTables:
    HOSTILE = 'Kunden "x"; DROP TABLE customers; -- %s %(a)s {0} \\ ü\''

    def test_hostile_names(self, source: Source) -> None:
        quoted = '"' + self.HOSTILE[:60].replace('"', '""') + '"'
        name = self.HOSTILE[:60]
        with source.connection() as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE SCHEMA {quoted}")
            cursor.execute(f"CREATE TABLE {quoted}.{quoted} ({quoted} text)")
            cursor.execute(f"INSERT INTO {quoted}.{quoted} VALUES ('x')")

        assert run(source, name, name, schema=name) == RewriteResult(1, 1)
        with source.connection() as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT {quoted} FROM {quoted}.{quoted}")
            assert cursor.fetchall() == [(TOKENIZER.token("x"),)]

    def test_mixed_case_names(self, source: Source) -> None:
        source.run('CREATE TABLE "People" ("eMail" text)', "INSERT INTO \"People\" VALUES ('x')")

        assert run(source, "People", "eMail") == RewriteResult(1, 1)

    def test_partitions_and_sub_partitions(self, source: Source) -> None:
        source.run(
            "CREATE TABLE t (k int, a text) PARTITION BY RANGE (k)",
            "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10)",
            "CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (10) TO (20) PARTITION BY LIST (k)",
            "CREATE TABLE t21 PARTITION OF t2 DEFAULT",
            "INSERT INTO t SELECT n, 'v' || n FROM generate_series(0, 19) AS n",
        )

        assert run(source, "t", "a") == RewriteResult(20, 20)
        assert source.column("SELECT a FROM t ORDER BY k") == [
            TOKENIZER.token(f"v{n}") for n in range(20)
        ]

    def test_a_partition_by_itself_leaves_the_others(self, source: Source) -> None:
        source.run(
            "CREATE TABLE t (k int, a text) PARTITION BY LIST (k)",
            "CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1)",
            "CREATE TABLE t2 PARTITION OF t FOR VALUES IN (2)",
            "INSERT INTO t VALUES (1, 'x'), (2, 'y')",
        )

        assert run(source, "t1", "a") == RewriteResult(1, 1)
        assert source.column("SELECT a FROM t2") == ["y"]

    def test_inheriting_tables_are_part_of_it(self, source: Source) -> None:
        source.run(
            "CREATE TABLE t (a text)",
            "CREATE TABLE more () INHERITS (t)",
            "INSERT INTO t VALUES ('x')",
            "INSERT INTO more VALUES ('y')",
        )

        assert run(source, "t", "a") == RewriteResult(2, 2)

    def test_domains_and_lengths(self, source: Source) -> None:
        source.run(
            "CREATE DOMAIN label AS varchar(60) NOT NULL",
            'CREATE TABLE t (a label, b char(60), c varchar(52), d text COLLATE "C")',
            "INSERT INTO t VALUES ('x', 'x', 'x', 'x'), ('', '  ', '', '')",
        )

        assert run(source, "t", "a", "b", "c", "d") == RewriteResult(2, 1)
        assert source.rows("SELECT a, b::text, c, d FROM t ORDER BY a")[1] == (
            (TOKENIZER.token("x"),) * 4
        )
        assert run(source, "t", "a", "b", "c", "d") == RewriteResult(2, 0)

    def test_trailing_blanks_of_char_are_not_part_of_the_value(self, source: Source) -> None:
        source.run("CREATE TABLE t (a char(60))", "INSERT INTO t VALUES ('x   ')")

        run(source, "t", "a")

        assert source.column("SELECT rtrim(a) FROM t") == [TOKENIZER.token("x")]

    def test_citext_keeps_case_apart(self, source: Source) -> None:
        if not source.rows("SELECT 1 FROM pg_available_extensions WHERE name = 'citext'"):
            pytest.skip("this PostgreSQL has no citext")
        source.run(
            "CREATE EXTENSION citext",
            "CREATE TABLE t (a citext)",
            "INSERT INTO t VALUES ('X'), ('x'), ('TOK_YQ==_POC')",
        )

        assert run(source, "t", "a") == RewriteResult(3, 3)
        assert set(source.column("SELECT a::text FROM t")) == {
            TOKENIZER.token("X"),
            TOKENIZER.token("x"),
            TOKENIZER.token("TOK_YQ==_POC"),
        }

    def test_nondeterministic_collations(self, source: Source) -> None:
        try:
            source.run(
                "CREATE COLLATION ci "
                "(provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
            )
        except psycopg2.errors.FeatureNotSupported:
            pytest.skip("this PostgreSQL is built without ICU")
        source.run("CREATE TABLE t (a text COLLATE ci)", "INSERT INTO t VALUES ('X'), ('x')")

        assert run(source, "t", "a") == RewriteResult(2, 2)

    def test_row_security_does_not_hide_rows_from_the_owner(self, source: Source) -> None:
        source.run(
            "CREATE TABLE t (a text)",
            "INSERT INTO t VALUES ('x')",
            "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
        )

        assert run(source, "t", "a") == RewriteResult(1, 1)

    def test_triggers_fire(self, source: Source) -> None:
        source.run(
            "CREATE TABLE t (a text)",
            "CREATE TABLE seen (n int)",
            "INSERT INTO t VALUES ('x'), ('y')",
            "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN INSERT INTO seen VALUES (1); RETURN NEW; END'",
            "CREATE TRIGGER note BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION note()",
        )

        assert run(source, "t", "a") == RewriteResult(2, 2)
        assert source.column("SELECT count(*) FROM seen") == [2]

    @pytest.mark.parametrize("body", ["RETURN NULL;", "NEW.a := OLD.a; RETURN NEW;"])
    def test_a_trigger_that_undoes_the_run_fails_it(self, source: Source, body: str) -> None:
        source.run(
            "CREATE TABLE t (a text)",
            "INSERT INTO t VALUES ('x')",
            f"CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN {body} END'",
            "CREATE TRIGGER undo BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION undo()",
        )

        with pytest.raises(Blocked, match=r"a trigger on .* kept 1 rows"):
            run(source, "t", "a")
        assert source.column("SELECT a FROM t") == ["x"]

    def test_a_constraint_that_the_preview_cannot_see_rolls_everything_back(
        self, source: Source
    ) -> None:
        source.run(
            "CREATE TABLE t (a text)",
            "CREATE UNIQUE INDEX one_kind ON t (left(a, 3))",
            "INSERT INTO t VALUES ('abc'), ('def'), ('ghi')",
        )

        with pytest.raises(SourceRefused, match="the constraint one_kind refused a token"):
            run(source, "t", "a")
        assert source.column("SELECT a FROM t ORDER BY a") == ["abc", "def", "ghi"]

    def test_an_entry_too_long_for_an_index_rolls_everything_back(self, source: Source) -> None:
        source.run("CREATE TABLE t (a text)", "CREATE INDEX by_a ON t (a)")
        with source.connection() as connection, connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO t SELECT string_agg(md5(n::text), '') FROM generate_series(1, 80) n"
            )

        with pytest.raises(SourceRefused, match="too long for an index"):
            run(source, "t", "a", tokenizer=BASE64)
        assert len(source.column("SELECT a FROM t")[0]) == 2560


class TestBlocked:
    def test_is_refused_before_anything_is_locked(self, source: Source) -> None:
        source.run("CREATE TABLE t (a text PRIMARY KEY)", "INSERT INTO t VALUES ('x')")
        control = Recorder()

        with pytest.raises(Blocked, match="a: is part of the primary key t_pkey"):
            run(source, "t", "a", control=control)
        assert control.transaction_id == ""


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
            assert not wrote.wait(0.3)

        run(source, "customers", "email", control=Recorder(on_started=meanwhile))
        writer.join(10)

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
                LockNotAvailable, match=r"process \d+ \(nightly load\) holds a lock"
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
            source.run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name LIKE 'steward-portal%' AND datname = current_database()"
            )
            time.sleep(0.2)

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
