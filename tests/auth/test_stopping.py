"""What a SIGTERM does to a portal that starts, and to one that has."""

import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest
import uvicorn

from auth import stopping
from backend.core import last_resort, signals


class Ended(BaseException):
    """Instead of the end of the process."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> uvicorn.Server:
    """One that listens to the signal, and whose end is only noted."""

    def ended(status: int) -> None:
        raise Ended(status)

    server = uvicorn.Server(uvicorn.Config("app:app"))
    monkeypatch.setattr(signal, "getsignal", lambda _number: server.handle_exit)
    monkeypatch.setattr(stopping.os, "_exit", ended)
    monkeypatch.setattr(last_resort, "begun", threading.Event())
    return server


@pytest.fixture
def sigterm(server: uvicorn.Server, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """The handler that the portal installs over the server's."""
    installed: list[Any] = []
    monkeypatch.setattr(signals, "call_on", lambda numbers, end: installed.append((numbers, end)))
    assert stopping._install() is server
    [(numbers, end)] = installed
    assert numbers == [signal.SIGTERM]
    return end


def test_while_the_app_is_imported_it_ends_at_once(
    server: uvicorn.Server, sigterm: Callable[[], None]
) -> None:
    with pytest.raises(Ended, match="0"):
        sigterm()
    assert not server.should_exit


def test_once_the_state_is_touched_the_server_ends_in_order_and_in_time(
    server: uvicorn.Server, sigterm: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    bounded: list[bool] = []
    monkeypatch.setattr(last_resort, "end_at_the_latest", lambda: bounded.append(True))
    last_resort.begun.set()
    sigterm()
    assert (server.should_exit, bounded) == (True, [True])


def test_an_end_that_came_before_the_portal_listened_is_obeyed(server: uvicorn.Server) -> None:
    server.should_exit = True
    with pytest.raises(Ended, match="0"):
        stopping._install()
