"""Verify: the server is asked whether an entry is true, and the host is set right if it is not."""

from collections.abc import Callable
from typing import Any

import pytest

from backend.dms.client import DMSClient
from tests.fixtures.dms_responder import SUCCESS, mount_request

Start = Callable[..., Any]


@pytest.fixture
def pair(broker_url: str, start_responder: Start, start_client: Start) -> tuple[DMSClient, Any]:
    return start_client(broker_url), start_responder(broker_url)


def _says(server: Any, words: str) -> None:
    server.reply = {**SUCCESS, "success_msg": words}


def test_ledger_and_host_agree(pair: tuple[DMSClient, Any]):
    client, server = pair
    client.mount(mount_request())
    _says(server, "Already mounted at /var/lib/x")
    found = client.verify(mount_request())
    assert (found["verdict"], found["outcome"], server.actions[-1]) == (
        "agreed",
        "replied",
        "mount",
    )
    _says(server, "Target unmounted successfully from /var/lib/x")
    client.unmount(mount_request())
    _says(server, "Target not mounted at /var/lib/x")
    found = client.verify(mount_request())
    assert (found["verdict"], server.actions[-1]) == ("agreed", "unmount")
    assert client.get_active_mounts() == []


def test_a_host_that_lost_its_mount_is_set_right(pair: tuple[DMSClient, Any]):
    client, server = pair
    client.mount(mount_request())
    server.mounted.clear()  # it was restarted
    _says(server, "S3 target mounted successfully at /var/lib/x")
    found = client.verify(mount_request())
    assert found["verdict"] == "host_corrected"
    assert "had lost the mount" in found["finding"]
    assert server.mounted == {"target-1"}
    assert [e.jobid for e in client.get_active_mounts()] == [1]


def test_a_mount_that_others_hold_is_never_unmounted(pair: tuple[DMSClient, Any]):
    client, server = pair
    client.mount(mount_request(jobid=1))
    client.mount(mount_request(jobid=2))
    client.unmount(mount_request(jobid=1))
    found = client.verify(mount_request(jobid=1))
    assert (found["verdict"], found["outcome"]) == ("unsettled", "not_delivered")
    assert "mounted for job 2" in found["finding"]
    assert server.actions == ["mount"]


def test_a_refusal_proves_nothing_and_changes_nothing(pair: tuple[DMSClient, Any]):
    client, server = pair
    client.mount(mount_request())
    server.mode = "refuse"
    found = client.verify(mount_request())
    assert (found["verdict"], found["outcome"]) == ("unsettled", "replied")
    assert "permission denied" in found["finding"]
    assert [e.jobid for e in client.get_active_mounts()] == [1]
