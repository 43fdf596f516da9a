"""Runs on every kind of table and column: rewritten as they should be, or rolled back."""

import psycopg2
import pytest

from backend.integrations.postgres.connection import connect
from backend.integrations.postgres.errors import SourceRefused
from backend.tokenization.engines.base import Blocked, RewriteResult
from backend.tokenization.engines.postgres import rewrite
from backend.tokenization.tokens import Tokenizer, is_token
from tests.backend.tokenization.world import (
    BASE64,
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

    @pytest.mark.parametrize(
        "kind",
        [
            "TRIGGER no BEFORE UPDATE ON t FOR EACH STATEMENT",
            "TRIGGER no AFTER UPDATE ON t FOR EACH STATEMENT",
            "TRIGGER no BEFORE UPDATE ON t FOR EACH ROW",
            "CONSTRAINT TRIGGER no AFTER UPDATE ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW",
        ],
    )
    def test_a_trigger_that_refuses_is_named_and_nothing_was_changed(
        self, source: Source, kind: str
    ) -> None:
        source.run(
            "CREATE TABLE t (a text)",
            "INSERT INTO t VALUES ('x@example.com')",
            "CREATE FUNCTION frozen() RETURNS trigger LANGUAGE plpgsql AS "
            "$$BEGIN RAISE EXCEPTION 'closed, % too', (SELECT a FROM t LIMIT 1); END$$",
            f"CREATE {kind} EXECUTE FUNCTION frozen()",
        )

        with pytest.raises(SourceRefused) as refused:
            run(source, "t", "a")
        assert "the function frozen of the database refused it" in refused.value.message
        assert "Nothing was changed" in refused.value.message
        assert "example.com" not in refused.value.message
        assert source.column("SELECT a FROM t") == ["x@example.com"]

    @pytest.mark.parametrize("event", ["BEFORE UPDATE", "AFTER UPDATE OF a"])
    def test_a_trigger_that_alters_the_tokens_fails_it(self, source: Source, event: str) -> None:
        """Addresses are often kept in lower case, and a lowered token can still look like one."""
        body = (
            "NEW.a := lower(NEW.a); RETURN NEW;"
            if event.startswith("BEFORE")
            else "IF pg_trigger_depth() = 1 THEN UPDATE t SET a = lower(a) WHERE k = NEW.k; END IF;"
            " RETURN NULL;"
        )
        value = next(
            f"x{n}@example.org"
            for n in range(100)
            if is_token(str(TOKENIZER.token(f"x{n}@example.org")).lower())
        )
        source.run(
            "CREATE TABLE t (k int, a text, b text)",
            f"INSERT INTO t VALUES (1, '{value}', 'y'), (2, NULL, '')",
            f"CREATE FUNCTION low() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN {body} END'",
            f"CREATE TRIGGER low {event} ON t FOR EACH ROW EXECUTE FUNCTION low()",
        )

        with pytest.raises(Blocked, match=r"a trigger on .* altered the tokens"):
            run(source, "t", "a", "b")
        assert source.column("SELECT a FROM t ORDER BY k") == [value, None]

    @pytest.mark.parametrize("scheme", [TOKENIZER, BASE64])
    def test_operators_and_functions_of_the_database_are_not_mistaken_for_the_servers(
        self, source: Source, scheme: Tokenizer
    ) -> None:
        customers(source, rows=5)
        source.run(
            "CREATE FUNCTION never(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE "
            "AS 'SELECT false'",
            "CREATE FUNCTION gone(tid, tid) RETURNS boolean LANGUAGE sql IMMUTABLE "
            "AS 'SELECT false'",
            "CREATE FUNCTION same(text, text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1'",
            "CREATE FUNCTION same(bytea, bytea) RETURNS bytea LANGUAGE sql IMMUTABLE "
            "AS 'SELECT $1'",
            *(
                f"CREATE OPERATOR public.{name} (LEFTARG=text, RIGHTARG=text, FUNCTION=never)"
                for name in ("<>", ">=", "<", "~")
            ),
            *(
                f"CREATE OPERATOR public.{name} (LEFTARG=tid, RIGHTARG=tid, FUNCTION=gone)"
                for name in (">=", "<")
            ),
            *(
                f"CREATE OPERATOR public.|| (LEFTARG={kind}, RIGHTARG={kind}, FUNCTION=same)"
                for kind in ("text", "bytea")
            ),
            "CREATE AGGREGATE public.count(*) (SFUNC=int8inc, STYPE=int8, INITCOND='7')",
            f'ALTER DATABASE "{source.database}" SET search_path = public, pg_catalog',
        )

        assert run(source, "customers", "email", tokenizer=scheme) == RewriteResult(5, 5)
        assert source.column("SELECT email FROM customers WHERE id = 1") == [
            scheme.token("person1@example.org")
        ]

    def test_a_trigger_that_waits_for_the_commit_is_not_missed(self, source: Source) -> None:
        customers(source, rows=5)
        source.run(
            "CREATE FUNCTION put_back() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "UPDATE customers SET email = 'plain' WHERE id = NEW.id AND email <> 'plain'; "
            "RETURN NULL; END $$",
            "CREATE CONSTRAINT TRIGGER later AFTER UPDATE ON customers DEFERRABLE "
            "INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION put_back()",
        )

        with pytest.raises(Blocked, match=r"a trigger on .* kept 5 rows"):
            run(source, "customers", "email")

    def test_a_deferred_constraint_is_broken_before_the_commit(self, source: Source) -> None:
        source.run(
            "CREATE TABLE t (a text CONSTRAINT once UNIQUE DEFERRABLE INITIALLY DEFERRED)",
            f"INSERT INTO t VALUES ('x'), ('{TOKENIZER.token('x')}')",
        )
        control = Recorder()

        with pytest.raises(SourceRefused, match="the constraint once refused a token"):
            run(source, "t", "a", control=control)
        assert control.result is None

    def test_a_constraint_that_the_preview_cannot_see_rolls_everything_back(
        self, source: Source
    ) -> None:
        source.run(
            "CREATE TABLE t (a text)",
            "CREATE UNIQUE INDEX one_kind ON t (left(a, 3))",
            "INSERT INTO t VALUES ('abc'), ('def'), ('ghi')",
        )

        with pytest.raises(Blocked, match="the unique index one_kind is on the expression"):
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

    def test_a_revoked_right_is_named(self, source: Source) -> None:
        """Hardened servers take from everybody what a run does not ask the preview for."""
        login = f"limited_{source.database}"
        source.run(
            "CREATE TABLE t (a text)",
            f"CREATE ROLE {login} LOGIN PASSWORD 'sesame'",
            f"GRANT SELECT, UPDATE ON t TO {login}",
            f"GRANT TEMP ON DATABASE {source.database} TO {login}",
            "REVOKE EXECUTE ON FUNCTION pg_catalog.sha256(bytea) FROM PUBLIC",
        )
        source.settings, source.secrets = {**source.settings, "user": login}, {"password": "sesame"}

        with pytest.raises(SourceRefused, match="permission denied for function sha256"):
            run(source, "t", "a")

    def test_what_a_trigger_says_of_a_right_is_not_quoted(self, source: Source) -> None:
        source.run(
            "CREATE TABLE t (a text)",
            "INSERT INTO t VALUES ('Ann')",
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE insufficient_privilege USING MESSAGE = 'not ' || OLD.a; END $$",
            "CREATE TRIGGER t BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()",
        )

        with pytest.raises(SourceRefused, match="lacks a right") as refused:
            run(source, "t", "a")
        assert "Ann" not in str(refused.value)

    def test_a_row_too_long_for_a_page_is_not_an_index(self, source: Source) -> None:
        names = [f"a{number}" for number in range(200)]  # a token each does not fit on a page
        source.run(
            f"CREATE TABLE t ({', '.join(f'{name} text' for name in names)})",
            *[f"ALTER TABLE t ALTER {name} SET STORAGE PLAIN" for name in names],
            f"INSERT INTO t VALUES ({', '.join(['chr(97)'] * len(names))})",
        )

        with pytest.raises(SourceRefused, match="longer than a page of the server"):
            run(source, "t", *names)
        assert source.column("SELECT a199 FROM t") == ["a"]


class TestBlocked:
    def test_is_refused_before_anything_is_locked(self, source: Source) -> None:
        source.run("CREATE TABLE t (a text PRIMARY KEY)", "INSERT INTO t VALUES ('x')")
        control = Recorder()

        with pytest.raises(Blocked, match="a: is part of the primary key t_pkey"):
            run(source, "t", "a", control=control)
        assert control.transaction_id == ""
