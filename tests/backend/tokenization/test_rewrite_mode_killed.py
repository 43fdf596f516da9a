"""kill -9 in the middle of a rewrite on a real server; and who watches it sees no key."""

import base64
import os
import signal
import threading
import time

import pytest

from backend.integrations.postgres.connection import connect
from backend.tokenization.engines.postgres import alter
from tests.backend.tokenization.world import (
    KEY,
    TOKENIZER,
    Recorder,
    Source,
    choices,
    customers,
    exit_of,
)

#: The rewrite calls it for every row, so that it waits where the test wants it to.
_GATE = 4711
_DEADLINE = 60.0


def rewrite(source: Source, control: Recorder) -> None:
    with connect(source.settings, source.secrets, lock_timeout=5.0) as connection:
        alter.rewrite_table(
            connection, source.table("customers"), choices("email"), TOKENIZER, control
        )


def die(source: Source, moment: str) -> None:
    """In a process of its own: a rewrite that is killed at that moment."""
    rewrite(source, Recorder(**{moment: lambda *_: os.kill(os.getpid(), signal.SIGKILL)}))


@pytest.mark.parametrize("moment", ["on_started", "on_progress", "on_committing"])
def test_killed_at_any_moment_the_table_is_as_it_was(source: Source, moment: str) -> None:
    customers(source, rows=500)
    before = source.column("SELECT pg_relation_filenode('customers')")
    assert exit_of(die, source, moment) == -signal.SIGKILL
    source.wait_until_alone()

    assert source.column("SELECT count(*) FROM customers WHERE email LIKE '%@%'") == [500]
    assert source.column("SELECT pg_relation_filenode('customers')") == before
    rewrite(source, Recorder())
    assert source.column("SELECT count(*) FROM customers WHERE email LIKE 'tok%'") == [500]


def test_the_key_is_not_shown_while_the_table_is_rewritten(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ALTER stands still before its first row, waiting for an advisory lock of this test."""
    customers(source)
    change, errors = alter._change, []

    def waits(*arguments: object) -> object:
        clause = change(*arguments)  # type: ignore[arg-type]  # passed on as it came
        return alter.sql.SQL("{}, ALTER COLUMN name TYPE text USING (name || {})").format(
            clause, alter.sql.SQL(f"left(pg_advisory_lock({_GATE})::text, 0)")
        )

    def go() -> None:
        try:
            rewrite(source, Recorder())
        except BaseException as exc:
            errors.append(exc)

    monkeypatch.setattr(alter, "_change", waits)
    seen: list[str] = []
    with source.connection() as gate, gate.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", (_GATE,))
        thread = threading.Thread(target=go)
        thread.start()
        deadline = time.monotonic() + _DEADLINE
        while time.monotonic() < deadline and not errors:
            cursor.execute(
                "SELECT query FROM pg_stat_activity WHERE wait_event = 'advisory' "
                "AND query LIKE 'ALTER TABLE%'"
            )
            seen = [row[0] for row in cursor.fetchall()]
            if seen:
                break
            time.sleep(0.05)
        cursor.execute("SELECT prosrc FROM pg_proc WHERE proname LIKE 'portal%'")
        seen += [row[0] for row in cursor.fetchall()]
        cursor.execute("SELECT pg_advisory_unlock(%s)", (_GATE,))
        thread.join(_DEADLINE)

    assert errors == []
    assert any(text.startswith("ALTER TABLE") for text in seen)
    blocks = TOKENIZER.padded_keys()
    for secret in (KEY, blocks.inner[:32], blocks.outer[:32]):
        for spelling in (secret.hex(), secret.hex().upper(), base64.b64encode(secret).decode()):
            assert not [text for text in seen if spelling[:40] in text]
    assert source.column("SELECT count(*) FROM customers WHERE email LIKE 'tok%'") == [50]
