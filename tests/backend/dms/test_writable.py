"""What the ledger would refuse after the server has acted is refused before anything is sent."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from backend.dms.client import DatabaseException, DMSClient
from backend.dms.ledger import Ledger
from tests.fixtures import server_ledger
from tests.fixtures.dms_responder import mount_request
from tests.fixtures.mariadb import MariaDBServer

TABLE = "backup_target_mount_ledger"
Start = Callable[..., Any]


@pytest.fixture(params=server_ledger.KINDS)
def deployed(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return server_ledger.create(server_ledger.empty_database(request.param, request, tmp_path))


def _broker(url: str) -> str:
    return f"memory://{url[-12:].replace('/', '-')}"


def _rebuilt(url: str, *columns: str) -> None:
    """SQLite adds no column that is NOT NULL without a default, so the table is made anew."""
    flag = "BOOLEAN" if url.startswith("postgresql") else "TINYINT(1)"
    moment = "TIMESTAMP" if url.startswith("postgresql") else "DATETIME"
    made = server_ledger.CREATE.format(moment=moment, flag=flag)
    more = "".join(f", {column}" for column in columns)
    server_ledger.run(
        url, f"DROP TABLE {TABLE}", made.replace(f"mounted {flag},", f"mounted {flag}{more},")
    )


def test_a_column_of_its_own_that_must_have_a_value(deployed: str, start_responder: Start) -> None:
    _rebuilt(deployed, "tenant VARCHAR(20) NOT NULL")
    server = start_responder(_broker(deployed))
    with DMSClient(deployed, _broker(deployed), 10) as client:
        for _ in range(2):
            response = client.mount(mount_request(jobid=401))
            assert response["outcome"] == "not_delivered"
            assert "requires a value in a column of its own (tenant)" in response["error_msg"]
            assert response["error_msg"].endswith("; nothing was sent.")
        assert server.actions == []
        server_ledger.run(
            deployed,
            f"INSERT INTO {TABLE} (backup_target_id, jobid, host, mounted, tenant) VALUES "
            f"('target-1', 401, 'compute-01', {'true' if 'postgres' in deployed else 1}, 'a')",
        )
        assert client.unmount(mount_request(jobid=401))["outcome"] == "replied"


def test_columns_of_its_own_that_need_nothing(deployed: str, start_responder: Start) -> None:
    generated = "GENERATED ALWAYS AS (jobid + 1) STORED"
    _rebuilt(
        deployed,
        "tenant VARCHAR(20) NOT NULL DEFAULT 'a'",
        "note VARCHAR(20)",
        f"after_it INT {generated}",
    )
    start_responder(_broker(deployed))
    with DMSClient(deployed, _broker(deployed), 10) as client:
        assert client.mount(mount_request(jobid=401))["outcome"] == "replied"


def test_a_domain_that_gives_the_value(
    request: pytest.FixtureRequest, tmp_path: Path, start_responder: Start
) -> None:
    url = server_ledger.create(server_ledger.empty_database("postgresql", request, tmp_path))
    server_ledger.run(url, "CREATE DOMAIN tenant_name AS TEXT DEFAULT 'a'")
    _rebuilt(url, "tenant tenant_name NOT NULL")
    start_responder(_broker(url))
    with DMSClient(url, _broker(url), 10) as client:
        assert client.mount(mount_request(jobid=401))["outcome"] == "replied"


@pytest.mark.parametrize("kind", ["mariadb", "postgresql"])
def test_a_trigger_that_gives_the_value(
    request: pytest.FixtureRequest, tmp_path: Path, start_responder: Start, kind: str
) -> None:
    url = server_ledger.create(server_ledger.empty_database(kind, request, tmp_path))
    _rebuilt(url, "tenant VARCHAR(20) NOT NULL")
    if kind == "mariadb":
        given = f"CREATE TRIGGER fills BEFORE INSERT ON {TABLE} FOR EACH ROW SET NEW.tenant = 'a'"
        server_ledger.run(url, given)
    else:
        server_ledger.run(
            url,
            "CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN NEW.tenant := 'a'; RETURN NEW; END $$",
            f"CREATE TRIGGER fills BEFORE INSERT ON {TABLE} FOR EACH ROW EXECUTE FUNCTION fill()",
        )
    start_responder(_broker(url))
    with DMSClient(url, _broker(url), 10) as client:
        assert client.mount(mount_request(jobid=401))["outcome"] == "replied"


@pytest.mark.parametrize("granted", ["SELECT, INSERT", "SELECT, UPDATE"])
def test_a_user_without_the_right(
    mariadb_server: MariaDBServer, mariadb_url: str, start_responder: Start, granted: str
) -> None:
    ledger = Ledger(mariadb_url)
    ledger.ensure_operations()
    ledger.close()
    parsed, name = make_url(mariadb_url), f"half_{granted[-6:].lower()}"
    with mariadb_server.connect() as admin, admin.cursor() as cursor:
        cursor.execute(f"CREATE OR REPLACE USER '{name}'@'%' IDENTIFIED BY 'half-pw'")
        cursor.execute(f"GRANT {granted} ON `{parsed.database}`.{TABLE} TO '{name}'@'%'")
        cursor.execute(f"GRANT ALL ON `{parsed.database}`.dms_operation TO '{name}'@'%'")
    half = parsed.set(username=name, password="half-pw").render_as_string(hide_password=False)
    server = start_responder(_broker(mariadb_url))
    with (
        DMSClient(half, _broker(mariadb_url), 10) as client,
        pytest.raises(DatabaseException, match="lacks a right; SELECT, INSERT and UPDATE") as said,
    ):
        client.mount(mount_request(jobid=401))
    assert said.value.response["outcome"] == "not_delivered"
    assert server.actions == []
