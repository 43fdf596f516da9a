"""Rewrite mode on a real server: the same bytes, no plain version left, no key to be seen."""

import base64

import psycopg2
import pytest

from backend.core.errors import InvalidInput
from backend.integrations.postgres.connection import connect
from backend.integrations.postgres.errors import LockNotAvailable
from backend.tokenization import cleaning, preview
from backend.tokenization.engines.base import Blocked, RewriteResult
from backend.tokenization.engines.postgres import alter
from backend.tokenization.schemas import CleanUpState, Method, Preview, RunState
from backend.tokenization.tokens import Scheme, Tokenizer
from tests.backend.tokenization.corpus import NASTY
from tests.backend.tokenization.world import (
    ADMIN,
    KEY,
    SCHEMES,
    SHORTEST,
    STEWARD,
    TOKENIZER,
    Recorder,
    Source,
    World,
    choices,
    customers,
)

REWRITE = Method.REWRITE


def run(
    source: Source,
    table: str,
    *columns: str,
    control: Recorder | None = None,
    tokenizer: Tokenizer = TOKENIZER,
) -> RewriteResult:
    with connect(source.settings, source.secrets, lock_timeout=0.5) as connection:
        return alter.rewrite_table(
            connection, source.table(table), choices(*columns), tokenizer, control or Recorder()
        )


def previewed(world: World, *columns: str, method: Method = REWRITE) -> Preview:
    return preview.preview(
        world.database,
        ADMIN,
        dataset=world.source.urn("customers"),
        columns=columns,
        method=method,
    )


@pytest.mark.parametrize("tokenizer", SCHEMES.values(), ids=SCHEMES)
def test_nasty_values_are_rewritten_as_python_would(source: Source, tokenizer: Tokenizer) -> None:
    source.run("CREATE TABLE corpus (id int, value text)")
    with source.connection() as connection, connection.cursor() as cursor:
        cursor.executemany("INSERT INTO corpus VALUES (%s, %s)", list(enumerate(NASTY)))

    run(source, "corpus", "value", tokenizer=tokenizer)

    assert source.column("SELECT value FROM corpus ORDER BY id") == [
        tokenizer.token(value) for value in NASTY
    ]


def test_short_columns_are_widened_and_all_else_stays(source: Source) -> None:
    source.run(
        "CREATE TABLE t (a varchar(10) COLLATE \"C\" NOT NULL DEFAULT 'x' UNIQUE, b char(5), "
        "c varchar(30), d varchar(20))",
        "INSERT INTO t VALUES ('anna', 'b', 'c', 'd'), ('bert', NULL, '', 'd')",
        "COMMENT ON COLUMN t.a IS 'kept'",
    )
    mixed = Tokenizer(Scheme.HMAC_SHA256, KEY, {"c": Scheme.HMAC_SHA256_96})

    assert run(source, "t", "a", "b", "c", tokenizer=mixed) == RewriteResult(2, 2)

    assert source.rows("SELECT a, b, c, d FROM t ORDER BY a = %s DESC", [mixed.token("anna")]) == [
        (mixed.token("anna"), mixed.token("b"), SHORTEST.token("c"), "d"),
        (mixed.token("bert"), None, "", "d"),
    ]
    types = source.rows(
        "SELECT format_type(atttypid, atttypmod), attnotnull, attcollation::regcollation::text, "
        "col_description(attrelid, attnum) FROM pg_attribute "
        "WHERE attrelid = 't'::regclass AND attnum > 0 ORDER BY attnum"
    )
    assert types[0] == ("character varying(52)", True, '"C"', "kept")
    assert [row[0] for row in types[1:]] == [
        "character(52)",
        "character varying(30)",
        "character varying(20)",
    ]
    with pytest.raises(psycopg2.errors.UniqueViolation):
        source.run("INSERT INTO t SELECT * FROM t LIMIT 1")


def test_no_plain_value_is_left_in_the_file(source: Source) -> None:
    customers(source, rows=500)

    run(source, "customers", "email", "phone")
    source.run("CHECKPOINT")

    (path,) = source.column("SELECT pg_relation_filepath('customers')")
    (content,) = source.column("SELECT pg_read_binary_file(%s)", [path])
    assert b"@example.org" not in bytes(content)
    assert b"+49 170" not in bytes(content)


def test_a_second_run_rewrites_nothing(source: Source) -> None:
    customers(source)
    run(source, "customers", "email")
    before = source.column("SELECT pg_relation_filenode('customers')")

    assert run(source, "customers", "email") == RewriteResult(50, 0)
    assert source.column("SELECT pg_relation_filenode('customers')") == before


def test_the_key_is_in_no_statement_and_leaves_nothing_behind(source: Source) -> None:
    customers(source)
    seen: list[str] = []
    blocks = TOKENIZER.padded_keys()
    secrets = [KEY.hex(), base64.b64encode(KEY).decode(), blocks.inner.hex(), blocks.outer.hex()]

    def look() -> None:
        seen.extend(source.column("SELECT query FROM pg_stat_activity WHERE query <> ''"))
        seen.extend(source.column("SELECT prosrc FROM pg_proc WHERE prosrc IS NOT NULL"))

    run(source, "customers", "email", control=Recorder(on_started=look, on_committing=look))

    assert any("portal" in text or "pg_stat_activity" in text for text in seen)
    assert not [text for text in seen if any(secret in text for secret in secrets)]
    assert source.column("SELECT proname FROM pg_proc WHERE proname LIKE 'portal%'") == []


def test_a_run_that_is_stopped_changes_nothing(source: Source) -> None:
    customers(source)

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(source, "customers", "email", control=Recorder(on_committing=stop))

    assert source.column("SELECT email FROM customers WHERE id = 1") == ["person1@example.org"]


