"""The RabbitMQ transport by itself, on a real broker."""

import json
from collections.abc import Callable
from typing import Any

import pika

from backend.dms.pika_acks import ACKNOWLEDGE_AT_ONCE
from backend.dms.pika_transport import PikaTransport
from backend.dms.transport import NotDelivered, Replied
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
    many = 2 * ACKNOWLEDGE_AT_ONCE + 1
    for number in range(many):
        call = transport.send("compute-01", body, correlation_id=f"c-{number}", expires=30)
        result = call.wait(30)
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
    grant = ("set_permissions", "-p", "/", server.user, ".*")
    server.control(*grant, "^(?!amq[.]default$).*", ".*")
    refused = transport.send("compute-01", body, correlation_id="refused", expires=120).wait(60)
    assert isinstance(refused, NotDelivered)
    assert "ACCESS_REFUSED" in refused.reason
    server.control(*grant, ".*", ".*")
    answered = transport.send("compute-01", body, correlation_id="granted", expires=60).wait(60)
    assert isinstance(answered, Replied)
    answered.keep()
    assert transport.reply_queue == queue
    transport.close()
