"""Requests through the DMS transport against bare pika with direct reply-to, on the same broker.

Both speak to the same responder in a process of its own, with the wire's persistent messages.
Ours also looks for the queue and its consumer first, publishes mandatory and confirmed messages
that expire, and takes replies from a durable queue; bare pika does none of that. The broker keeps
its files in memory where it can, so that clients are compared and not a disk's fsync. Promises: at
least 0.7 times bare pika; eight threads on one client at least three times one thread, with
servers that take 5 ms a request (one that answers at once leaves nothing to overlap).

    python -m benchmarks.mounts_rpc [round trips]
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
from contextlib import closing
from pathlib import Path
from typing import Any

import pika

from backend.dms.client import DMSClient
from backend.dms.connect import open_transport
from backend.dms.transport import Replied
from benchmarks import _servers
from tests.fixtures.dms_responder import mount_request
from tests.fixtures.mariadb import MariaDBServer
from tests.fixtures.rabbitmq import RabbitMQServer

HOSTS = 8
SLOW = 0.005


def main() -> None:
    if sys.argv[1:2] == ["respond"]:
        respond(sys.argv[2], float(sys.argv[3]))
        return
    trips = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    if Path("/dev/shm").is_dir():
        tempfile.tempdir = "/dev/shm"
    with closing(RabbitMQServer.launch()) as broker, closing(MariaDBServer.launch()) as database:
        url, ledger = broker.url(broker.take_vhost()), database.url(database.create_database())
        with _responder(url, 0.0):
            _rounds(url, ledger, trips)
        with _responder(url, SLOW):
            _threads(url, ledger, trips)


def _rounds(url: str, ledger: str, trips: int) -> None:
    """Thirty pairs of short turns, so that both meet the same machine; the middle pair counts."""
    pairs = []
    part = max(trips // 10, 50)
    for _ in range(30):
        theirs = part / _bare(url, part)
        pairs.append((part / _transport(url, part), theirs))
    ours, theirs = sorted(pairs, key=lambda pair: pair[0] / pair[1])[len(pairs) // 2]
    _servers.line(
        "requests per second, one thread: transport against bare pika",
        ours, theirs, "/s", "promised: at least 0.7",
    )  # fmt: skip
    with DMSClient(ledger, url, 60) as client:
        spent = _mounts(client, 0, trips // 2)
    whole = trips // 2 * 2 / spent
    _servers.line(
        "the same with ledger and operation record (MariaDB), against bare pika",
        whole, theirs, "/s", "for information",
    )  # fmt: skip


def _threads(url: str, ledger: str, trips: int) -> None:
    with closing(open_transport(url, on_late=lambda *_: None)) as transport:
        one = _timed(lambda: _send(transport, 0, trips // 2))
        eight = _timed(lambda: _together(lambda n: _send(transport, n, trips // 4)))
    single, many = trips // 2 / one, 8 * (trips // 4) / eight
    _servers.line(
        f"requests per second, servers take {SLOW * 1000:.0f} ms: 8 threads against 1",
        many, single, "/s", "promised: at least 3",
    )  # fmt: skip
    with DMSClient(ledger, url, 60) as client:
        one = _mounts(client, 0, trips // 8)
        eight = _timed(lambda: _together(lambda n: _mounts(client, n, trips // 8)))
    single, many = trips // 4 / one, 8 * (trips // 4) / eight
    _servers.line(
        "mounts and unmounts per second with ledger (MariaDB): 8 threads against 1",
        many, single, "/s", "for information",
    )  # fmt: skip


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


def _mounts(client: DMSClient, number: int, turns: int) -> float:
    started = time.perf_counter()
    for turn in range(turns):
        request = mount_request(turn, f"target-{number}", f"compute-0{number}")
        for step in (client.mount, client.unmount):
            assert step(request)["outcome"] == "replied"
    return time.perf_counter() - started


def _bare(url: str, trips: int) -> float:
    """The shortest RPC that pika's documentation has: direct reply-to, nothing else."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    replies: dict[str, bytes] = {}
    channel.basic_consume(
        "amq.rabbitmq.reply-to",
        lambda _channel, _method, properties, body: replies.update(
            {properties.correlation_id: body}
        ),
        auto_ack=True,
    )
    body = json.dumps(mount_request(host="compute-00")).encode()

    def rounds(count: int) -> None:
        for _ in range(count):
            wanted = str(uuid.uuid4())
            channel.basic_publish(
                "", "dms.compute-00", body,
                pika.BasicProperties(
                    reply_to="amq.rabbitmq.reply-to", correlation_id=wanted, delivery_mode=2
                ),
            )  # fmt: skip
            while wanted not in replies:
                connection.process_data_events(time_limit=None)
            del replies[wanted]

    rounds(50)
    spent = _timed(lambda: rounds(trips))
    connection.close()
    return spent


class _responder:
    """DMS servers for all hosts in a process of their own."""

    def __init__(self, url: str, delay: float) -> None:
        self._command = [sys.executable, "-m", "benchmarks.mounts_rpc", "respond", url, str(delay)]

    def __enter__(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def __exit__(self, *_: object) -> None:
        os.kill(self._process.pid, signal.SIGTERM)
        self._process.wait()


def respond(url: str, delay: float) -> None:
    """One thread and connection per host, prefetch 1, each as a DMS server has it."""
    ready = threading.Barrier(HOSTS + 1)
    for number in range(HOSTS):
        arguments = (url, f"dms.compute-0{number}", delay, ready)
        threading.Thread(target=_serve, args=arguments, daemon=True).start()
    ready.wait()
    print("ready", flush=True)
    threading.Event().wait()


def _serve(url: str, queue: str, delay: float, ready: threading.Barrier) -> None:
    channel = pika.BlockingConnection(pika.URLParameters(url)).channel()
    channel.queue_declare(queue, durable=True)
    channel.basic_qos(prefetch_count=1)
    said = json.dumps({"status": "success", "error_msg": None, "success_msg": "done"}).encode()

    def answer(channel: Any, method: Any, properties: Any, _body: bytes) -> None:
        if delay:
            time.sleep(delay)
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


def _together(work: Callable[[int], object]) -> None:
    threads = [threading.Thread(target=work, args=(n,)) for n in range(HOSTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
