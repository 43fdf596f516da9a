"""What a ledger refuses is told from what passes, and known before sending if it can be."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError

from backend.dms import database_errors
from backend.dms.client import DatabaseException, DMSClient
from backend.dms.ledger import Ledger
from tests.fixtures import server_ledger
from tests.fixtures.dms_responder import mount_request
from tests.fixtures.mariadb import MariaDBServer
from tests.fixtures.postgres import PostgresServer

TABLE = "backup_target_mount_ledger"


class _Numbered(Exception):
    pass


class _Stated(Exception):
    def __init__(self, state: str) -> None:
        super().__init__("said in the server's language")
        self.sqlstate = state


@pytest.mark.parametrize(
    ("original", "permanent", "words"),
    [
        (_Numbered(1452, "x"), True, "foreign key"),
        (_Numbered(1062, "x"), True, "unique key"),
        (_Numbered(1267, "x"), True, "character set"),
        (_Numbered(1205, "x"), False, "too long"),
        (_Numbered(1290, "x"), False, "read-only"),
        (_Numbered(1040, "x"), False, "no more connections"),
        (_Numbered(1047, "x"), False, "not ready"),
        (_Stated("23503"), True, "foreign key"),
        (_Stated("23505"), True, "unique key"),
        (_Stated("22P05"), True, "character set"),
        (_Stated("42883"), True, "has a type"),
        (_Stated("25006"), False, "read-only"),
        (_Stated("53300"), False, "no more connections"),
        (_Stated("55P03"), False, "too long"),
        (Exception("FOREIGN KEY constraint failed"), True, "foreign key"),
        (Exception("UNIQUE constraint failed: t.a"), True, "unique key"),
        (Exception("attempt to write a readonly database"), False, "read-only"),
    ],
    ids=str,
)
def test_errors_by_number(original: Exception, permanent: bool, words: str):
    kind = IntegrityError if permanent else OperationalError
    found = kind("INSERT", {}, original)
    said = database_errors.explained(found, "here")
    assert words in said.message
    assert said.permanent is permanent
    assert database_errors.is_passing(found) is not permanent


@pytest.fixture(params=server_ledger.KINDS)
def with_jobs(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A deployed ledger whose jobid refers to the backup application's jobs."""
    url = server_ledger.empty_database(request.param, request, tmp_path)
    moment = "TIMESTAMP" if request.param == "postgresql" else "DATETIME"
    flag = "BOOLEAN" if request.param == "postgresql" else "TINYINT(1)"
    table = server_ledger.CREATE.format(moment=moment, flag=flag)
    server_ledger.run(
        url,
        "CREATE TABLE jobs (jobid INT NOT NULL PRIMARY KEY)",
        "INSERT INTO jobs VALUES (401)",
        table.removesuffix(")") + ", FOREIGN KEY (jobid) REFERENCES jobs (jobid))",
    )
    return url


def test_a_job_that_is_not_there_is_refused_before_anything_is_sent(
    with_jobs: str, start_responder: Callable[..., Any]
):
    broker = f"memory://{with_jobs[-12:].replace('/', '-')}"
    server = start_responder(broker)
    with DMSClient(with_jobs, broker, 60) as client:
        response = client.mount(mount_request(jobid=999_999))
        assert response["outcome"] == "not_delivered"
        assert response["error_msg"].startswith("Job 999999 is not in jobs")
        assert server.actions == []
        assert client.mount(mount_request(jobid=401))["outcome"] == "replied"


@pytest.mark.parametrize(("target", "fits"), [("t-🚀", False), ("t-ж", False), ("t-é", True)])
def test_a_target_that_a_latin1_ledger_cannot_hold_is_refused_before(
    mariadb_url: str, start_responder: Callable[..., Any], target: str, fits: bool
):
    Ledger(mariadb_url).close()
    server_ledger.run(mariadb_url, f"ALTER TABLE {TABLE} CONVERT TO CHARACTER SET latin1")
    broker = f"memory://{mariadb_url[-12:]}"
    server = start_responder(broker)
    with DMSClient(mariadb_url, broker, 60) as client:
        response = client.mount(mount_request(target=target))
        assert response["outcome"] == ("replied" if fits else "not_delivered")
        if not fits:
            assert "latin1" in response["error_msg"]
            assert client.get_mount_status(1, target) is None
            assert client.get_ledger_history(target) == []
    assert len(server.actions) == (1 if fits else 0)


def test_a_name_longer_than_its_column_is_refused_before(
    mariadb_url: str, start_responder: Callable[..., Any]
):
    Ledger(mariadb_url).close()
    server_ledger.run(mariadb_url, f"ALTER TABLE {TABLE} MODIFY backup_target_id VARCHAR(8)")
    broker = f"memory://{mariadb_url[-12:]}"
    server = start_responder(broker)
    with DMSClient(mariadb_url, broker, 60) as client:
        response = client.mount(mount_request(target="123456789"))
    assert response["outcome"] == "not_delivered"
    assert "holds 8 characters" in response["error_msg"]
    assert server.actions == []


