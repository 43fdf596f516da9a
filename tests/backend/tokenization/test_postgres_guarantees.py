"""What a run promises whatever the database is set to and whatever code lies in it."""

import threading

import pytest

from backend.core.database import Database
from backend.integrations.postgres.connection import connect
from backend.integrations.postgres.deadline import NoAnswer
from backend.integrations.postgres.errors import LockNotAvailable
from backend.tokenization.detection import Detection
from backend.tokenization.engines.base import Blocked, CommitUnknown
from backend.tokenization.engines.postgres import alter, catalog, inspect, measure, rewrite
from tests.backend.tokenization.test_postgres_rewrite import plain, run
from tests.backend.tokenization.world import (
    CUSTOMERS,
    KEY,
    TOKENIZER,
    Recorder,
    Source,
    choices,
    customers,
)
from tests.fixtures.database import wait_until_blocked

#: Copies every byte column of every temporary table it can see.
SPY = """
CREATE FUNCTION spy() RETURNS void LANGUAGE plpgsql AS $$
DECLARE found record; seen text;
BEGIN
    FOR found IN SELECT c.oid::regclass::text AS name FROM pg_class AS c
                  WHERE c.relpersistence = 't' AND c.relkind = 'r' LOOP
        BEGIN
            EXECUTE 'SELECT string_agg(t::text, '' '') FROM ' || found.name || ' AS t' INTO seen;
            INSERT INTO public.stolen VALUES (found.name || ' ' || coalesce(seen, ''));
        EXCEPTION WHEN undefined_table OR insufficient_privilege THEN
            INSERT INTO public.stolen VALUES ('not readable: ' || found.name);
        END;
    END LOOP;
    INSERT INTO public.stolen VALUES ('the spy was here');
END $$
"""
TRIGGER_CODE = """
CREATE FUNCTION spy_trigger() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM public.spy(); RETURN NEW; END $$
"""
INDEX_CODE = """
CREATE FUNCTION spy_index(value text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN PERFORM public.spy(); RETURN value; END $$
"""
ATTACKS = {
    "row": (
        "CREATE TRIGGER t BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION spy_trigger()"
    ),
    "statement": (
        "CREATE TRIGGER t AFTER UPDATE ON customers FOR EACH STATEMENT "
        "EXECUTE FUNCTION spy_trigger()"
    ),
    "deferred": (
        "CREATE CONSTRAINT TRIGGER t AFTER UPDATE ON customers DEFERRABLE "
        "INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION spy_trigger()"
    ),
    "index": "CREATE INDEX i ON customers (spy_index(email))",
    "constant index": "CREATE INDEX i ON customers (id, spy_index('x'))",
    "generated": (
        "ALTER TABLE customers ADD copy text GENERATED ALWAYS AS (spy_index(email)) STORED"
    ),
    "check": "ALTER TABLE customers ADD CHECK (spy_index(name) IS NOT NULL)",
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_code_on_the_table_never_sees_the_key(source: Source, attack: str) -> None:
    customers(source, rows=20)
    source.run("CREATE TABLE stolen (what text)", SPY, TRIGGER_CODE, INDEX_CODE, ATTACKS[attack])
    source.run("TRUNCATE stolen")

    run(source, "customers", "email", "phone")

    stolen = " ".join(source.column("SELECT what FROM stolen"))
    keys = TOKENIZER.padded_keys()
    assert "the spy was here" in stolen
    assert "portal_tokenization_key" not in stolen
    for secret in (KEY, keys.inner, keys.outer):
        assert secret.hex() not in stolen
    assert source.column("SELECT email FROM customers ORDER BY id") == [
        TOKENIZER.token(f"person{n}@example.org") for n in range(1, 21)
    ]


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_preview_names_the_code_beforehand(source: Source, attack: str) -> None:
    customers(source)
    source.run("CREATE TABLE stolen (what text)", SPY, TRIGGER_CODE, INDEX_CODE, ATTACKS[attack])

    with connect(source.settings, source.secrets) as connection, connection.cursor() as cursor:
        table = source.table("customers")
        found = inspect.report(
            cursor,
            table,
            tokenizer=TOKENIZER,
            detection=Detection(chosen={"email": "asked"}),
            facts=catalog.read(cursor, table),
        )

    warned = [each for each in found.warnings if "may reach code of this database" in each]
    assert len(warned) == 1
    assert "spy_" in warned[0]


def test_plain_tables_keep_the_fast_path(source: Source) -> None:
    customers(source)
    source.run(
        "CREATE INDEX i ON customers (lower(name))",
        "ALTER TABLE customers ADD CHECK (length(name) < 1000 AND id > 0)",
    )

    with connect(source.settings, source.secrets) as connection, connection.cursor() as cursor:
        assert catalog.read(cursor, source.table("customers")).user_code == ()


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_rows_committed_while_the_run_waits_are_tokenized(source: Source, level: str) -> None:
    customers(source)
    source.run(
        f"ALTER DATABASE \"{source.database}\" SET default_transaction_isolation = '{level}'"
    )
    failed: list[BaseException] = []

    def tokenize() -> None:
        try:
            with connect(source.settings, source.secrets, lock_timeout=120) as connection:
                rewrite.rewrite(
                    connection, source.table("customers"), choices("email"), TOKENIZER, Recorder()
                )
        except BaseException as exc:
            failed.append(exc)

    with source.connection() as other:
        other.autocommit = False
        other.cursor().execute(
            "INSERT INTO customers SELECT 1000 + n, 'late', 'late' || n, '1' "
            "FROM generate_series(1, 10) AS n"
        )
        runner = threading.Thread(target=tokenize)
        runner.start()
        database = Database(source.url)
        wait_until_blocked(database, runner)
        database.dispose()
        other.commit()
        runner.join(60)

    assert failed == []
    assert plain(source) == 0


def test_a_plain_row_left_for_whatever_reason_is_a_failure(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    customers(source)
    monkeypatch.setattr(rewrite, "_rewrite_blocks", lambda *_arguments: 50)

    with pytest.raises(Blocked, match=r"50 rows of .* still held a plain value before the commit"):
        run(source, "customers", "email")
    assert plain(source) == 50


def test_settings_of_the_database_do_not_reach_the_run(source: Source) -> None:
    settings = {
        "default_transaction_read_only": "on",
        "synchronous_commit": "off",
        "session_replication_role": "replica",
        "idle_in_transaction_session_timeout": "1s",
    }
    source.run(
        *(f'ALTER DATABASE "{source.database}" SET {n} = "{v}"' for n, v in settings.items())
    )

    found = {}
    with connect(source.settings, source.secrets) as connection, connection.cursor() as cursor:
        for name in ("transaction_read_only", *list(settings)[1:]):
            cursor.execute("SELECT current_setting(%s)", (name,))
            found[name] = (cursor.fetchone() or ("",))[0]

    assert found == {
        "transaction_read_only": "off",
        "synchronous_commit": "on",
        "session_replication_role": "origin",
        "idle_in_transaction_session_timeout": "0",
    }


def test_a_row_lock_of_somebody_else_is_waited_for_and_named_without_values(
    source: Source,
) -> None:
    customers(source)
    with source.connection(application_name="queue worker") as other:
        other.autocommit = False
        other.cursor().execute(
            "SELECT id FROM customers WHERE email <> 'secret@example.org' "
            "FOR UPDATE SKIP LOCKED LIMIT 5"
        )

        with pytest.raises(
            LockNotAvailable,
            match=r"process \d+ \(queue worker, for \d+ s: SELECT id FROM customers WHERE em",
        ) as caught:
            run(source, "customers", "email")
    assert "secret" not in caught.value.message
    assert plain(source) == 50


def test_the_checksum_knows_every_row(source: Source) -> None:
    source.run(
        "CREATE TABLE t (a text)", "INSERT INTO t VALUES (NULL), (''), ('tok_YQ==_poc'), ('x')"
    )
    with connect(source.settings, source.secrets) as connection, connection.cursor() as cursor:
        table = source.table("t")
        whole = measure.checksum(cursor, table, ["a"])
        kept = measure.checksum(cursor, table, ["a"], without={})
        cursor.execute("DELETE FROM t WHERE a = 'x'")
        assert measure.checksum(cursor, table, ["a"]) == kept != whole


@pytest.mark.parametrize("way", ["in place, empty", "in place, full", "rewrite", "rewrite, late"])
def test_a_schema_exchanged_for_another_in_the_middle_writes_into_neither(
    source: Source, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    # The table's lock lets it pass: a lock keeps the table's name, and not that of its schema.
    customers(source, rows=2000)
    monkeypatch.setattr(rewrite, "FIRST_BATCH_BLOCKS", 2)
    rows = ["INSERT INTO public.customers TABLE old.customers"] if "full" in way else []
    exchanged: list[str] = []

    def exchange(share: float) -> None:
        if not exchanged and (share > 0 or "rewrite" in way):
            exchanged.append(way)
            source.run(
                "ALTER SCHEMA public RENAME TO old",
                "CREATE SCHEMA public",
                CUSTOMERS,
                *rows,
            )

    if way == "rewrite, late":  # between the last look and the statement
        monkeypatch.setattr(rewrite, "prove_same_bytes", lambda *_: exchange(1.0))
    control = Recorder(on_progress=None if "late" in way else exchange)
    with connect(source.settings, source.secrets, lock_timeout=0.5) as connection:
        run_it = alter.rewrite_table if "rewrite" in way else rewrite.rewrite
        with pytest.raises(Blocked, match=r"public\.customers was given another name meanwhile"):
            run_it(connection, source.table("customers"), choices("email"), TOKENIZER, control)

    assert exchanged
    assert plain(source, "old.customers") == 2000
    assert plain(source) == (2000 if "full" in way else 0)


def test_a_commit_that_waits_for_its_standby_is_told_as_one_without_an_answer() -> None:
    class Connection:
        def commit(self) -> None:
            raise NoAnswer(1_830)

    with pytest.raises(CommitUnknown, match="not answered within 1,830 seconds; the server may be"):
        rewrite.commit(Connection())  # type: ignore[arg-type]
