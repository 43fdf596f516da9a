"""Replies that a vanished client left in its queue."""

import pika
from pika.exceptions import AMQPError

from backend.dms.errors import RabbitMQException
from backend.integrations.rabbitmq.errors import explain
from backend.integrations.rabbitmq.parameters import parameters

NOT_FOUND = 404
MOST = 10_000


def collect(url: str, reply_queue: str, *, timeout: float) -> list[tuple[str, bytes]]:
    """(correlation id, body) of what waits in `reply_queue`, taken from it; at most MOST.

    Empty when there is no such queue. Raises RabbitMQException.
    """
    try:
        return _collect(url, reply_queue, timeout)
    except AMQPError as exc:
        raise RabbitMQException(explain(exc, url).message) from exc


def _collect(url: str, reply_queue: str, timeout: float) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    connection = pika.BlockingConnection(parameters(url, timeout=timeout))
    try:
        channel = connection.channel()
        while len(found) < MOST:
            method, properties, body = channel.basic_get(reply_queue, auto_ack=True)
            if method is None:
                break
            found.append((properties.correlation_id or "", body))
    except pika.exceptions.ChannelClosedByBroker as exc:
        if exc.reply_code != NOT_FOUND:
            raise
    finally:
        if connection.is_open:
            connection.close()
    return found
