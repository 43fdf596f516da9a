"""The ledger of a deployed DMS server, which has no `id`, is a ledger; one row per mount's key."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from backend.core import clock
from backend.dms.client import DatabaseException, DMSClient
from backend.dms.ledger import Ledger
from tests.fixtures import server_ledger
from tests.fixtures.dms_responder import mount_request

TABLE = "backup_target_mount_ledger"


@pytest.fixture(params=server_ledger.KINDS)
def deployed(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return server_ledger.create(server_ledger.empty_database(request.param, request, tmp_path))


@pytest.fixture(params=["the guide", "a DMS server"])
def any_shape(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    url = server_ledger.empty_database("mariadb", request, tmp_path)
    if request.param == "the guide":
        Ledger(url).close()
        return url
    return server_ledger.create(url)


def _rows(url: str) -> list[tuple[Any, ...]]:
    query = f"SELECT jobid, mounted, deleted, updated_at FROM {TABLE} ORDER BY jobid"
    return [tuple(row) for row in server_ledger.run(url, query)]


def share(client: DMSClient) -> None:
    """Two jobs mount and unmount one target, and the first comes back."""
    steps = [(client.mount, 401), (client.mount, 402), (client.mount, 401)]
    steps += [(client.unmount, 401), (client.unmount, 402), (client.mount, 401)]
    outcomes = [step(mount_request(jobid=job))["outcome"] for step, job in steps]
    assert outcomes == ["replied", "shared", "shared", "shared", "replied", "replied"]


class TestADeployedLedger:
    def test_is_known_and_used_in_full(self, deployed: str, start_responder: Callable[..., Any]):
        broker = f"memory://{deployed[-12:].replace('/', '-')}"
        server = start_responder(broker)
        with DMSClient(deployed, broker, 60) as client:
            assert client.ledger.shape.name == "ledger of a DMS server"
            assert client.mount(mount_request(jobid=401))["outcome"] == "replied"
            assert client.mount(mount_request(jobid=402))["outcome"] == "shared"
            assert client.unmount(mount_request(jobid=401))["outcome"] == "shared"
            status = client.get_mount_status(401, "target-1")
            assert status is not None
            assert (status.id, status.mounted, status.deleted) == (None, False, False)
            assert [e.jobid for e in client.get_active_mounts(host="compute-01")] == [402]
            assert client.soft_delete_entry(402, "target-1") is False
            assert client.unmount(mount_request(jobid=402))["outcome"] == "replied"
            assert client.soft_delete_entry(402, "target-1") is True
            assert {e.jobid for e in client.get_ledger_history("target-1")} == {401, 402}
        assert server.actions == ["mount", "unmount"]

    def test_columns_of_other_types_hold_the_same(
        self, any_shape: str, start_responder: Callable[..., Any]
    ):
        """BIT for the flags and bytes for the names: others made the table."""
        server_ledger.run(
            any_shape,
            f"ALTER TABLE {TABLE} MODIFY mounted BIT(1) NULL, MODIFY deleted BIT(1) NULL,"
            " MODIFY host VARBINARY(255) NOT NULL",
        )
        broker = f"memory://{any_shape[-12:]}"
        server = start_responder(broker)
        with DMSClient(any_shape, broker, 60) as client:
            share(client)
        assert server.actions == ["mount", "unmount", "mount"]

    @pytest.mark.parametrize("kind", ["VARCHAR(20)", "DECIMAL(12, 2)", "DOUBLE", "BIGINT UNSIGNED"])
    def test_a_jobs_number_in_a_column_of_another_type_is_its_number(
        self, any_shape: str, start_responder: Callable[..., Any], kind: str
    ):
        """'401' and 401.00 were nobody's: a mount could be made, shared and never unmounted."""
        server_ledger.run(any_shape, f"ALTER TABLE {TABLE} MODIFY jobid {kind} NOT NULL")
        broker = f"memory://{any_shape[-12:]}"
        server = start_responder(broker)
        with DMSClient(any_shape, broker, 60) as client:
            share(client)
            assert {(e.jobid, e.mounted) for e in client.get_ledger_history("target-1")} == {
                (401, True),
                (402, False),
            }
        assert server.actions == ["mount", "unmount", "mount"]

    def test_rows_of_the_deployed_client_are_read(self, deployed: str):
        """It writes deleted_at at once and leaves updated_at NULL; `deleted` may be NULL too."""
        now = clock.now().replace(tzinfo=None, microsecond=0)
        server_ledger.run(
            deployed,
            f"INSERT INTO {TABLE} (created_at, updated_at, deleted_at, deleted, version, "
            f"backup_target_id, jobid, host, mounted) VALUES ('{now}', NULL, '{now}', NULL, '1.0', "
            f"'t', 7, 'h', {'true' if deployed.startswith('postgresql') else '1'})",
        )
        with DMSClient(deployed) as client:
            [entry] = client.get_active_mounts()
            assert (entry.jobid, entry.created_at, entry.updated_at) == (7, now, None)
            assert now - entry.created_at < timedelta(hours=24), "as the guide's scripts reckon"

    def test_a_key_other_than_the_servers_is_no_ledger(self, tmp_path: Path):
        url = f"sqlite:///{tmp_path / 'odd.sqlite'}"
        made = server_ledger.CREATE.format(moment="DATETIME", flag="TINYINT(1)")
        server_ledger.run(url, made.replace("(jobid, backup_target_id, host)", "(jobid)"))
        with pytest.raises(DatabaseException, match="lacks the columns id"):
            DMSClient(url)


