"""Writers of one ledger file take turns, and whoever waits stands in nobody's way."""

import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from backend.dms import ledger as ledgers
from backend.dms.ledger import Ledger


def _waits(thread: threading.Thread) -> bool:
    frame = sys._current_frames().get(thread.ident or 0)
    while frame is not None and not frame.f_code.co_name.startswith("_begin"):
        frame = frame.f_back
    return frame is not None


def test_a_connection_that_waits_can_be_touched_by_who_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the garbage collector does with a cursor of it, in the thread that happens to run it: with
    the wait inside SQLite each would stand still until the other's time is over."""
    monkeypatch.setattr(ledgers, "is_deadlock", lambda _exc: False)  # no second try mends it
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    ledger.write(lambda connection: connection.execute(text("CREATE TABLE turns (who TEXT)")))
    opened: list[Any] = []
    event.listen(ledger.engine, "connect", lambda driver, _record: opened.append(driver))
    ended: list[object] = []
    insert = text("INSERT INTO turns VALUES ('x')")

    def other() -> None:
        try:
            ended.append(ledger.write(lambda connection: connection.execute(insert).rowcount))
        except Exception as exc:
            ended.append(exc)

    with ledger._writer.begin() as connection:
        connection.execute(insert)
        thread = threading.Thread(target=other)
        thread.start()
        while not _waits(thread):
            assert thread.is_alive(), ended
            time.sleep(0.001)
        opened[-1].execute("PRAGMA user_version").fetchone()
    thread.join()
    assert ended == [1]  # it did not have to give up first
    ledger.engine.dispose()
