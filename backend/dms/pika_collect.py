"""Replies that a vanished client left in its queue."""

import pika
from pika.exceptions import AMQPError

from backend.dms.errors import RabbitMQException
from backend.dms.transport import Store
from backend.integrations.rabbitmq.errors import explain
from backend.integrations.rabbitmq.parameters import parameters

NOT_FOUND = 404
MOST = 10_000


def collect(url: str, reply_queue: str, store: Store, *, timeout: float) -> None:
    """`store` what waits in `reply_queue`, at most MOST; each is taken from it once it is stored.

    Nothing when there is no such queue. Raises RabbitMQException, and what `store` raises.
    """
    try:
        _collect(url, reply_queue, store, timeout)
    except (AMQPError, ValueError) as exc:
        raise RabbitMQException(explain(exc, url).message) from exc


def _collect(url: str, reply_queue: str, store: Store, timeout: float) -> None:
    connection = pika.BlockingConnection(parameters(url, timeout=timeout))
    try:
        channel = connection.channel()
        for _ in range(MOST):
            method, properties, body = channel.basic_get(reply_queue)
            if method is None:
                break
            store(properties.correlation_id or "", body)
            channel.basic_ack(method.delivery_tag)
    except pika.exceptions.ChannelClosedByBroker as exc:
        if exc.reply_code != NOT_FOUND:
            raise
    finally:
        if connection.is_open:
            connection.close()
