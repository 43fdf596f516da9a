"""The RabbitMQ transport by itself, on a real broker."""

import gc
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pika
import pytest

from backend.dms.client import DMSClient
from backend.dms.pika_channel import Request
from backend.dms.pika_transport import PikaTransport
from backend.dms.transport import NotDelivered, PendingCall, QueueState, Replied
from tests.fixtures.dms_responder import mount_request
from tests.fixtures.rabbitmq import RabbitMQServer

Start = Callable[..., Any]


def replies_kept_by_the_broker(url: str, queue: str) -> int:
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        declared = connection.channel().queue_declare(queue, passive=True)
        return int(declared.method.message_count)
    finally:
        connection.close()


def test_the_broker_keeps_just_the_replies_that_nobody_stored(
    rabbitmq_url: str, start_responder: Start
) -> None:
    start_responder(rabbitmq_url)
    transport = PikaTransport(rabbitmq_url, on_late=lambda *_: None)
    body = json.dumps(mount_request()).encode()
    many = 40
    for number in range(many):
        call = transport.send("compute-01", body, correlation_id=f"c-{number}", expires=60)
        result = call.wait(60)
        assert isinstance(result, Replied)
        if number != 7:
            result.keep()
    transport.close(keep_replies=True)
    assert replies_kept_by_the_broker(rabbitmq_url, transport.reply_queue) == 1
    found: list[str] = []
    transport.collect(transport.reply_queue, lambda reply, _body: found.append(reply))
    assert found == []  # its own: collected by the next client


def test_a_refused_publish_is_known_at_once_and_keeps_the_durable_reply_queue(
    own_rabbitmq_server: RabbitMQServer, start_responder: Start
) -> None:
    server = own_rabbitmq_server
    url = server.url("/")
    start_responder(url)
    transport = PikaTransport(url, on_late=lambda *_: None)
    queue, body = transport.reply_queue, json.dumps(mount_request()).encode()
    server.evaluate(server.permission(server.user, "/", write="^(?!amq[.]default$).*"))
    refused = transport.send("compute-01", body, correlation_id="refused", expires=120).wait(60)
    assert isinstance(refused, NotDelivered)
    assert "ACCESS_REFUSED" in refused.reason
    server.evaluate(server.permission(server.user, "/"))
    answered = transport.send("compute-01", body, correlation_id="granted", expires=60).wait(60)
    assert isinstance(answered, Replied)
    answered.keep()
    assert transport.reply_queue == queue
    transport.close()


def test_of_several_requests_a_refusal_ends_just_those_that_it_concerned(
    own_rabbitmq_server: RabbitMQServer, start_responder: Start
) -> None:
    """One is with the server already; five are refused, each on a channel of its own."""
    server = own_rabbitmq_server
    url = server.url("/")
    responder, go_on = start_responder(url), threading.Event()
    responder.before_reply = lambda: go_on.wait(120)
    transport = PikaTransport(url, on_late=lambda *_: None)
    body = json.dumps(mount_request()).encode()
    working = transport.send("compute-01", body, correlation_id="working", expires=120)
    assert responder.received.wait(60)
    until = time.monotonic() + 60
    while not transport._idle:
        assert time.monotonic() < until, "the broker confirms what the server has"
        time.sleep(0.02)
    transport._in_owner(transport._idle.clear)  # the broker remembers a channel's rights a while
    server.evaluate(server.permission(server.user, "/", write="^(?!amq[.]default$).*"))
    calls = [
        transport.send("compute-01", body, correlation_id=f"refused-{number}", expires=120)
        for number in range(5)
    ]
    for call in calls:
        refused = call.wait(60)
        assert isinstance(refused, NotDelivered)
        assert "ACCESS_REFUSED" in refused.reason
    assert not working.done()
    server.evaluate(server.permission(server.user, "/"))
    go_on.set()
    answered = working.wait(60)
    assert isinstance(answered, Replied)
    answered.keep()
    transport.close()
    assert len(responder.requests) == 1


