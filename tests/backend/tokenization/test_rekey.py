"""Tokens that hold their value become those of the key, on a real PostgreSQL."""

import base64
import os
import signal
from typing import Any

import pytest

from backend.connections import service as connections
from backend.core.errors import InvalidInput
from backend.integrations.postgres.connection import connect
from backend.tokenization import check, comparison, execution, preview
from backend.tokenization.engines.base import Blocked, Outcome, RewriteResult
from backend.tokenization.engines.postgres import rewrite
from backend.tokenization.engines.postgres.engine import PostgresEngine
from backend.tokenization.schemas import Method, RunState, Trigger
from backend.tokenization.tokens import Tokenizer, held, is_token
from tests.backend.tokenization.corpus import NASTY
from tests.backend.tokenization.test_comparison import compare
from tests.backend.tokenization.world import (
    ADMIN,
    BASE64,
    SCHEMES,
    SHORTEST,
    STEWARD,
    TOKENIZER,
    Recorder,
    Source,
    World,
    choices,
    customers,
    exit_of,
)

KEYED = {name: tokenizer for name, tokenizer in SCHEMES.items() if tokenizer is not BASE64}


def token(body: bytes) -> str:
    return f"tok_{base64.b64encode(body).decode()}_poc"


#: What holds no value: bytes that are no UTF-8, a token inside, control characters in a hash.
UNTOUCHED = [
    token(b"\xff\xfe"),
    token(b"\xed\xa0\x80"),
    token(b"tok_YWJj_poc"),
    token(b"\x01" * 12),
]
#: Old tokens of everything hard, plain values, and what stays.
OLD = [*(BASE64.token(value) for value in NASTY), *NASTY, *UNTOUCHED]


def after(value: str | None, tokenizer: Tokenizer) -> str | None:
    """The reference: the token of the plain value, whichever of the two is there."""
    return tokenizer.token((held(value) or value) if value else value)


def fill(source: Source, values: list[str | None]) -> None:
    source.run("DROP TABLE IF EXISTS corpus", "CREATE TABLE corpus (id int, value text)")
    with source.connection() as connection, connection.cursor() as cursor:
        cursor.executemany("INSERT INTO corpus VALUES (%s, %s)", list(enumerate(values)))


def rekey(source: Source, tokenizer: Tokenizer = TOKENIZER, **more: Any) -> RewriteResult:
    table, control = more.get("table", "corpus"), more.get("control") or Recorder()
    with connect(source.settings, source.secrets) as connection:
        return rewrite.rewrite(
            connection,
            source.table(table),
            choices(more.get("column", "value")),
            tokenizer,
            control,
            Method.REKEY,
        )


def values(source: Source) -> list[str | None]:
    return source.column("SELECT value FROM corpus ORDER BY id")


@pytest.mark.parametrize("tokenizer", KEYED.values(), ids=KEYED)
def test_each_gets_the_token_of_its_value(source: Source, tokenizer: Tokenizer) -> None:
    fill(source, OLD)

    result = rekey(source, tokenizer)

    expected = [after(value, tokenizer) for value in OLD]
    assert values(source) == expected
    changed = sum(a != b for a, b in zip(OLD, expected, strict=True))
    assert (result.rows_scanned, result.rows_updated) == (len(OLD), changed)
    # Of the four one is as long as a keyed token of 96 bits, like which it looks.
    assert result.left_alone.startswith("value: ")
    assert rekey(source, tokenizer).rows_updated == 0


def test_they_are_the_tokens_that_the_plain_values_get(source: Source) -> None:
    plain = [value for value in NASTY if value and not is_token(value)]
    fill(source, [BASE64.token(value) for value in plain])
    source.run("ALTER TABLE corpus RENAME TO old")
    fill(source, list(plain))
    with connect(source.settings, source.secrets) as connection:
        rewrite.rewrite(connection, source.table("corpus"), choices("value"), TOKENIZER, Recorder())

    rekey(source, table="old")

    assert (
        source.rows("SELECT * FROM old JOIN corpus USING (id) WHERE old.value <> corpus.value")
        == []
    )


def test_keyed_tokens_of_the_column_stay(source: Source) -> None:
    """Even those that look like text by chance: among enough keyed ones nobody can tell."""
    keyed = [SHORTEST.token(f"person {n}") for n in range(200)]
    fill(source, [*keyed, token(b"anna@exa.org"), BASE64.token("berta@example.org")])

    result = rekey(source, SHORTEST)

    assert values(source) == [
        *keyed,
        token(b"anna@exa.org"),
        SHORTEST.token("berta@example.org"),
    ]
    assert (result.rows_updated, result.left_alone) == (1, "")


def test_where_code_of_the_database_runs_and_rows_lie_in_partitions(source: Source) -> None:
    source.run(
        "CREATE TABLE corpus (id int, value text) PARTITION BY RANGE (id)",
        "CREATE TABLE low PARTITION OF corpus FOR VALUES FROM (0) TO (40)",
        "CREATE TABLE high PARTITION OF corpus FOR VALUES FROM (40) TO (1000)",
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN PERFORM count(*) FROM pg_temp.portal_tokenization_key; RETURN NEW; EXCEPTION "
        "WHEN undefined_table THEN RETURN NEW; END'",
        "CREATE TRIGGER note BEFORE UPDATE ON corpus FOR EACH ROW EXECUTE FUNCTION note()",
    )
    with source.connection() as connection, connection.cursor() as cursor:
        cursor.executemany("INSERT INTO corpus VALUES (%s, %s)", list(enumerate(OLD)))

    rekey(source)

    assert values(source) == [after(value, TOKENIZER) for value in OLD]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("NEW.value := OLD.value", "kept 2 rows from being tokenized"),
        ("NEW.value := lower(NEW.value)", "altered the tokens"),
        ("NEW.value := 'tok_YW5uYUBleGFtcGxlLm9yZ2FuLm9yZy4uYWFhYWE=_poc'", "trigger on"),
    ],
)
def test_a_trigger_that_keeps_them_fails_the_run(source: Source, body: str, why: str) -> None:
    old = [BASE64.token("anna@example.org"), BASE64.token("b")]
    fill(source, list(old))
    source.run(
        "CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN {body}; RETURN NEW; END $$",
        "CREATE TRIGGER meddle BEFORE UPDATE ON corpus FOR EACH ROW EXECUTE FUNCTION meddle()",
    )

    with pytest.raises(Blocked, match=why):
        rekey(source)

    assert values(source) == old


