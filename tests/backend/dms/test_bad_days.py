"""Bad days, with real RabbitMQ and real MariaDB."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pika
import pytest
from sqlalchemy import select, text

from backend.dms import schema
from backend.dms.client import (
    DatabaseException,
    DMSClient,
    RabbitMQException,
    RequestTimeoutException,
)
from tests.fixtures.dms_responder import RabbitResponder, mount_request
from tests.fixtures.servers import of_its_own

mariadb_server = of_its_own("mariadb_server")
rabbitmq_server = of_its_own("rabbitmq_server")

ROOT = Path(__file__).parents[3]
Start = Callable[..., Any]


@pytest.fixture
def server(rabbitmq_url: str, start_responder: Start) -> RabbitResponder:
    made: RabbitResponder = start_responder(rabbitmq_url)
    return made


@pytest.fixture
def client(rabbitmq_url: str, mariadb_url: str, start_client: Start) -> DMSClient:
    made: DMSClient = start_client(rabbitmq_url, 120, db_url=mariadb_url, lease=2.0)
    return made


def _jobs(client: DMSClient) -> list[int]:
    return [entry.jobid for entry in client.get_active_mounts()]


def _in_background(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    results: list[Any] = []

    def run() -> None:
        try:
            results.append(work())
        except Exception as exc:
            results.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, results


def _until(condition: Callable[[], Any], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)


def _drop_connection(client: DMSClient) -> None:
    """Cut the TCP connection under the transport, as a network would."""
    connection = client.transport._connection  # type: ignore[attr-defined]
    sock = connection._transport._sock
    sock.shutdown(2)


def _waiting(broker: str) -> int:
    """Requests that the server has not been given yet."""
    with pika.BlockingConnection(pika.URLParameters(broker)) as connection:
        found = connection.channel().queue_declare("dms.compute-01", passive=True)
        return int(found.method.message_count)


class TestTheBroker:
    def test_a_connection_dropped_after_the_publish_still_brings_the_reply(
        self, client: DMSClient, server: RabbitResponder
    ):
        dropped = threading.Event()
        server.before_reply = lambda: dropped.wait(120)
        thread, results = _in_background(lambda: client.mount(mount_request()))
        assert server.received.wait(60)
        _drop_connection(client)
        dropped.set()
        thread.join(60)
        assert results[0]["outcome"] == "replied"
        assert len(server.requests) == 1
        assert _jobs(client) == [1]

    def test_a_connection_that_was_dropped_while_idle_is_made_anew(
        self, client: DMSClient, server: RabbitResponder
    ):
        assert client.mount(mount_request(jobid=1))["status"] == "success"
        _drop_connection(client)
        _until(lambda: not client.transport._ready.is_set())  # type: ignore[attr-defined]
        response = client.mount(mount_request(jobid=2, target="target-2"))
        assert response["status"] == "success"

    @pytest.mark.slow
    def test_a_broker_restarted_in_the_middle_of_a_call(
        self, client: DMSClient, server: RabbitResponder, rabbitmq_server: Any
    ):
        server.delay = 0.5
        thread, results = _in_background(lambda: client.mount(mount_request()))
        assert server.received.wait(60)
        rabbitmq_server.restart()
        thread.join(60)
        # The request was persistent and unacknowledged: the broker gives it out again.
        assert results[0]["outcome"] == "replied"
        assert _jobs(client) == [1]
        server.delay = 0
        assert client.unmount(mount_request())["status"] == "success"

    def test_messages_expire_with_the_timeout(
        self, rabbitmq_url: str, mariadb_url: str, start_client: Start, start_responder: Start
    ):
        """A late mount of a request nobody waits for any more cannot happen."""
        server, free = start_responder(rabbitmq_url), threading.Event()
        server.before_reply = lambda: free.wait(120)
        patient = start_client(rabbitmq_url, db_url=mariadb_url)
        thread, _ = _in_background(lambda: patient.mount(mount_request(jobid=1, target="first")))
        assert server.received.wait(60)
        self._time_out(lambda seconds: start_client(rabbitmq_url, seconds, db_url=mariadb_url))
        _until(lambda: _waiting(rabbitmq_url) == 0)
        free.set()
        thread.join(60)
        assert patient.mount(mount_request(jobid=3, target="third"))["status"] == "success"
        assert [r["backup_target"]["id"] for r in server.requests] == ["first", "third"]

    def _time_out(self, hurried: Callable[[float], DMSClient]) -> None:
        """A request that the broker has and nobody answers. A machine at work may need longer than
        the first client waits to hand it over at all.
        """
        for seconds in (0.7, 6.0, 60.0):
            try:
                answer = hurried(seconds).mount(mount_request(jobid=2, target="second"))
            except RequestTimeoutException:
                return
            except RabbitMQException as exc:
                answer = {"outcome": exc.outcome}
            assert answer["outcome"] == "not_delivered"
        raise AssertionError("nothing was handed over")


class TestTheLedgersDatabase:
    @pytest.mark.slow
    def test_mariadb_restarted_during_a_call(
        self, client: DMSClient, server: RabbitResponder, mariadb_server: Any
    ):
        back = threading.Event()
        server.before_reply = lambda: back.wait(120)
        thread, results = _in_background(lambda: client.mount(mount_request()))
        assert server.received.wait(60)
        mariadb_server.restart()
        back.set()
        thread.join(90)
        assert results[0]["outcome"] == "replied"
        assert _jobs(client) == [1]

    @pytest.mark.slow
    def test_mariadb_away_when_the_reply_comes_is_healed_by_a_recheck(
        self,
        client: DMSClient,
        server: RabbitResponder,
        mariadb_server: Any,
        monkeypatch: pytest.MonkeyPatch,
    ):
        real_confirm = client.operations.confirm
        monkeypatch.setattr(
            client.operations, "confirm",
            lambda *a, **k: real_confirm(*a, **{**k, "patience": 1.0}),
        )  # fmt: skip
        gone = threading.Event()
        server.before_reply = lambda: gone.wait(120)
        thread, results = _in_background(lambda: client.mount(mount_request()))
        assert server.received.wait(60)
        mariadb_server.stop()
        gone.set()
        thread.join(90)
        mariadb_server.start()
        failure = results[0]
        assert isinstance(failure, DatabaseException)
        assert failure.outcome == "unknown"
        assert _jobs(client) == []
        client.transport.close(keep_replies=True)
        other = DMSClient(client.config.db_url, client.config.rabbitmq_url, 60, lease=2.0)
        with other:
            _until(lambda: other.recheck(failure.operation_id)["outcome"] == "replied")
            assert _jobs(other) == [1]

    def test_a_deadlock_is_run_again(self, client: DMSClient, server: RabbitResponder):
        """Our write loses a real deadlock once and then succeeds."""
        client.mount(mount_request(jobid=1, target="a"))
        client.mount(mount_request(jobid=2, target="b"))
        t = schema.ledger.c
        tries: list[int] = []
        both = threading.Barrier(2, timeout=60)

        def write(first: int, second: int) -> Callable[[Any], None]:
            mine: list[int] = []

            def work(connection: Any) -> None:
                mine.append(1)
                tries.append(first)
                for position, jobid in enumerate((first, second)):
                    connection.execute(
                        schema.ledger.update().where(t.jobid == jobid).values(version=str(first))
                    )
                    if position == 0 and len(mine) == 1:
                        both.wait()

            return work

        one, _ = _in_background(lambda: client.ledger.write(write(1, 2)))
        two, _ = _in_background(lambda: client.ledger.write(write(2, 1)))
        one.join(60)
        two.join(60)
        assert len(tries) == 3, "one of the two was the victim and was run again"
        versions = client.ledger.read(lambda c: c.execute(select(t.version)).scalars().all())
        assert len(set(versions)) == 1

    def test_a_killed_database_connection_is_replaced(
        self, client: DMSClient, server: RabbitResponder
    ):
        client.mount(mount_request())
        ids = client.ledger.read(
            lambda c: c.execute(
                text("SELECT id FROM information_schema.processlist WHERE db = DATABASE() "
                     "AND id <> CONNECTION_ID()")
            ).scalars().all()
        )  # fmt: skip
        for process in ids:
            client.ledger.write(lambda c, p=process: c.execute(text(f"KILL {p}")))
        assert client.unmount(mount_request())["status"] == "success"


def _python(script: str, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", f"tests.backend.dms.{script}", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
class TestTwoProcesses:
    def test_two_hundred_mounts_each_of_the_same_target(
        self, rabbitmq_url: str, mariadb_url: str, server: RabbitResponder, client: DMSClient
    ):
        client.ledger.ensure_operations()
        processes = [
            _python("mounting_process", mariadb_url, rabbitmq_url, jobid, "200")
            for jobid in ("1", "2")
        ]
        outcomes = []
        for process in processes:
            out, err = process.communicate(timeout=180)
            assert process.returncode == 0, err
            outcomes.append(json.loads(out))
        assert _jobs(client) == []
        assert server.mounted == set()
        rows = client.get_ledger_history("target-1", limit=1000)
        assert sorted(row.jobid for row in rows) == [1, 2], "one row per job, target and host"
        assert not any(row.mounted for row in rows)
        told = {key: sum(o.get(key, 0) for o in outcomes) for o in outcomes for key in o}
        assert all(key.endswith(":success") for key in told), told
        # every physical mount has its physical unmount, strictly in turn, and every message that
        # a client counted is one the server saw
        assert server.actions == ["mount", "unmount"] * (len(server.actions) // 2)
        assert server.actions.count("mount") == told["mount:replied:success"]
        assert server.actions.count("unmount") == told["unmount:replied:success"]
        assert told["mount:replied:success"] + told.get("mount:shared:success", 0) == 400


#: step → (what the server got, what the operation says at first, ledger after a re-check)
KILLED_MOUNTS = {
    "before the claim": ([], None, False),
    "while deciding": ([], None, False),
    "after the claim": ([], "unknown", False),
    "after the look": ([], "unknown", False),
    "while the server works": (["mount"], "unknown", True),
    "after the reply": (["mount"], "unknown", True),
    "inside the last transaction": (["mount"], "unknown", True),
    "after the commit": (["mount"], "succeeded", True),
}
KILLED_UNMOUNTS = {
    "after the claim": ([], "unknown", True),
    "while the server works": (["unmount"], "unknown", False),
    "after the reply": (["unmount"], "unknown", False),
    "inside the last transaction": (["unmount"], "unknown", False),
    "after the commit": (["unmount"], "succeeded", False),
}


@pytest.mark.slow
class TestKilled:
    """kill -9 of the client at every step: what the ledger and the operation say afterwards."""

    @pytest.mark.parametrize("step", KILLED_MOUNTS)
    def test_a_mount(
        self, step: str, client: DMSClient, server: RabbitResponder, mariadb_url: str,
        rabbitmq_url: str,
    ):  # fmt: skip
        client.ledger.ensure_operations()
        self._kill(step, mount_request(), server, mariadb_url, rabbitmq_url)
        self._check(client, server, *KILLED_MOUNTS[step], before=False)
        # and the next client is not stuck: it takes over and ends mounted
        assert client.mount(mount_request(jobid=2))["status"] == "success"
        assert server.mounted == {"target-1"}
        assert 2 in _jobs(client)

    @pytest.mark.parametrize("step", KILLED_UNMOUNTS)
    def test_an_unmount(
        self, step: str, client: DMSClient, server: RabbitResponder, mariadb_url: str,
        rabbitmq_url: str,
    ):  # fmt: skip
        client.mount(mount_request())
        server.requests.clear()
        server.received.clear()
        request = {**mount_request(), "action": "unmount"}
        self._kill(step, request, server, mariadb_url, rabbitmq_url)
        self._check(client, server, *KILLED_UNMOUNTS[step], before=True)
        # whatever was known, the next mount is true: the server has it mounted
        assert client.mount(mount_request(jobid=2))["status"] == "success"
        assert server.mounted == {"target-1"}

    def _kill(
        self, step: str, request: Any, server: RabbitResponder, db_url: str, broker_url: str
    ) -> None:
        outside, gone = step == "while the server works", threading.Event()
        if outside:
            server.before_reply = lambda: gone.wait(120)
        process = _python("killed_client", db_url, broker_url, step, json.dumps(request))
        if outside:
            assert server.received.wait(60)
            process.kill()
        _, err = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL, err
        gone.set()

    def _check(
        self,
        client: DMSClient,
        server: RabbitResponder,
        got: list[str],
        state: str | None,
        mounted_after_recheck: bool,
        *,
        before: bool,
    ) -> None:
        assert server.actions == got
        finished = state == "succeeded"
        expected = mounted_after_recheck if finished else before
        assert (_jobs(client) == [1]) is expected, "the ledger says what was confirmed"
        rows = client.ledger.read(
            lambda c: c.execute(
                select(schema.operation.c.operation_id, schema.operation.c.state).order_by(
                    schema.operation.c.id.desc()
                )
            ).all()
        )
        if state is None:
            assert rows == []
            return
        operation_id = rows[0].operation_id
        if not finished:
            assert rows[0].state == "in_flight"
            _until(
                lambda: (
                    client.recheck(operation_id)["error_msg"] != "The operation is still running."
                )
            )
        if got:
            _until(lambda: client.recheck(operation_id)["outcome"] == "replied")
            assert client.operations.get(operation_id).state == "succeeded"
        else:
            assert client.operations.get(operation_id).state == state
        assert (_jobs(client) == [1]) is mounted_after_recheck
