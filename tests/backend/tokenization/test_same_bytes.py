"""PostgreSQL computes the same bytes as Python, over values that are hard on encoders."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.integrations.postgres.connection import connect
from backend.tokenization.engines.postgres import expressions, rewrite
from backend.tokenization.tokens import Tokenizer
from tests.backend.tokenization.corpus import NASTY, TEXTS
from tests.backend.tokenization.world import SCHEMES, TOKENIZER, Recorder, Source, choices


def rewritten(source: Source, values: list[str | None], tokenizer: Tokenizer) -> list[str | None]:
    """The values after a run, in order."""
    source.run("DROP TABLE IF EXISTS corpus", "CREATE TABLE corpus (id int, value text)")
    with source.connection() as connection, connection.cursor() as cursor:
        cursor.executemany("INSERT INTO corpus VALUES (%s, %s)", list(enumerate(values)))
    with connect(source.settings, source.secrets) as connection:
        rewrite.rewrite(connection, source.table("corpus"), choices("value"), tokenizer, Recorder())
    return source.column("SELECT value FROM corpus ORDER BY id")


@pytest.mark.parametrize("tokenizer", SCHEMES.values(), ids=SCHEMES)
def test_nasty_corpus_is_rewritten_as_python_would(source: Source, tokenizer: Tokenizer) -> None:
    assert rewritten(source, NASTY, tokenizer) == [tokenizer.token(value) for value in NASTY]


@pytest.mark.parametrize("tokenizer", SCHEMES.values(), ids=SCHEMES)
def test_any_text_gets_the_same_token(source: Source, tokenizer: Tokenizer) -> None:
    with connect(source.settings, source.secrets) as connection, connection.cursor() as cursor:
        expressions.load_key(cursor, tokenizer)
        value = expressions.sql.SQL('(given.value COLLATE "C")')
        query = expressions.sql.SQL(
            "SELECT CASE WHEN {plain} THEN {token} ELSE value END "
            "FROM unnest(%s::text[]) WITH ORDINALITY AS given (value, place) ORDER BY place"
        ).format(
            plain=expressions.is_plain(value),
            token=expressions.token_of(value, tokenizer.scheme),
        )

        @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(st.lists(TEXTS, min_size=1, max_size=20))
        def check(values: list[str]) -> None:
            cursor.execute(query, (values,))

            assert [row[0] for row in cursor.fetchall()] == [tokenizer.token(v) for v in values]

        check()


def test_a_latin1_database_gives_the_tokens_of_the_utf8_value(
    source: Source, postgres_server: object
) -> None:
    source.run(
        "DROP DATABASE IF EXISTS latin",
        "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0",
    )
    latin = Source(source.url.rsplit("/", 1)[0] + "/latin")
    try:
        values: list[str | None] = ["Grüße", "façade", "plain"]
        assert rewritten(latin, values, TOKENIZER) == [TOKENIZER.token(v) for v in values]
    finally:
        source.run("DROP DATABASE latin WITH (FORCE)")