class TestOneRow:
    """REALITY: the deployed client's update expects to hit exactly one row."""

    def test_a_later_mount_revives_the_row(
        self, any_shape: str, start_responder: Callable[..., Any]
    ):
        broker = f"memory://{any_shape[-12:]}"
        start_responder(broker)
        with DMSClient(any_shape, broker, 60) as client:
            for action in (client.mount, client.unmount, client.mount):
                assert action(mount_request(jobid=401))["status"] == "success"
            [(jobid, mounted, deleted, _updated)] = _rows(any_shape)
            assert (jobid, mounted, deleted) == (401, 1, 0)
            client.unmount(mount_request(jobid=401))
            client.soft_delete_entry(401, "target-1")
            client.mount(mount_request(jobid=401))
            [(jobid, mounted, deleted, _updated)] = _rows(any_shape)
            assert (jobid, mounted, deleted) == (401, 1, 0), "also one that was soft-deleted"
            operations = server_ledger.run(any_shape, "SELECT action, state FROM dms_operation")
            assert len(operations) == 5, "what happened one by one is in dms_operation"

    def test_rows_that_earlier_versions_doubled_are_one(
        self, mariadb_url: str, start_responder: Callable[..., Any]
    ):
        Ledger(mariadb_url).close()
        row = "('target-1', 401, 'compute-01', {})"
        rows = ", ".join(row.format(mounted) for mounted in (0, 1, 1, 0))
        server_ledger.run(
            mariadb_url,
            f"INSERT INTO {TABLE} (backup_target_id, jobid, host, mounted) VALUES {rows}",
        )
        broker = f"memory://{mariadb_url[-12:]}"
        server = start_responder(broker)
        with DMSClient(mariadb_url, broker, 60) as client:
            assert len(client.get_active_mounts()) == 1
            [entry] = client.get_ledger_history("target-1")
            assert entry.mounted, "of doubled rows the mounted one speaks"
            assert client.unmount(mount_request(jobid=401))["outcome"] == "replied"
            assert [row[1] for row in _rows(mariadb_url)] == [0, 0, 0, 0]
            assert client.mount(mount_request(jobid=401))["outcome"] == "replied"
            assert sum(row[1] for row in _rows(mariadb_url)) == 1
            assert len(_rows(mariadb_url)) == 4
        assert server.actions == ["unmount", "mount"]
