"""Mounts and unmounts, ledger included, against the fewest steps that can promise the same.

The floor is what a program written for this one purpose needs: a bare RPC (direct reply-to,
publisher confirms), one committed transaction that says what is about to be sent, and one that
says what came of it and marks the ledger, on the same broker and the same MariaDB, each thread
with connections of its own. Ours also looks for the queue and its consumer, locks the pair across
clients, counts references, keeps replies in a durable queue, and shares its connections.
Promised: at least 0.6 times the floor, with one thread and with eight.

Beside it stands a client of the deployed kind (tests/fixtures/deployed_client.py: what its source
does, without its ORM), on a ledger of its own shape: promised at least 1.5 times with one thread
and 4 times with eight. Importing the library may cost 1.1 times its three dependencies.

All speak to the same responders in a process of their own, with the wire's persistent messages.
Broker and database keep their files in memory where they can, so that programs are compared and
not a disk's fsync.

    python -m benchmarks.mounts_rpc [mounts and unmounts]
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pika
import pymysql
from sqlalchemy.engine import make_url

from backend.core.words import counted
from backend.dms.client import DMSClient
from backend.dms.connect import open_transport
from backend.dms.transport import Replied
from benchmarks import _servers
from tests.fixtures import server_ledger
from tests.fixtures.deployed_client import DeployedClient
from tests.fixtures.dms_responder import mount_request
from tests.fixtures.mariadb import MariaDBServer
from tests.fixtures.rabbitmq import RabbitMQServer

HOSTS = 8
ROUNDS = 10


def main() -> None:
    if sys.argv[1:2] == ["respond"]:
        respond(sys.argv[2])
        return
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    if Path("/dev/shm").is_dir():
        tempfile.tempdir = "/dev/shm"
    with closing(RabbitMQServer.launch()) as broker, closing(MariaDBServer.launch()) as database:
        url, ledger = broker.url(broker.take_vhost()), database.url(database.create_database())
        with _responder(url), DMSClient(ledger, url, 60) as client:
            client.ledger.ensure_operations()
            for threads in (1, HOSTS):
                _compare(client, url, ledger, threads, steps // ROUNDS // threads // 2)
            print(f"round trips to the ledger for a mount and its unmount: {_trips(client)}")
            _servers.line(
                "requests per second, one thread: transport alone against bare pika RPC",
                *_alone(url, steps // 2), "/s", "for information",
            )  # fmt: skip
            _beside_deployed(url, database.url(database.create_database()), steps // 2)
    _import_cost()


def _compare(client: DMSClient, url: str, ledger: str, threads: int, turns: int) -> None:
    """Short turns one after the other, so that both meet the same machine; the middle pair counts.

    turns: mounts, each with its unmount, of one thread in one round.
    """
    floors = [Floor(url, ledger, number) for number in range(threads)]
    pairs = []
    for _ in range(ROUNDS):
        theirs = _rate(threads, turns, lambda n: floors[n].turns(turns))
        pairs.append((_rate(threads, turns, lambda n: _mounts(client, n, turns)), theirs))
    for floor in floors:
        floor.close()
    ours, theirs = sorted(pairs, key=lambda pair: pair[0] / pair[1])[len(pairs) // 2]
    _servers.line(
        f"mounts and unmounts per second with ledger, {counted(threads, 'thread')}: "
        "ours against the floor",
        ours, theirs, "/s", "promised: at least 0.6",
    )  # fmt: skip


def _trips(client: DMSClient) -> int:
    """Commands that a mount and its unmount send to the database (the floor: 10)."""
    sent = 0
    send = pymysql.connections.Connection._execute_command

    def counting(*arguments: Any) -> None:
        nonlocal sent
        sent += 1
        send(*arguments)

    with patch.object(pymysql.connections.Connection, "_execute_command", counting):
        _mounts(client, 0, 1)
    return sent


def _beside_deployed(url: str, ledger: str, steps: int) -> None:
    server_ledger.create(ledger)
    with DMSClient(ledger, url, 60) as ours, closing(DeployedClient(ledger, url)) as theirs:
        ours.ledger.ensure_operations()
        for threads, promised in ((1, 1.5), (HOSTS, 4)):
            turns = steps // ROUNDS // threads // 2
            pairs = [
                (
                    _rate(threads, turns, lambda n, t=turns: _mounts(ours, n, t)),
                    _rate(threads, turns, lambda n, t=turns: _deployed(theirs, n, t)),
                )
                for _ in range(ROUNDS)
            ]
            _servers.line(
                f"the same, {counted(threads, 'thread')}: ours against a client of the deployed "
                "kind",
                *sorted(pairs, key=lambda pair: pair[0] / pair[1])[len(pairs) // 2],
                "/s", f"promised: at least {promised}",
            )  # fmt: skip


def _deployed(client: DeployedClient, number: int, turns: int) -> None:
    for turn in range(turns):
        for step in (client.mount, client.unmount):
            step(turn, f"deployed-{number}", f"compute-0{number}")


def _import_cost() -> None:
    """The fastest of ten processes each, taken in turns: what is imported, not what else runs."""
    ours, theirs = [], []
    for _ in range(10):
        ours.append(_imported("backend.dms"))
        theirs.append(_imported("sqlalchemy, pymysql, pika"))
    _servers.line(
        "seconds to import the library, against SQLAlchemy, PyMySQL and pika",
        min(ours), min(theirs), "s", "promised: at most 1.1",
    )  # fmt: skip


def _imported(modules: str) -> float:
    program = (
        f"import time; t = time.process_time(); import {modules}; print(time.process_time()-t)"
    )
    command = [sys.executable, "-c", program]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _rate(threads: int, turns: int, work: Callable[[int], object]) -> float:
    return 2 * turns * threads / _timed(lambda: _together(work, threads))


class Floor:
    """Bare RPC and two transactions, on connections of one thread."""

    def __init__(self, url: str, ledger: str, number: int) -> None:
        self._number, self._host = number, f"compute-0{number}"
        self._rpc = BareRpc(url, f"dms.{self._host}", confirmed=True)
        parts = make_url(ledger)
        self._database = pymysql.connect(
            host=parts.host or "", port=parts.port or 3306, user=parts.username,
            password=str(parts.password), database=str(parts.database),
            init_command="SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        )  # fmt: skip

    def turns(self, count: int) -> None:
        for turn in range(count):
            for action, mounted in (("mount", 1), ("unmount", 0)):
                self._step(turn, action, mounted)

    def _step(self, jobid: int, action: str, mounted: int) -> None:
        wanted, target = str(uuid.uuid4()), f"floor-{self._number}"
        body = json.dumps({**mount_request(jobid, target, self._host), "action": action})
        with self._database.cursor() as cursor:
            cursor.execute(
                "INSERT INTO dms_operation (operation_id, owner, action, backup_target_id, host,"
                " jobid, state, request, created_at)"
                " VALUES (%s, 'floor', %s, %s, %s, %s, 'in_flight', %s, UTC_TIMESTAMP(6))",
                (wanted, action, target, self._host, jobid, body),
            )
            self._database.commit()
            answer = self._rpc.call(body.encode(), wanted)
            cursor.execute(
                "UPDATE dms_operation SET state = 'succeeded', reply = %s,"
                " finished_at = UTC_TIMESTAMP(6) WHERE operation_id = %s",
                (answer, wanted),
            )
            statement = (
                "INSERT INTO backup_target_mount_ledger (backup_target_id, jobid, host, mounted)"
                " VALUES (%s, %s, %s, 1)"
                if mounted
                else "UPDATE backup_target_mount_ledger FORCE INDEX (idx_job_target)"
                " SET mounted = 0"
                " WHERE backup_target_id = %s AND jobid = %s AND host = %s AND mounted = 1"
            )
            cursor.execute(statement, (target, jobid, self._host))
            self._database.commit()

    def close(self) -> None:
        self._rpc.close()
        self._database.close()


class BareRpc:
    """The shortest RPC that pika's documentation has: direct reply-to."""

    def __init__(self, url: str, queue: str, *, confirmed: bool) -> None:
        self._queue = queue
        self._connection = pika.BlockingConnection(pika.URLParameters(url))
        self._channel = self._connection.channel()
        self._replies: dict[str, bytes] = {}
        self._channel.basic_consume("amq.rabbitmq.reply-to", self._on_reply, auto_ack=True)
        if confirmed:
            self._channel.confirm_delivery()

    def _on_reply(self, _channel: Any, _method: Any, properties: Any, body: bytes) -> None:
        self._replies[properties.correlation_id] = body

    def call(self, body: bytes, wanted: str) -> bytes:
        self._channel.basic_publish(
            "", self._queue, body,
            pika.BasicProperties(
                reply_to="amq.rabbitmq.reply-to", correlation_id=wanted, delivery_mode=2
            ),
        )  # fmt: skip
        while wanted not in self._replies:
            self._connection.process_data_events(time_limit=None)
        return self._replies.pop(wanted)

    def close(self) -> None:
        self._connection.close()


