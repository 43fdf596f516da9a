"""What is done beside the schedule."""

import threading

import pytest

from backend.core.database import Database
from backend.ingestion import tasks


def test_what_had_no_thread_at_one_tick_has_one_at_the_next(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else no run would be followed any more, and nothing would say so."""

    def refused(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    done = threading.Event()
    monkeypatch.setattr(tasks.tracker, "sweep", lambda _: done.set())
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refused)
        with pytest.raises(RuntimeError, match="can't start"):
            tasks.follow_runs(database)
    tasks.follow_runs(database)
    assert done.wait(60)
