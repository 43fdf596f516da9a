"""Mounting, sharing, unmounting; the same on both transports."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.dms.client import (
    DMSClient,
    RequestTimeoutException,
    RequestValidationException,
)
from tests.fixtures.dms_responder import mount_request, silent

Start = Callable[..., Any]


def _mounted(client: DMSClient) -> list[tuple[int, str, str]]:
    return [(e.jobid, e.backup_target_id, e.host) for e in client.get_active_mounts()]


def _until_waiting(client: DMSClient, count: int) -> None:
    until = time.monotonic() + 60
    while client.transport.queue_state("compute-01").depth != count:
        assert time.monotonic() < until
        time.sleep(0.01)


class TestMount:
    def test_a_confirmed_mount_is_in_the_ledger(
        self, broker_url: str, start_responder: Start, start_client: Start
    ):
        server, client = start_responder(broker_url), start_client(broker_url)
        response = client.mount(mount_request())
        assert response["status"] == "success"
        assert response["success_msg"] == "done"
        assert response["error_msg"] is None
        assert response["outcome"] == "replied"
        assert _mounted(client) == [(1, "target-1", "compute-01")]
        assert server.mounted == {"target-1"}

    def test_the_wire_carries_both_job_ids_and_the_secrets(
        self, broker_url: str, start_responder: Start, start_client: Start
    ):
        server, client = start_responder(broker_url), start_client(broker_url)
        request = mount_request(jobid=42)
        client.mount(request)
        sent = server.requests[0]
        assert sent["job"]["jobid"] == sent["jobid"] == 42
        assert sent["action"] == "mount"
        assert sent["keystone_token"] == request["keystone_token"]
        assert sent["backup_target"]["secret_ref"] == request["backup_target"]["secret_ref"]
        assert "jobid" not in request, "the caller's dict is not touched"

    def test_a_refusal_leaves_the_ledger_empty(
        self, broker_url: str, start_responder: Start, start_client: Start
    ):
        server, client = start_responder(broker_url), start_client(broker_url)
        server.mode = "refuse"
        response = client.mount(mount_request())
        assert response["status"] == "error"
        assert "permission denied" in response["error_msg"]
        assert response["outcome"] == "replied"
        assert _mounted(client) == []

    def test_secrets_that_a_server_quotes_are_masked(
        self, broker_url: str, start_responder: Start, start_client: Start
    ):
        server, client = start_responder(broker_url), start_client(broker_url)
        server.mode = "refuse"
        request = mount_request()
        server.message = (
            f"barbican refused {request['keystone_token']} for "
            f"{request['backup_target']['secret_ref']}"
        )
        response = client.mount(request)
        operation = client.operations.get(response["operation_id"])
        for shown in (response["error_msg"], operation.reply, operation.request):
            assert request["keystone_token"] not in shown
            assert "0f0f-uuid" not in shown

    def test_a_second_job_shares_the_mount_without_a_message(
        self, broker_url: str, start_responder: Start, start_client: Start
    ):
        server, client = start_responder(broker_url), start_client(broker_url)
        client.mount(mount_request(jobid=1))
        response = client.mount(mount_request(jobid=2))
        assert (response["status"], response["outcome"]) == ("success", "shared")
        assert "mounted for 1 other job;" in response["success_msg"]
        assert len(server.requests) == 1
        assert [job for job, _, _ in _mounted(client)] == [1, 2]

    def test_the_same_job_twice_is_one_entry(
        self, broker_url: str, start_responder: Start, start_client: Start
    ):
        server, client = start_responder(broker_url), start_client(broker_url)
        client.mount(mount_request())
        response = client.mount(mount_request())
        assert (response["status"], response["outcome"]) == ("success", "shared")
        assert len(server.requests) == 1
        assert len(_mounted(client)) == 1

    def test_another_host_is_another_mount(
        self, broker_url: str, start_responder: Start, start_client: Start
    ):
        first, second = start_responder(broker_url), start_responder(broker_url, "compute-02")
        client = start_client(broker_url)
        client.mount(mount_request(jobid=1))
        response = client.mount(mount_request(jobid=2, host="compute-02"))
        assert response["outcome"] == "replied"
        assert (len(first.requests), len(second.requests)) == (1, 1)


class TestUnmount:
    def test_only_the_last_job_sends_a_message(
        self, broker_url: str, start_responder: Start, start_client: Start
    ):
        server, client = start_responder(broker_url), start_client(broker_url)
        client.mount(mount_request(jobid=1))
        client.mount(mount_request(jobid=2))
        first = client.unmount(mount_request(jobid=1))
        assert (first["status"], first["outcome"]) == ("success", "shared")
        assert server.mounted == {"target-1"}
        last = client.unmount(mount_request(jobid=2))
        assert (last["status"], last["outcome"]) == ("success", "replied")
        assert server.actions == ["mount", "unmount"]
        assert server.mounted == set()
        assert _mounted(client) == []

    def test_a_refused_unmount_stays_mounted(
        self, broker_url: str, start_responder: Start, start_client: Start
    ):
        server, client = start_responder(broker_url), start_client(broker_url)
        client.mount(mount_request())
        server.mode = "refuse"
        assert client.unmount(mount_request())["status"] == "error"
        assert len(_mounted(client)) == 1

    def test_what_is_not_mounted_is_an_error_and_sends_nothing(
        self, broker_url: str, start_responder: Start, start_client: Start
    ):
        server, client = start_responder(broker_url), start_client(broker_url)
        response = client.unmount(mount_request())
        assert response["status"] == "error"
        assert "no active mount" in response["error_msg"]
        assert server.requests == []


class TestNobodyThere:
    def test_no_queue_is_not_delivered(self, broker_url: str, start_client: Start):
        client = start_client(broker_url)
        response = client.mount(mount_request(host="compute-99"))
        assert (response["status"], response["outcome"]) == ("error", "not_delivered")
        assert "no queue dms.compute-99" in response["error_msg"]
        assert _mounted(client) == []

    def test_a_queue_without_a_consumer_is_not_delivered(
        self, broker_url: str, start_responder: Start, start_client: Start
    ):
        server, client = start_responder(broker_url), start_client(broker_url)
        server.stop()
        response = client.mount(mount_request())
        assert (response["status"], response["outcome"]) == ("error", "not_delivered")
        assert "dms.compute-01" in response["error_msg"]
        assert server.requests == []

    def test_looking_creates_no_queue(self, broker_url: str, start_client: Start):
        client = start_client(broker_url)
        client.mount(mount_request(host="compute-99"))
        assert not client.transport.queue_state("compute-99").exists

    def test_after_an_absent_host_the_others_work(
        self, broker_url: str, start_responder: Start, start_client: Start
    ):
        start_responder(broker_url)
        client = start_client(broker_url)
        client.mount(mount_request(host="compute-99"))
        assert client.mount(mount_request())["status"] == "success"


class TestTimeout:
    def test_no_answer_in_time_is_unknown_and_not_mounted(
        self, broker_url: str, start_responder: Start, start_client: Start
    ):
        server, client = start_responder(broker_url), start_client(broker_url, 60)
        with silent(client, server), pytest.raises(RequestTimeoutException) as caught:
            client.mount(mount_request())
        assert caught.value.outcome == "unknown"
        assert caught.value.response["outcome"] == "unknown"
        assert _mounted(client) == []
        assert client.operations.get(caught.value.operation_id).state == "unknown"

    def test_what_waited_before_it_is_said(
        self, broker_url: str, start_responder: Start, start_client: Start
    ):
        """A server takes one request at a time: whoever timed out may have waited for others."""
        server, client = start_responder(broker_url), start_client(broker_url, 60)
        said = []
        with silent(client, server):
            for waiting, target in enumerate(("in work", "first", "second")):
                if waiting:
                    client._await = lambda *_, n=waiting: _until_waiting(client, n)
                with pytest.raises(RequestTimeoutException) as caught:
                    client.mount(mount_request(target=target))
                said.append((caught.value.message, caught.value.operation_id))
        assert ["before this one" in message for message, _ in said] == [False, False, True]
        assert "within 60 s (1 request waited before this one)" in said[2][0]
        assert "1 request waited" in client.operations.get(said[2][1]).note

    def test_a_late_reply_is_kept_with_its_operation_and_applied_by_a_recheck(
        self, broker_url: str, start_responder: Start, start_client: Start
    ):
        server, client = start_responder(broker_url), start_client(broker_url, 60)
        with silent(client, server), pytest.raises(RequestTimeoutException) as caught:
            client.mount(mount_request())
        operation = _wait_for_reply(client, caught.value.operation_id)
        assert operation.state == "unknown", "a person decides when to re-check"
        assert _mounted(client) == []
        response = client.recheck(caught.value.operation_id)
        assert (response["status"], response["outcome"]) == ("success", "replied")
        assert _mounted(client) == [(1, "target-1", "compute-01")]

    def test_a_late_reply_is_not_given_to_the_next_request(
        self, broker_url: str, start_responder: Start, start_client: Start
    ):
        server, client = start_responder(broker_url), start_client(broker_url, 60)
        with silent(client, server), pytest.raises(RequestTimeoutException):
            client.mount(mount_request(target="late"))
        server.reply = {"status": "success", "error_msg": None, "success_msg": "second"}
        assert client.mount(mount_request(target="next"))["success_msg"] == "second"

    def test_after_an_unknown_mount_the_next_job_asks_the_server_again(
        self, broker_url: str, start_responder: Start, start_client: Start
    ):
        server, client = start_responder(broker_url), start_client(broker_url, 60)
        with silent(client, server), pytest.raises(RequestTimeoutException) as caught:
            client.mount(mount_request(jobid=1))
        _wait_for_reply(client, caught.value.operation_id)
        assert client.mount(mount_request(jobid=2))["outcome"] == "replied"
        assert server.actions == ["mount", "mount"]
        assert client.operations.get(caught.value.operation_id).state == "settled"

    def test_an_unknown_unmount_makes_the_next_mount_a_real_one(
        self, broker_url: str, start_responder: Start, start_client: Start
    ):
        """The ledger still says mounted, the server may have unmounted: sharing would be a lie."""
        server, client = start_responder(broker_url), start_client(broker_url, 60)
        client.mount(mount_request(jobid=1))
        with silent(client, server), pytest.raises(RequestTimeoutException) as caught:
            client.unmount(mount_request(jobid=1))
        _wait_for_reply(client, caught.value.operation_id)
        assert client.mount(mount_request(jobid=2))["outcome"] == "replied"
        assert server.mounted == {"target-1"}

    def test_a_recheck_with_the_request_asks_again(
        self, broker_url: str, start_responder: Start, start_client: Start
    ):
        server, client = start_responder(broker_url), start_client(broker_url, 60)
        server.mode = "garbage"
        response = client.mount(mount_request())
        server.mode = "good"
        assert client.recheck(response["operation_id"])["outcome"] == "unknown"
        again = client.recheck(response["operation_id"], mount_request())
        assert (again["status"], again["outcome"]) == ("success", "replied")
        assert len(_mounted(client)) == 1

    def test_a_recheck_with_another_request_is_refused(
        self, broker_url: str, start_responder: Start, start_client: Start
    ):
        server, client = start_responder(broker_url), start_client(broker_url)
        server.mode = "garbage"
        response = client.mount(mount_request())
        with pytest.raises(RequestValidationException, match="is not the one"):
            client.recheck(response["operation_id"], mount_request(jobid=77))


class TestBadAnswers:
    @pytest.mark.parametrize("mode", ["garbage", "lacking"])
    def test_an_unreadable_answer_proves_nothing(
        self, broker_url: str, start_responder: Start, start_client: Start, mode: str
    ):
        server, client = start_responder(broker_url), start_client(broker_url)
        server.mode = mode
        response = client.mount(mount_request())
        assert (response["status"], response["outcome"]) == ("error", "unknown")
        assert _mounted(client) == []
        assert client.operations.get(response["operation_id"]).state == "unknown"

    def test_a_second_answer_changes_nothing_and_is_counted(
        self, broker_url: str, start_responder: Start, start_client: Start
    ):
        server, client = start_responder(broker_url), start_client(broker_url)
        server.mode = "twice"
        first = client.mount(mount_request(jobid=1))
        assert client.mount(mount_request(jobid=2, target="target-2"))["status"] == "success"
        assert len(_mounted(client)) == 2
        _until(lambda: client.operations.get(first["operation_id"]).replies == 2)

    def test_a_server_that_dies_after_the_mount_is_asked_again_by_the_broker(
        self, broker_url: str, start_responder: Start, start_client: Start
    ):
        server, client = start_responder(broker_url), start_client(broker_url)
        server.mode = "dies"
        assert client.mount(mount_request())["status"] == "success"
        assert server.actions == ["mount", "mount"]
        assert len(_mounted(client)) == 1


def _wait_for_reply(client: DMSClient, operation_id: str) -> Any:
    _until(lambda: client.operations.get(operation_id).reply is not None)
    return client.operations.get(operation_id)


def _until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("method", "arguments", "said"),
    [
        ("get_mount_status", ("1", "target-1"), "job_id must be an integer, not str"),
        ("get_mount_status", (1, None), "backup_target_id must be text, not NoneType"),
        ("soft_delete_entry", (True, "t"), "job_id must be an integer, not bool"),
        ("get_active_mounts", (5,), "host must be text, not int"),
        ("get_ledger_history", ("t", -1), "limit must be 0 or more"),
        ("get_ledger_history", ("t", "5"), "limit must be an integer, not str"),
    ],
)
def test_what_can_never_be_found_is_refused(
    tmp_path: Path, method: str, arguments: tuple[object, ...], said: str
) -> None:
    with (
        DMSClient(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as client,
        pytest.raises(RequestValidationException, match=said),
    ):
        getattr(client, method)(*arguments)