def _alone(url: str, trips: int) -> tuple[float, float]:
    """Requests per second of the transport without a ledger, and of the bare RPC."""
    body = json.dumps(mount_request(host="compute-00")).encode()
    with closing(BareRpc(url, "dms.compute-00", confirmed=False)) as rpc:
        bare = _timed(lambda: [rpc.call(body, str(uuid.uuid4())) for _ in range(trips)])
    return trips / _transport(url, trips), trips / bare


def _transport(url: str, trips: int) -> float:
    with closing(open_transport(url, on_late=lambda *_: None)) as transport:
        _send(transport, 0, 50)
        return _timed(lambda: _send(transport, 0, trips))


def _send(transport: Any, number: int, trips: int) -> None:
    body = json.dumps(mount_request(host=f"compute-0{number}")).encode()
    for _ in range(trips):
        call = transport.send(
            f"compute-0{number}", body, correlation_id=str(uuid.uuid4()), expires=30
        )
        result = call.wait(30)
        assert isinstance(result, Replied)
        result.keep()


def _mounts(client: DMSClient, number: int, turns: int) -> None:
    for turn in range(turns):
        request = mount_request(turn, f"target-{number}", f"compute-0{number}")
        for step in (client.mount, client.unmount):
            assert step(request)["outcome"] == "replied"


