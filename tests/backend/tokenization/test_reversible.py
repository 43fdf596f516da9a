"""Tokens that hold their value are told from keyed ones, on real servers as in Python."""

import base64
import random
import re

import pytest

from backend.connections import service as connections
from backend.tokenization import check, sources
from backend.tokenization.engines import Engine, engine_for
from backend.tokenization.schemas import RunState
from backend.tokenization.tokens import HASHES, KEYED, TEXT_HEX, held, is_token, reversible
from tests.backend.tokenization.corpus import NASTY
from tests.backend.tokenization.mysql_world import MySource
from tests.backend.tokenization.test_comparison import compare
from tests.backend.tokenization.world import ADMIN, BASE64, SCHEMES, TOKENIZER, World

KEYED_SCHEMES = [name for name in SCHEMES if name != "base64"]
#: Of every length up to one that no hash has, among them those of the keyed schemes.
VALUES = [
    "a",
    "Grüße 🐤",
    "anna@ex.org",
    "anna@exa.org",
    "anna@example.organ",
    "an.na.of.the.example@example.org",
    "line\nline\ttab",
    "€" * 40,
    "x" * 5_000,
]
#: Plain values and what only looks like a token are no tokens at all.
NO_TOKENS = ["plain@example.org", "tok_x_poc", "tok__poc", "", None]
#: A token of another tool: its body is no text and as long as no scheme of ours.
FOREIGN = "tok_/////w==_poc"


def test_text_is_what_python_decodes_without_control_characters() -> None:
    chance = random.Random(17)
    samples = [chance.randbytes(chance.randint(1, 4)) for _ in range(20_000)]
    samples += [chr(c).encode() for c in range(0x11_0000) if not 0xD800 <= c < 0xE000][::7]
    for data in samples:
        try:
            text = data.decode()
        except UnicodeDecodeError:
            text = ""
        control = re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", text)
        expected = bool(text) and not control
        assert (re.match(TEXT_HEX, data.hex()) is not None) is expected, data