@pytest.mark.parametrize(
    ("kind", "most", "change"),
    [
        ("mariadb", 32767, "MODIFY jobid SMALLINT NOT NULL"),
        ("mariadb", 65535, "MODIFY jobid SMALLINT UNSIGNED NOT NULL"),
        ("mariadb", 8388607, "MODIFY jobid MEDIUMINT NOT NULL"),
        ("mariadb", 99999, "MODIFY jobid DECIMAL(7, 2) NOT NULL"),
        ("postgresql", 32767, "ALTER COLUMN jobid TYPE SMALLINT"),
        ("postgresql", 9999, "ALTER COLUMN jobid TYPE NUMERIC(4)"),
        ("mariadb", None, "MODIFY jobid BIGINT UNSIGNED NOT NULL"),
        ("mariadb", None, "MODIFY jobid DOUBLE NOT NULL"),
        ("postgresql", None, "ALTER COLUMN jobid TYPE NUMERIC"),
    ],
)
def test_a_job_whose_number_its_column_cannot_hold_is_refused_before(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    start_responder: Callable[..., Any],
    kind: str,
    most: int | None,
    change: str,
):
    url = server_ledger.create(server_ledger.empty_database(kind, request, tmp_path))
    server_ledger.run(url, f"ALTER TABLE {TABLE} {change}")
    broker = f"memory://{url[-12:]}"
    server = start_responder(broker)
    with DMSClient(url, broker, 60) as client:
        fits = client.mount(mount_request(jobid=most or 2_147_483_647, target="one"))
        response = client.mount(mount_request(jobid=(most or 400) + 1, target="other"))
    assert fits["outcome"] == "replied"
    assert response["outcome"] == ("replied" if most is None else "not_delivered")
    if most is not None:
        assert f"jobid holds numbers up to {most}" in response["error_msg"]
    assert server.actions == ["mount"] * (1 if most is not None else 2)


def test_what_the_ledger_never_takes_frees_the_pair_and_says_why(
    mariadb_url: str, start_responder: Callable[..., Any]
):
    """A rule that cannot be known before: the server has acted, and the row is refused."""
    Ledger(mariadb_url).close()
    server_ledger.run(mariadb_url, f"ALTER TABLE {TABLE} ADD CONSTRAINT c CHECK (jobid <> 666)")
    broker = f"memory://{mariadb_url[-12:]}"
    server = start_responder(broker)
    with DMSClient(mariadb_url, broker, 60, lease=3600.0) as client:
        with pytest.raises(DatabaseException, match="a rule of its own") as caught:
            client.mount(mount_request(jobid=666))
        assert caught.value.outcome == "unknown"
        operation = str(caught.value.operation_id)
        # with the pair still locked, this would wait for the lease and give up
        assert client.recheck(operation)["outcome"] == "unknown"
        assert "a rule of its own" in client.recheck(operation)["error_msg"]
        assert client.mount(mount_request(jobid=2))["outcome"] == "replied"
    assert server.actions == ["mount", "mount"]


def test_a_database_that_is_read_only_for_a_moment_is_waited_for(
    mariadb_url: str, start_responder: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
):
    """As during a failover: the reply has come, and the commit must wait. Never unknown."""
    server = start_responder(f"memory://{mariadb_url[-12:]}")
    with DMSClient(mariadb_url, f"memory://{mariadb_url[-12:]}", 60) as client:
        refused = threading.Event()
        confirm = client.operations._confirm

        def failing_over(*arguments: Any) -> None:
            if not refused.is_set():
                refused.set()
                raise OperationalError("UPDATE", {}, _Numbered(1290, "--read-only"))
            confirm(*arguments)

        monkeypatch.setattr(client.operations, "_confirm", failing_over)
        assert client.mount(mount_request())["outcome"] == "replied"
        assert refused.is_set()
        assert client.get_mount_status(1, "target-1") is not None
    assert server.actions == ["mount"]


def test_a_lenient_server_stores_no_other_value_than_the_one_it_was_given(
    own_mariadb_server: MariaDBServer, start_responder: Callable[..., Any]
):
    """Without a strict sql_mode what does not fit is stored cut off: another job's entry."""
    url = own_mariadb_server.url(own_mariadb_server.create_database())
    server_ledger.run(url, "SET GLOBAL sql_mode = ''", "SET GLOBAL sql_select_limit = 1")
    try:
        Ledger(url).close()
        server_ledger.run(url, f"ALTER TABLE {TABLE} MODIFY jobid VARCHAR(4) NOT NULL")
        broker = f"memory://{url[-12:]}"
        start_responder(broker)
        with DMSClient(url, broker, 60) as client:
            for job in (1, 2):
                assert client.mount(mount_request(job))["status"] == "success"
            # and a limit of rows that hides the second job would cut its mount off
            unmount = {**mount_request(1), "action": "unmount"}
            assert client.unmount(unmount)["outcome"] == "shared"
            assert [entry.jobid for entry in client.get_active_mounts()] == [2]
            with pytest.raises(DatabaseException, match="refuses the row: A value does not fit"):
                client.mount(mount_request(70_000, "target-2"))
            assert client.get_ledger_history("target-2") == []
    finally:
        server_ledger.run(
            url, "SET GLOBAL sql_mode = DEFAULT", "SET GLOBAL sql_select_limit = DEFAULT"
        )


def test_a_look_sees_what_was_written_while_it_waited_whatever_isolation_is_the_default(
    postgres_server: PostgresServer,
):
    """A snapshot from before the wait would show a mount without the job that has just shared it:
    its last holder, it seems, who unmounts it under the other."""
    name = postgres_server.create_database()
    url = postgres_server.url(name)
    server_ledger.run(
        url, f"ALTER DATABASE \"{name}\" SET default_transaction_isolation = 'repeatable read'"
    )
    ledger = Ledger(url)
    try:
        shown = text("SHOW transaction_isolation")
        assert ledger.read(lambda c: c.scalar(shown)) == "read committed"
        assert ledger.write(lambda c: c.scalar(shown)) == "read committed"
    finally:
        ledger.close()