class _responder:
    """DMS servers for all hosts in a process of their own."""

    def __init__(self, url: str) -> None:
        self._command = [sys.executable, "-m", "benchmarks.mounts_rpc", "respond", url]

    def __enter__(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def __exit__(self, *_: object) -> None:
        os.kill(self._process.pid, signal.SIGTERM)
        self._process.wait()


def respond(url: str) -> None:
    """One thread and connection per host, prefetch 1, each as a DMS server has it."""
    ready = threading.Barrier(HOSTS + 1)
    for number in range(HOSTS):
        arguments = (url, f"dms.compute-0{number}", ready)
        threading.Thread(target=_serve, args=arguments, daemon=True).start()
    ready.wait()
    print("ready", flush=True)
    threading.Event().wait()


def _serve(url: str, queue: str, ready: threading.Barrier) -> None:
    channel = pika.BlockingConnection(pika.URLParameters(url)).channel()
    channel.queue_declare(queue, durable=True)
    channel.basic_qos(prefetch_count=1)
    said = json.dumps({"status": "success", "error_msg": None, "success_msg": "done"}).encode()

    def answer(channel: Any, method: Any, properties: Any, _body: bytes) -> None:
        channel.basic_publish(
            "", properties.reply_to, said,
            pika.BasicProperties(correlation_id=properties.correlation_id),
        )  # fmt: skip
        channel.basic_ack(method.delivery_tag)

    channel.basic_consume(queue, answer)
    ready.wait()
    channel.start_consuming()


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _together(work: Callable[[int], object], count: int) -> None:
    with ThreadPoolExecutor(count) as pool:
        for done in [pool.submit(work, number) for number in range(count)]:
            done.result()


if __name__ == "__main__":
    main()