def die(source: Source, moment: str) -> None:
    """In a process of its own: a run that is killed at that moment."""
    rekey(source, control=Recorder(**{moment: lambda *_: os.kill(os.getpid(), signal.SIGKILL)}))


@pytest.mark.parametrize("moment", ["on_started", "on_progress", "on_committing"])
def test_kill_9_leaves_the_table_as_it_was(source: Source, moment: str) -> None:
    old = [BASE64.token(f"person{n}@example.org") for n in range(3_000)]
    fill(source, list(old))
    assert exit_of(die, source, moment) == -signal.SIGKILL
    source.wait_until_alone()
    assert values(source) == old
    assert rekey(source).rows_updated == 3_000


@pytest.fixture
def leftovers(catalogued: World) -> World:
    """Tokens of the proof of concept in a table that the portal tokenized since."""
    assert catalogued.work(catalogued.start("customers")).state is RunState.SUCCEEDED
    with catalogued.source.connection() as connection, connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE customers SET email = %s WHERE id = %s",
            [(BASE64.token(f"person{n}@example.org"), n) for n in range(1, 8)],
        )
    return catalogued


def test_the_comparison_repairs_them(leftovers: World) -> None:
    (finding,) = compare(leftovers)["findings"]
    assert (finding["finding"], finding["repair"]) == (check.REVERSIBLE, check.REKEY)

    view = leftovers.work(
        comparison.repair(
            leftovers.database,
            STEWARD,
            dataset=leftovers.source.urn("customers"),
            finding=check.REVERSIBLE,
            trigger=Trigger.API,
        )
    )

    assert (view.state, view.rows_updated, view.method) == (RunState.SUCCEEDED, 7, Method.REKEY)
    assert leftovers.source.column("SELECT email FROM customers WHERE id = 7") == [
        TOKENIZER.token("person7@example.org")
    ]
    assert compare(leftovers)["findings"] == []


def previewed(leftovers: World) -> Any:
    return preview.preview(
        leftovers.database,
        STEWARD,
        dataset=leftovers.source.urn("customers"),
        columns=["email"],
        method="re-key",
    )


def test_the_preview_counts_and_masks(leftovers: World) -> None:
    leftovers.source.run(
        "UPDATE customers SET email = 'plain@example.org' WHERE id = 20",
        "UPDATE customers SET email = 'tok_/w==_poc' WHERE id = 21",
    )

    found = previewed(leftovers)

    (email,) = [column for column in found.report.columns if column.selected]
    assert (found.report.rows_to_update, email.rows_to_update) == (8, 8)
    assert "stay as they are: 1 token without text in it" in email.warnings
    assert all("person" not in sample.before for sample in email.samples)
    assert {sample.after for sample in email.samples} <= {
        TOKENIZER.token(value)
        for value in ["plain@example.org", *(f"person{n}@example.org" for n in range(1, 8))]
    }


def test_a_unique_column_with_a_value_and_its_old_token_is_refused(leftovers: World) -> None:
    leftovers.source.run(
        "UPDATE customers SET email = 'person7@example.org' WHERE id = 30",
        "CREATE UNIQUE INDEX one ON customers (email)",
    )

    found = previewed(leftovers)

    assert "1 values were tokenized before and entered again" in "".join(found.report.all_blockers)


def test_without_a_key_there_is_none(leftovers: World) -> None:
    with leftovers.database.write() as session:
        connections.save(
            session,
            ADMIN,
            environment=leftovers.environment,
            kind="tokenization",
            settings={"scheme": "base64"},
            secrets_in={},
        )

    with pytest.raises(InvalidInput, match="there is no key to make tokens anew with"):
        leftovers.start("customers", "email", method="re-key")


@pytest.mark.parametrize("committed", [True, False])
def test_a_server_that_has_forgotten_is_asked_for_the_content(
    world: World, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    """No plain value is there before or after; only the old tokens tell."""
    customers(world.source)
    world.source.run(
        "UPDATE customers SET email = 'tok_' || encode(email::bytea, 'base64') || '_poc'"
    )
    view, original = world.start("customers", "email", method="re-key"), rewrite.commit

    def stop(connection: Any) -> None:
        if committed:
            original(connection)
        raise KeyboardInterrupt

    monkeypatch.setattr(rewrite, "commit", stop)
    with pytest.raises(KeyboardInterrupt):
        world.work(view)
    monkeypatch.setattr(PostgresEngine, "outcome", lambda *_, **__: Outcome.UNKNOWN)

    class Context:
        database = world.database

    document = execution.run(Context(), run_id=view.id)  # type: ignore[arg-type]  # what it reads

    assert document["status"] == ("succeeded" if committed else "interrupted")
