"""The RabbitMQ transport by itself, on a real broker."""

import json
from collections.abc import Callable
from typing import Any

import pika

from backend.dms.pika_acks import ACKNOWLEDGE_AT_ONCE
from backend.dms.pika_transport import PikaTransport
from backend.dms.transport import Replied
from tests.fixtures.dms_responder import mount_request

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
