"""Replies that are hard to keep: half characters, long ones, late ones; none gets lost."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update

from backend.dms import schema
from backend.dms.client import DatabaseException, DMSClient, RequestTimeoutException
from tests.fixtures.dms_responder import Server, mount_request, silent

Start = Callable[..., Any]


@pytest.fixture
def server(broker_url: str, start_responder: Start) -> Server:
    made: Server = start_responder(broker_url)
    return made


def _jobs(client: DMSClient) -> list[int]:
    return [entry.jobid for entry in client.get_active_mounts()]


def _unknown(work: Callable[[], Any]) -> str:
    with pytest.raises(RequestTimeoutException) as caught:
        work()
    return str(caught.value.operation_id)


def _until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)


class TestCharacters:
    @pytest.mark.parametrize("database", ["sqlite", "mariadb", "postgresql"])
    @pytest.mark.parametrize("broken", ["\udce9", "\0"])
    def test_a_mount_whose_message_holds_what_no_database_takes_is_in_the_ledger(
        self,
        database: str,
        broken: str,
        start_client: Start,
        start_responder: Start,
        request: pytest.FixtureRequest,
    ):
        fixtures = {"mariadb": "mariadb_url", "postgresql": "postgres_url"}
        url = request.getfixturevalue(fixtures[database]) if database in fixtures else ""
        broker = f"memory://{time.monotonic_ns()}"
        server, client = start_responder(broker), start_client(broker, db_url=url)
        server.reply = {
            "status": "success", "error_msg": None, "success_msg": f"mounted /mnt/caf{broken}",
        }  # fmt: skip
        response = client.mount(mount_request())
        assert response["success_msg"] == "mounted /mnt/caf\ufffd"
        assert _jobs(client) == [1]
        assert client.recheck(response["operation_id"]) == response

    def test_an_unreadable_answer_with_such_characters_is_unknown(
        self, start_client: Start, start_responder: Start, postgres_url: str
    ):
        broker = f"memory://{time.monotonic_ns()}"
        server, client = start_responder(broker), start_client(broker, db_url=postgres_url)
        server.handle = lambda _body: [b"\0 \xff no answer"]
        response = client.mount(mount_request())
        assert response["outcome"] == "unknown"
        assert client.operations.get(response["operation_id"]).state == "unknown"

    def test_a_lookup_with_a_value_that_no_column_holds_is_an_error_of_the_library(
        self, start_client: Start
    ):
        client = start_client("memory://nobody")
        for look in (
            lambda: client.get_mount_status(2**70, "target-1"),
            lambda: client.get_ledger_history("half a \ud800"),
            lambda: client.soft_delete_entry(1, "half a \ud800"),
        ):
            with pytest.raises(DatabaseException, match="does not fit") as caught:
                look()
            assert caught.value.unusable

    def test_an_answer_that_cannot_be_written_leaves_the_outcome_unknown(
        self, start_client: Start, start_responder: Start, monkeypatch: pytest.MonkeyPatch
    ):
        broker = f"memory://{time.monotonic_ns()}"
        server, client = start_responder(broker), start_client(broker)
        server.mode = "garbage"
        _ledger_away(client, monkeypatch, "finish")
        with pytest.raises(DatabaseException) as caught:
            client.mount(mount_request())
        assert caught.value.outcome == "unknown"
        assert caught.value.operation_id


class TestLongMessages:
    def test_a_refusal_in_many_words_stays_a_refusal(self, server: Server, start_client: Start,
                                                     broker_url: str):  # fmt: skip
        client = start_client(broker_url)
        server.mode, server.message = "refuse", "e" * 20_000
        response = client.mount(mount_request())
        assert (response["status"], response["outcome"]) == ("error", "replied")
        assert len(response["error_msg"]) == 4_000
        assert client.recheck(response["operation_id"]) == response

    def test_a_record_whose_reply_was_cut_still_says_what_its_state_says(
        self, server: Server, start_client: Start, broker_url: str
    ):
        client = start_client(broker_url)
        server.mode = "refuse"
        response = client.mount(mount_request())
        o = schema.operation
        client.ledger.write(lambda c: c.execute(update(o).values(reply='{"status": "err')))
        told = client.recheck(response["operation_id"])
        assert (told["status"], told["outcome"]) == ("error", "replied")

    def test_a_late_reply_in_many_words_is_applied(
        self, server: Server, start_client: Start, broker_url: str
    ):
        client = start_client(broker_url, 60)
        server.reply = {"status": "success", "error_msg": None, "success_msg": "x" * 9_000}
        with silent(client, server):
            operation = _unknown(lambda: client.mount(mount_request()))
        _until(lambda: client.operations.get(operation).reply is not None)
        assert client.recheck(operation)["outcome"] == "replied"
        assert _jobs(client) == [1]

    def test_a_secret_at_the_cut_is_masked_first(
        self, server: Server, start_client: Start, broker_url: str
    ):
        client, request = start_client(broker_url), mount_request()
        server.mode = "refuse"
        server.message = "e" * 3_990 + request["keystone_token"] + "e" * 100
        response = client.mount(request)
        assert request["keystone_token"][:6] not in response["error_msg"]
        assert (
            request["keystone_token"][:6]
            not in client.recheck(response["operation_id"])["error_msg"]
        )


class TestOvertaken:
    def test_an_answer_that_a_newer_operation_overtook_is_not_called_absent(
        self, server: Server, start_client: Start, broker_url: str
    ):
        client = start_client(broker_url, 60)
        client.mount(mount_request())
        with silent(client, server):
            operation = _unknown(lambda: client.unmount(mount_request()))
        _until(lambda: client.operations.get(operation).reply is not None)
        server.mode = "refuse"
        newer = client.mount(mount_request())
        told = client.recheck(operation)
        assert (told["status"], told["outcome"]) == ("error", "unknown")
        assert "An answer came late (success)" in told["error_msg"]
        assert newer["operation_id"] in told["error_msg"]


def _ledger_away(client: DMSClient, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise DatabaseException("The ledger is away.")

    monkeypatch.setattr(client.operations, step, away)
