"""Names that a database takes for the same, and entries that contradict themselves."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import insert

from backend.dms import schema
from backend.dms.client import DMSClient, RequestTimeoutException
from tests.fixtures.dms_responder import MemoryResponder, mount_request, silent

Start = Callable[..., Any]


@pytest.fixture
def broker() -> str:
    return f"memory://{uuid.uuid4().hex}"


@pytest.fixture
def server(broker: str, start_responder: Start) -> MemoryResponder:
    made: MemoryResponder = start_responder(broker)
    return made


@pytest.fixture
def mariadb_client(
    broker: str, server: MemoryResponder, mariadb_url: str, start_client: Start
) -> DMSClient:
    made: DMSClient = start_client(broker, db_url=mariadb_url)
    return made


def _mounted(client: DMSClient) -> list[tuple[int, str]]:
    return [(entry.jobid, entry.backup_target_id) for entry in client.get_active_mounts()]


def _add(client: DMSClient, **values: Any) -> None:
    """An entry of another tool's making."""
    entry = {"jobid": 2, "backup_target_id": "target-e", "host": "compute-01", "mounted": True}
    client.ledger.write(lambda c: c.execute(insert(schema.ledger).values({**entry, **values})))


class TestSpellings:
    @pytest.mark.parametrize("target", ["target-e", "target-é", "Target-E "])
    def test_what_was_never_mounted_is_not_shared_with_what_looks_like_it(
        self, mariadb_client: DMSClient, server: MemoryResponder, target: str
    ):
        mariadb_client.mount(mount_request(jobid=1, target="Target-E"))
        response = mariadb_client.mount(mount_request(jobid=2, target=target))
        assert (response["status"], response["outcome"]) == ("error", "not_delivered")
        assert "'Target-E' mounted for job 1 on compute-01" in response["error_msg"]
        assert repr(target) in response["error_msg"]
        assert _mounted(mariadb_client) == [(1, "Target-E")]
        assert server.mounted == {"Target-E"}

    def test_a_host_in_another_case_is_another_queue(
        self, mariadb_client: DMSClient, broker: str, start_responder: Start
    ):
        start_responder(broker, "Compute-01")
        mariadb_client.mount(mount_request(jobid=1))
        response = mariadb_client.mount(mount_request(jobid=2, host="Compute-01"))
        assert response["outcome"] == "not_delivered"
        assert "'compute-01'" in response["error_msg"]

    def test_an_unmount_in_another_spelling_leaves_the_mount_alone(
        self, mariadb_client: DMSClient, server: MemoryResponder
    ):
        mariadb_client.mount(mount_request(jobid=1, target="Target-E"))
        response = mariadb_client.unmount(mount_request(jobid=1, target="target-e"))
        assert (response["status"], response["outcome"]) == ("error", "not_delivered")
        assert "use the ledger's spelling" in response["error_msg"]
        assert server.actions == ["mount"]
        assert _mounted(mariadb_client) == [(1, "Target-E")]

    def test_another_tools_entry_in_another_spelling_keeps_the_mount(
        self, mariadb_client: DMSClient, server: MemoryResponder
    ):
        """It counts by collation, so that its job may well use the mount."""
        mariadb_client.mount(mount_request(jobid=1, target="Target-E"))
        _add(mariadb_client)
        first = mariadb_client.unmount(mount_request(jobid=1, target="Target-E"))
        assert (first["status"], first["outcome"]) == ("success", "shared")
        assert server.actions == ["mount"]
        assert _mounted(mariadb_client) == [(2, "target-e")]
        assert mariadb_client.unmount(mount_request(jobid=2, target="target-e"))["status"] == (
            "success"
        )
        assert _mounted(mariadb_client) == []

    def test_lookups_and_soft_deletes_mean_the_spelling_that_was_asked(
        self, mariadb_client: DMSClient
    ):
        _add(mariadb_client, mounted=False)
        assert mariadb_client.get_mount_status(2, "Target-E") is None
        assert mariadb_client.get_ledger_history("Target-E") == []
        assert mariadb_client.soft_delete_entry(2, "Target-E") is False
        assert mariadb_client.soft_delete_entry(2, "target-e") is True

    def test_an_unknown_outcome_is_not_settled_by_another_spelling(
        self,
        mariadb_client: DMSClient,
        mariadb_url: str,
        broker: str,
        server: MemoryResponder,
        start_client: Start,
    ):
        hasty = start_client(broker, db_url=mariadb_url)
        with silent(hasty, server), pytest.raises(RequestTimeoutException) as caught:
            hasty.mount(mount_request(jobid=1, target="Target-E"))
        response = mariadb_client.mount(mount_request(jobid=2, target="target-e"))
        assert response["outcome"] == "replied"
        operation = mariadb_client.operations.get(caught.value.operation_id)
        assert operation is not None
        assert operation.state == "unknown"

    def test_letters_beyond_ascii_are_mounted_and_unmounted(
        self, mariadb_client: DMSClient, server: MemoryResponder
    ):
        request = mount_request(target="ziel-é-😀")
        assert mariadb_client.mount(request)["outcome"] == "replied"
        assert mariadb_client.get_mount_status(1, "ziel-é-😀") is not None
        assert mariadb_client.unmount(request)["outcome"] == "replied"
        assert server.mounted == set()


class TestDeletedButMounted:
    def test_a_mount_on_a_deleted_entry_asks_the_server_and_writes_an_entry(
        self, broker: str, server: MemoryResponder, start_client: Start
    ):
        """The entry contradicts itself, so that it proves no mount."""
        client = start_client(broker)
        _add(client, jobid=1, backup_target_id="target-1", deleted=True)
        response = client.mount(mount_request())
        assert (response["status"], response["outcome"]) == ("success", "replied")
        assert server.mounted == {"target-1"}
        assert client.get_mount_status(1, "target-1") is not None
        assert _mounted(client) == [(1, "target-1")]

    def test_the_unmount_after_it_clears_both(
        self, broker: str, server: MemoryResponder, start_client: Start
    ):
        client = start_client(broker)
        _add(client, jobid=1, backup_target_id="target-1", deleted=True)
        client.mount(mount_request())
        assert client.unmount(mount_request())["outcome"] == "replied"
        assert not any(entry.mounted for entry in client.get_ledger_history("target-1"))
