"""Replies that a vanished client left in its queue."""

import pika
from pika.exceptions import AMQPError

from .broker_errors import NOT_FOUND, explain
from .brokers import Broker
from .errors import RabbitMQException
from .transport import Store

MOST = 10_000


def collect(broker: Broker, reply_queue: str, store: Store, *, timeout: float) -> None:
    """`store` what waits in `reply_queue`, at most MOST; each is taken from it once it is stored.

    Nothing when there is no such queue. Raises RabbitMQException, and what `store` raises.
    """
    try:
        _collect(broker, reply_queue, store, timeout)
    except (AMQPError, ValueError) as exc:
        raise RabbitMQException(explain(exc, broker.address).sentence) from exc


def _collect(broker: Broker, reply_queue: str, store: Store, timeout: float) -> None:
    connection = pika.BlockingConnection(broker.parameters(timeout=timeout))
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