@pytest.mark.parametrize("size", [scheme.bits // 8 for scheme in KEYED])
def test_of_a_keyed_length_chance_decides(size: int) -> None:
    alone = reversible([(size, True, 3), (size, False, 1)])
    assert (alone.rows, alone.unsure, alone.sizes) == (3, 0, {size})
    elsewhere = reversible([(size, False, 40_000), (7, True, 5)])
    assert (elsewhere.rows, elsewhere.unsure, elsewhere.sizes) == (5, 0, set())


def test_the_tokens_of_a_length_are_counted_together() -> None:
    found = reversible([(5, True, 2), (5, True, 3), (6, False, 1), (6, False, 4)])
    assert (found.rows, found.others) == (5, 5)


@pytest.mark.parametrize(("texts", "unsure"), [(8, 0), (9, 9)])
def test_unsure_begins_five_deviations_and_three_above_chance(texts: int, unsure: int) -> None:
    """Of 10,000 keyed tokens of 12 bytes 0.84 are text by chance: 3 + 0.84 + 5 * 0.92 = 8.4."""
    found = reversible([(12, True, texts), (12, False, 10_000)])
    assert (found.rows, found.unsure) == (0, unsure)


@pytest.mark.parametrize(("size", "rows", "unsure"), [(12, 0, 0), (18, 0, 3), (32, 3, 0)])
def test_among_many_keyed_ones_the_longest_are_told_apart(
    size: int, rows: int, unsure: int
) -> None:
    """Of 40,000 keyed tokens three of 12 bytes look like text, of 18 hardly one, of 32 none."""
    found = reversible([(size, True, 3 if size != 18 else 5), (size, False, 40_000)])

    assert (found.rows, found.unsure > 0) == (rows, unsure > 0)


def test_more_than_chance_explains_is_not_silent() -> None:
    found = reversible([(12, True, 300), (12, False, 5_000), (9, False, 4), (5, True, 1)])

    assert (found.rows, found.unsure, found.others, found.sizes) == (1, 300, 4, set())
    assert found.left_alone == ("300 tokens that may be of the key and 4 tokens without text in it")


def test_of_another_length_only_text_counts() -> None:
    found = reversible([(7, True, 2), (7, False, 9)])

    assert (found.rows, found.others, found.sizes) == (2, 9, set())


def test_what_a_token_holds() -> None:
    values = [value for value in NASTY if value and not is_token(value)]
    control = [v for v in values if len(v.encode()) in HASHES and re.search(r"[\x00-\x08\x7f]", v)]

    assert [v for v in values if held(str(BASE64.token(v))) != v] == control
    assert held(str(BASE64.token("anna@exa.org")), sizes=[32]) is None
    nested = "tok_" + base64.b64encode(b"tok_YWJj_poc").decode() + "_poc"
    assert [held(text) for text in ("anna", "tok_/w==_poc", nested)] == [None, None, None]


def columns() -> dict[str, list[str | None]]:
    """Old tokens alone; and for each keyed scheme its tokens alone, and both kinds."""
    old = [BASE64.token(value) for value in VALUES]
    found: dict[str, list[str | None]] = {"old": [*old, *NO_TOKENS, FOREIGN]}
    for number, name in enumerate(KEYED_SCHEMES):
        keyed = [SCHEMES[name].token(f"person {n}") for n in range(200)]
        found[f"keyed_{number}"] = [*keyed, *NO_TOKENS, FOREIGN]
    found["mixed"] = [*old, *[TOKENIZER.token(f"person {n}") for n in range(20)]]
    return found


def rows_of(given: dict[str, list[str | None]]) -> list[tuple[str | None, ...]]:
    longest = max(map(len, given.values()))
    padded = [[*values, *[None] * (longest - len(values))] for values in given.values()]
    return list(zip(*padded, strict=True))


EXPECTED = {"old": len(VALUES), "keyed_0": 0, "keyed_1": 0, "keyed_2": 0, "mixed": len(VALUES)}


def counted(engine: Engine, names: list[str]) -> dict[str, int]:
    return {name: each.rows for name, each in engine.read_reversible(names).items()}


def test_on_postgresql(world: World) -> None:
    source, given = world.source, columns()
    source.run(f"CREATE TABLE t ({', '.join(f'{name} text' for name in given)}, n int)")
    with source.connection() as connection, connection.cursor() as cursor:
        cursor.executemany("INSERT INTO t VALUES (%s, %s, %s, %s, %s)", rows_of(given))

    with world.database.read() as session:
        found = sources.locate(session, dataset=source.urn("t"), environment=world.environment)
    assert counted(engine_for(found), [*given, "n", "gone"]) == EXPECTED


def test_on_mariadb(mariadb_url: str) -> None:
    source, given = MySource(mariadb_url), columns()
    source.run(f"CREATE TABLE t ({', '.join(f'{name} longtext' for name in given)}, n int)")
    with source.connection() as connection, connection.cursor() as cursor:
        names = ", ".join(given)
        cursor.executemany(f"INSERT INTO t ({names}) VALUES (%s, %s, %s, %s, %s)", rows_of(given))

    assert counted(source.engine("t"), [*given, "n", "gone"]) == EXPECTED


def test_the_comparison_names_them_and_how_many(catalogued: World) -> None:
    assert catalogued.work(catalogued.start("customers")).state is RunState.SUCCEEDED
    assert compare(catalogued)["findings"] == []
    with catalogued.source.connection() as connection, connection.cursor() as cursor:
        cursor.execute(
            "UPDATE customers SET email = %s WHERE id <= 7", (BASE64.token("a@example.org"),)
        )

    (finding,) = compare(catalogued)["findings"]

    assert (finding["finding"], finding["columns"]) == (check.REVERSIBLE, ["email"])
    assert (finding["repair"], finding["rows_plain"]) == (check.REKEY, None)
    assert "not of the key: 7 in email." in finding["detail"]


def test_where_the_scheme_is_base64_they_are_what_was_asked_for(catalogued: World) -> None:
    with catalogued.database.write() as session:
        connections.save(
            session,
            ADMIN,
            environment=catalogued.environment,
            kind="tokenization",
            settings={"scheme": "base64"},
            secrets_in={},
        )
    catalogued.source.run("ALTER TABLE customers ALTER phone TYPE text")
    assert catalogued.work(catalogued.start("customers")).state is RunState.SUCCEEDED

    assert compare(catalogued)["findings"] == []