def test_the_durable_reply_queue_comes_back_with_the_rights(
    own_rabbitmq_server: RabbitMQServer,
    start_responder: Start,
) -> None:
    server = own_rabbitmq_server
    url = server.url("/")
    start_responder(url)
    server.evaluate(server.permission(server.user, "/", configure="^(?!dms[.]reply).*"))
    transport = PikaTransport(url, on_late=lambda *_: None)
    assert transport.reply_queue.startswith("amq.gen"), "an exclusive one, as long as it must be"
    body = json.dumps(mount_request()).encode()
    server.evaluate(server.permission(server.user, "/"))
    until = time.monotonic() + 60
    while not transport.reply_queue.startswith("dms.reply.") and time.monotonic() < until:
        answered = transport.send("compute-01", body, correlation_id="without", expires=60).wait(60)
        assert isinstance(answered, Replied), "requests are answered all the while"
        answered.keep()
    assert transport.reply_queue.startswith("dms.reply.")
    answered = transport.send("compute-01", body, correlation_id="with", expires=60).wait(60)
    assert isinstance(answered, Replied)
    answered.keep()
    transport.close()


def test_a_client_that_nobody_closed_leaves_no_reply_queue(
    rabbitmq_url: str, start_responder: Start, tmp_path: Path
) -> None:
    start_responder(rabbitmq_url)
    client = DMSClient(f"sqlite:///{tmp_path / 'ledger.sqlite'}", rabbitmq_url, 60)
    queue = client.transport.reply_queue
    client.mount(mount_request())
    assert replies_kept_by_the_broker(rabbitmq_url, queue) == 0
    del client
    gc.collect()
    with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="NOT_FOUND"):
        replies_kept_by_the_broker(rabbitmq_url, queue)


def test_a_program_that_ends_without_closing_leaves_none_either(
    rabbitmq_url: str, tmp_path: Path
) -> None:
    script = (
        "import sys; from backend.dms.client import DMSClient\n"
        "client = DMSClient(sys.argv[1], sys.argv[2], 60)\n"
        "print(client.transport.reply_queue)"
    )
    ledger = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    ended = subprocess.run(
        [sys.executable, "-c", script, ledger, rabbitmq_url],
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    )
    with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="NOT_FOUND"):
        replies_kept_by_the_broker(rabbitmq_url, ended.stdout.strip())


def test_what_was_said_to_be_not_delivered_is_not_published_when_its_check_comes_back() -> None:
    """A broker that blocks between look and publish answers the look once it is free again."""
    told: list[NotDelivered] = []
    transport = PikaTransport.__new__(PikaTransport)
    transport._lock, transport._calls = threading.Lock(), {}
    request = Request(
        "compute-01", b"{}", 60, PendingCall("c"),
        may_publish=transport._may_publish, resolve=transport._resolve,
    )  # fmt: skip
    transport._calls["c"] = request
    transport._refuse_unpublished("the broker takes no requests at the moment")
    told.append(request.call.result(0))  # type: ignore[arg-type]
    assert told[0].reason == "the broker takes no requests at the moment"
    assert not request.checked(QueueState(True, 1, 0))
    assert not request.published


def test_that_a_request_expired_in_its_queue_does_not_prove_that_nobody_read_it(
    rabbitmq_url: str,
) -> None:
    """Why no unknown outcome is settled by the broker's dead-letter policy (docs/mounts.md).

    A server takes a request, mounts, and dies before it acknowledges: the request goes back into
    its queue, expires there, and looks exactly as one that was never read.
    """
    connection = pika.BlockingConnection(pika.URLParameters(rabbitmq_url))
    channel = connection.channel()
    channel.queue_declare("expired")
    dead = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "expired"}
    channel.queue_declare("dms.compute-01", durable=True, arguments=dead)

    def send(name: str) -> None:
        properties = pika.BasicProperties(correlation_id=name, expiration="500")
        channel.basic_publish("", "dms.compute-01", b"{}", properties)

    def told(name: str) -> dict[str, Any]:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            method, properties, _body = channel.basic_get("expired", auto_ack=True)
            if method is not None:
                assert properties.correlation_id == name
                (death,) = properties.headers["x-death"]
                return {key: value for key, value in death.items() if key != "time"}
            time.sleep(0.01)
        raise AssertionError(f"{name} never expired")

    send("unread")
    unread = told("unread")
    server, taken = connection.channel(), list[bytes]()
    server.basic_consume("dms.compute-01", lambda *message: taken.append(message[-1]))
    send("read")  # whoever reads already gets it before it can expire
    while not taken:
        connection.process_data_events(time_limit=1)
    server.close()  # it died, and acknowledged nothing
    assert told("read") == unread
    assert unread["reason"] == "expired"
    connection.close()
