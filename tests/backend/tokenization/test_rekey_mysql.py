"""Tokens that hold their value become those of the key, on a real MariaDB."""

import os
import random
import re
import signal
from typing import Any

import pytest

from backend.tokenization.detection import Detection
from backend.tokenization.engines.base import Blocked, RewriteResult
from backend.tokenization.engines.mysql import expressions, run
from backend.tokenization.schemas import Method
from backend.tokenization.tokens import HASHES, TEXT_HEX, Tokenizer
from tests.backend.tokenization.mysql_world import MySource
from tests.backend.tokenization.test_rekey import KEYED, OLD, after
from tests.backend.tokenization.world import BASE64, TOKENIZER, Recorder, choices, exit_of

#: Where the ranges of UTF-8's bytes begin and end.
EDGES = bytes.fromhex("00417f808f909fa0bfc0c1c2dfe0e1ecedeeeff0f1f3f4f5ff")


@pytest.fixture
def shop(mariadb_url: str) -> MySource:
    """A fresh database on a real MariaDB."""
    return MySource(mariadb_url)


def fill(shop: MySource, values: list[str | None]) -> None:
    shop.run("CREATE TABLE corpus (id int PRIMARY KEY, value longtext)")
    with shop.connection() as connection, connection.cursor() as cursor:
        cursor.executemany("INSERT INTO corpus VALUES (%s, %s)", list(enumerate(values)))


def rekey(shop: MySource, tokenizer: Tokenizer = TOKENIZER, **more: Any) -> RewriteResult:
    control = more.get("control") or Recorder()
    return shop.engine("corpus").rewrite(choices("value"), tokenizer, control, Method.REKEY)


def values(shop: MySource) -> list[str | None]:
    return shop.column("SELECT value FROM corpus ORDER BY id")


def is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_the_server_knows_utf8_as_python_does(shop: MySource) -> None:
    chance = random.Random(17)
    bodies = [bytes([byte]) for byte in range(256)]
    bodies += [bytes(chance.choices(EDGES, k=chance.randint(2, 6))) for _ in range(20_000)]
    bodies += ["üa🐤".encode() * 200_000, b"a" * 1_000_000 + b"\xff"]
    shop.run("CREATE TABLE t (id int PRIMARY KEY, body longblob)")
    with shop.connection() as connection, connection.cursor() as cursor:
        cursor.executemany("INSERT INTO t VALUES (%s, %s)", list(enumerate(bodies)))

    found = shop.column(f"SELECT {expressions.is_text('body')} FROM t ORDER BY id")

    expected = [
        re.match(TEXT_HEX, body.hex()) is not None if len(body) in HASHES else is_utf8(body)
        for body in bodies
    ]
    assert [bool(each) for each in found] == expected


@pytest.mark.parametrize("tokenizer", KEYED.values(), ids=KEYED)
def test_each_gets_the_token_of_its_value(shop: MySource, tokenizer: Tokenizer) -> None:
    """The longest, which take the server seconds, with one of the keyed schemes: these differ in
    how much of the same hash they write."""
    old = OLD if tokenizer is TOKENIZER else [each for each in OLD if len(each or "") < 100_000]
    fill(shop, old)

    result = rekey(shop, tokenizer)

    expected = [after(value, tokenizer) for value in old]
    assert values(shop) == expected
    changed = sum(a != b for a, b in zip(old, expected, strict=True))
    assert (result.rows_scanned, result.rows_updated) == (len(old), changed)
    assert "without text in it" in result.left_alone
    assert rekey(shop, tokenizer).rows_updated == 0


def test_the_preview_counts_what_the_run_changes(shop: MySource) -> None:
    fill(shop, OLD)

    report = shop.engine("corpus").preview(
        TOKENIZER, 100, lambda _values: Detection(chosen={"value": "by name"}), Method.REKEY
    )

    (value,) = [column for column in report.columns if column.selected]
    assert value.rows_to_update == rekey(shop).rows_updated
    assert any(warning.startswith("stay as they are: ") for warning in value.warnings)


@pytest.mark.parametrize("kept", [0, 1])
def test_one_that_is_left_before_the_commit_fails_the_run(
    shop: MySource, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    """As a trigger that nobody may see could leave it: the old token, or another keyed one."""
    old = [BASE64.token("anna@example.org"), BASE64.token("b")]
    fill(shop, list(old))
    other = (old[0], "tok_" + "A" * 43 + "=_poc")[kept]
    monkeypatch.setattr(
        expressions,
        "update",
        lambda table, *_: f"UPDATE {expressions.qualified(table)} SET value = '{other}'",
    )

    with pytest.raises(
        Blocked, match=("anybody can read", "are not those that were computed")[kept]
    ):
        rekey(shop)

    assert values(shop) == old


def test_plain_runs_leave_them(shop: MySource) -> None:
    old = [BASE64.token("anna@example.org"), "plain"]
    fill(shop, list(old))

    assert shop.engine("corpus").rewrite(choices("value"), TOKENIZER, Recorder()) == RewriteResult(
        2, 1
    )
    assert values(shop) == [old[0], TOKENIZER.token("plain")]


def die_at(source: MySource, moment: str) -> None:
    """In a process of its own: a run that is killed at that moment."""
    rekey(source, control=Recorder(**{moment: lambda *_: os.kill(os.getpid(), signal.SIGKILL)}))


@pytest.mark.parametrize("moment", ["on_started", "on_committing"])
def test_kill_9_leaves_the_table_as_it_was(shop: MySource, moment: str) -> None:
    old = [BASE64.token(f"person{n}@example.org") for n in range(200)]
    fill(shop, list(old))
    assert exit_of(die_at, shop, moment) == -signal.SIGKILL
    shop.engine("corpus").outcome(run.lock_name(shop.table("corpus")), patience=60.0)
    assert values(shop) == old
    assert rekey(shop).rows_updated == 200
