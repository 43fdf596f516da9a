"""A reply is never lost: not by a closed or interrupted client, nor by a ledger that is away."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from backend.dms import schema
from backend.dms import transport as transports
from backend.dms.client import DatabaseException, DMSClient, RequestTimeoutException
from backend.dms.late import LateReplies
from tests.fixtures.dms_responder import Server, mount_request, silent

Start = Callable[..., Any]


@pytest.fixture
def server(broker_url: str, start_responder: Start) -> Server:
    made: Server = start_responder(broker_url)
    return made


def _jobs(client: DMSClient) -> list[int]:
    return [entry.jobid for entry in client.get_active_mounts()]


def _operation_of(client: DMSClient) -> str:
    query = select(schema.operation.c.operation_id).order_by(schema.operation.c.id.desc())
    return str(client.ledger.read(lambda c: c.execute(query).scalar()))


def _ctrl_c(_operation_id: str, wait: Callable[[float], Any]) -> None:
    wait(0.2)
    raise KeyboardInterrupt


def _rechecked(client: DMSClient, operation_id: str) -> dict[str, Any]:
    """What a re-check says once the server has answered and the lease is over."""
    until = time.monotonic() + 60
    while (said := client.recheck(operation_id))["outcome"] == "unknown":
        assert time.monotonic() < until, said
        time.sleep(0.05)
    return said


class TestClosed:
    def test_an_interrupted_mount_is_found_by_the_next_client(
        self, broker_url: str, server: Server, start_client: Start
    ):
        server.delay = 1.0
        with pytest.raises(KeyboardInterrupt), start_client(broker_url, 60, lease=0.6) as client:
            # Not before the request is out: what was never sent is never answered.
            client._await = lambda *args: server.received.wait(60) and _ctrl_c(*args)
            client.mount(mount_request())
        other = start_client(broker_url)
        assert _rechecked(other, _operation_of(other))["outcome"] == "replied"
        assert _jobs(other) == [1]

    def test_an_interrupted_mount_is_found_by_the_same_client(
        self, broker_url: str, server: Server, start_client: Start
    ):
        server.delay = 0.5
        client = start_client(broker_url, 60, lease=0.6)
        real = client._await
        client._await = lambda *args: server.received.wait(60) and _ctrl_c(*args)
        with pytest.raises(KeyboardInterrupt):
            client.mount(mount_request())
        client._await = real
        assert _rechecked(client, _operation_of(client))["outcome"] == "replied"
        assert _jobs(client) == [1]

    def test_closing_ends_the_wait_of_another_thread_and_keeps_its_reply(
        self, broker_url: str, server: Server, start_client: Start
    ):
        closed = threading.Event()
        server.before_reply = lambda: closed.wait(120)
        client = start_client(broker_url, 60)
        ended: list[Any] = []

        def mount() -> None:
            try:
                ended.append(client.mount(mount_request()))
            except RequestTimeoutException as exc:
                ended.append(exc)

        thread = threading.Thread(target=mount)
        thread.start()
        assert server.received.wait(60)
        client.close()
        thread.join(60)
        closed.set()
        assert not thread.is_alive(), "a closed client lets nobody wait"
        assert ended[0].outcome == "unknown"
        assert "when the client was closed" in ended[0].message
        other = start_client(broker_url)
        assert _rechecked(other, ended[0].operation_id)["outcome"] == "replied"
        assert _jobs(other) == [1]


class TestLedgerAway:
    def test_replies_that_were_fetched_and_not_stored_stay_in_the_queue(
        self,
        broker_url: str,
        server: Server,
        start_client: Start,
        monkeypatch: pytest.MonkeyPatch,
    ):
        first = start_client(broker_url, 60)
        with silent(first, server):
            with pytest.raises(RequestTimeoutException) as caught:
                first.mount(mount_request())
            first.close()
        other = start_client(broker_url)
        with monkeypatch.context() as patch:
            patch.setattr(other.operations, "store_reply", _away)
            until = time.monotonic() + 60
            with pytest.raises(DatabaseException):
                while time.monotonic() < until:  # the answer is on its way
                    other.recheck(caught.value.operation_id)
        assert _rechecked(other, caught.value.operation_id)["outcome"] == "replied"
        assert _jobs(other) == [1]

    @pytest.mark.parametrize("who", ["the same client", "another client"])
    def test_a_reply_that_could_not_be_written_is_applied_by_a_recheck(
        self,
        broker_url: str,
        server: Server,
        start_client: Start,
        monkeypatch: pytest.MonkeyPatch,
        who: str,
    ):
        client = start_client(broker_url, lease=0.5)
        with monkeypatch.context() as patch:
            patch.setattr(client.operations, "confirm", _away)
            with pytest.raises(DatabaseException) as caught:
                client.mount(mount_request())
        assert caught.value.outcome == "unknown"
        if who == "another client":
            client.close()
            client = start_client(broker_url)
        assert _rechecked(client, caught.value.operation_id)["outcome"] == "replied"
        assert _jobs(client) == [1]

    def test_a_late_reply_that_could_not_be_stored_is_stored_by_a_recheck(
        self,
        broker_url: str,
        server: Server,
        start_client: Start,
        monkeypatch: pytest.MonkeyPatch,
    ):
        client = start_client(broker_url, 60)
        tried = threading.Event()

        def away(*_: Any, **__: Any) -> None:
            tried.set()
            _away()

        with monkeypatch.context() as patch:
            patch.setattr(client.operations, "store_reply", away)
            with silent(client, server), pytest.raises(RequestTimeoutException) as caught:
                client.mount(mount_request())
            assert tried.wait(60)
        assert _rechecked(client, caught.value.operation_id)["outcome"] == "replied"
        assert _jobs(client) == [1]


def test_a_reply_in_the_very_moment_of_the_timeout_is_not_lost(
    broker_url: str, server: Server, start_client: Start, monkeypatch: pytest.MonkeyPatch
):
    """The transport is about to hand the reply over while its caller is giving up."""
    came, given_up = threading.Event(), threading.Event()
    resolve = transports.PendingCall.resolve

    def late(self: transports.PendingCall, result: transports.Result) -> None:
        came.set()
        assert given_up.wait(60)
        resolve(self, result)

    monkeypatch.setattr(transports.PendingCall, "resolve", late)
    client = start_client(broker_url, 60)
    abandon = client.transport.abandon

    def abandoned(call: transports.PendingCall) -> transports.Result | None:
        given_up.set()
        return abandon(call)

    monkeypatch.setattr(client.transport, "abandon", abandoned)
    monkeypatch.setattr(client, "_await", lambda *_: came.wait(60) and None)
    assert client.mount(mount_request())["outcome"] == "replied"
    assert _jobs(client) == [1]


def _away(*_: Any, **__: Any) -> None:
    raise DatabaseException("The ledger is away.")


def test_closing_waits_for_a_thread_that_is_being_started(monkeypatch: pytest.MonkeyPatch):
    real, at_it, go_on = threading.Thread, threading.Event(), threading.Event()

    class SlowToStart(real):  # type: ignore[misc, valid-type]  # a class that is held in a variable
        def start(self) -> None:
            at_it.set()
            assert go_on.wait(60)
            super().start()

    kept: list[str] = []
    late = LateReplies(lambda operation, _body: kept.append(operation))
    monkeypatch.setattr(threading, "Thread", SlowToStart)
    putting = real(target=late.put, args=("one", b"{}", lambda: None))
    putting.start()
    assert at_it.wait(60)
    failed: list[BaseException] = []

    def close() -> None:
        try:
            late.close()
        except BaseException as exc:
            failed.append(exc)

    closing = real(target=close)
    closing.start()
    closing.join(0.2)
    go_on.set()
    closing.join(60)
    putting.join(60)
    assert failed == []