def test_a_reader_is_waited_for_and_named(source: Source) -> None:
    customers(source)
    with source.connection(application_name="a reader") as other, other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT count(*) FROM customers")

        with pytest.raises(LockNotAvailable, match="a reader"):
            run(source, "customers", "email")


@pytest.mark.parametrize(
    ("statements", "why"),
    [
        (("CREATE VIEW v AS SELECT email FROM customers",), "view v uses email"),
        (
            (
                "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
                "CREATE TRIGGER t BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION f()",
            ),
            "f() in the trigger t would be run",
        ),
        (
            (
                "CREATE FUNCTION g() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
                "CREATE EVENT TRIGGER watching ON ddl_command_end EXECUTE FUNCTION g()",
            ),
            "the event trigger watching would see the rewrite",
        ),
        (("CREATE PUBLICATION p FOR TABLE customers",), "the publication p does not send"),
        (
            ("ALTER TABLE customers ALTER email SET STORAGE EXTERNAL",),
            "email has its own storage",
        ),
        (("CREATE TABLE child () INHERITS (customers)",), "inherited tables"),
        (
            (
                "CREATE TYPE customer AS (id bigint, name text, email text, phone varchar(60))",
                "ALTER TABLE customers OF customer",
            ),
            "its columns belong to the type customer",
        ),
    ],
    ids=["view", "trigger", "event trigger", "publication", "storage", "inheritance", "typed"],
)
def test_is_refused_where_it_is_not_possible(
    world: World, statements: tuple[str, ...], why: str
) -> None:
    customers(world.source)
    world.source.run(*statements)
    try:
        (blocker,) = previewed(world, "email").report.blockers
        assert blocker.startswith("It cannot be rewritten, only be done in place: ")
        assert why in blocker
        with pytest.raises(Blocked, match="only be done in place"):
            run(world.source, "customers", "email")
        in_place = previewed(world, "email", method=Method.IN_PLACE)
        assert in_place.report.all_blockers == ()
        assert any(why in reason for reason in in_place.document()["rewrite"]["reasons"])
    finally:
        world.source.run("DROP EVENT TRIGGER IF EXISTS watching")


def test_the_preview_offers_it_with_its_meaning(world: World) -> None:
    customers(world.source)

    document = previewed(world, "email", method=Method.IN_PLACE).document()

    assert document["method"] == "in-place"
    assert document["rewrite"]["possible"] is True
    assert any("ACCESS EXCLUSIVE" in sentence for sentence in document["rewrite"]["means"])


def test_the_preview_says_what_is_widened(world: World) -> None:
    world.source.run("CREATE TABLE customers (email varchar(20))")

    report = previewed(world, "email").report

    assert report.all_blockers == ()
    (column,) = report.columns
    assert "it is widened from character varying(20) to character varying(52)" in column.warnings


class TestCleanUp:
    def test_after_a_run_in_place_nothing_plain_is_left(self, world: World) -> None:
        customers(world.source, rows=500)
        world.source.run(
            "CREATE VIEW seen AS SELECT email FROM customers",
            "CREATE MATERIALIZED VIEW copied AS SELECT email FROM seen",
            "ANALYZE customers",
        )
        assert world.source.column(
            "SELECT count(*) FROM pg_stats WHERE tablename = 'customers' AND attname = 'email' "
            "AND histogram_bounds::text LIKE '%example.org%'"
        ) == [1]

        ended = world.work(world.start("customers", "email", clean_up=True))

        assert ended.state is RunState.SUCCEEDED, ended.details
        assert ended.clean_up is CleanUpState.SUCCEEDED, ended.clean_up_details
        assert "VACUUM and ANALYZE" in ended.clean_up_details
        assert "REFRESH of copied" in ended.clean_up_details
        assert world.source.column("SELECT count(*) FROM copied WHERE email LIKE '%@%'") == [0]
        assert world.source.column(
            "SELECT count(*) FROM pg_stats WHERE tablename = 'customers' "
            "AND histogram_bounds::text LIKE '%example.org%'"
        ) == [0]

    def test_names_what_is_still_there(self, world: World) -> None:
        customers(world.source)
        world.source.run("CREATE MATERIALIZED VIEW copied AS SELECT email FROM customers")
        view = world.work(world.start("customers", "email"))
        world.source.run("UPDATE customers SET email = 'plain@example.org' WHERE id = 1")

        found = cleaning.attempt(world.database, STEWARD, view.id)

        assert found.clean_up is CleanUpState.LEFT
        assert "1 rows of" in found.clean_up_details
        assert "hold a plain value again" in found.clean_up_details

    def test_only_a_run_that_succeeded(self, world: World) -> None:
        customers(world.source)
        world.source.run("ALTER TABLE customers ADD CHECK (email LIKE '%@%')")
        view = world.work(world.start("customers", "email"))

        with (
            world.database.write() as session,
            pytest.raises(InvalidInput, match="only a run that succeeded"),
        ):
            cleaning.start(session, STEWARD, run_id=view.id)


def test_a_whole_run_by_rewriting(world: World) -> None:
    customers(world.source)

    ended = world.work(world.start("customers", "email", "phone", method="rewrite", clean_up=True))

    assert ended.state is RunState.SUCCEEDED, ended.details
    assert (ended.method, ended.rows_updated) == (Method.REWRITE, 50)
    assert ended.clean_up is CleanUpState.SUCCEEDED, ended.clean_up_details
    assert world.source.column("SELECT email FROM customers WHERE id = 1") == [
        TOKENIZER.token("person1@example.org")
    ]


def test_a_method_that_there_is_not(world: World) -> None:
    customers(world.source)

    with pytest.raises(InvalidInput, match="'magic' is no method"):
        world.start("customers", "email", method="magic")
