"""The thread that sends jobs' messages."""

import threading

import pytest

from backend.jobs.sender import Sender


def test_a_thread_that_cannot_be_started_now_is_started_at_the_next_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A container may have no process to spare for a moment; jobs are sent afterwards."""

    def refused(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    sender, sent = Sender(), list[int]()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refused)
        with pytest.raises(RuntimeError, match="can't start"):
            sender.run(lambda: sent.append(1))
    sender.run(lambda: sent.append(2))
    assert sent == [2]
