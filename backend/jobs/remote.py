"""RabbitMQ as the broker: that it cannot be reached is said once, and again when it is back.

Dramatiq connects in threads of its own, for each queue, and tries every few seconds for ever.
"""

import logging
import threading
from typing import Any

from dramatiq import Consumer
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.errors import BrokerConnectionError, ConnectionClosed
from pika.exceptions import AMQPChannelError, AMQPError

from backend.core.log import get_logger

log = get_logger(__name__)

AWAY = "RabbitMQ takes no connection. Jobs wait until it does."
_REFUSES = "RabbitMQ refuses this process's queue. Jobs wait until it does not."
BACK = "RabbitMQ takes connections again."
#: What dramatiq says in each of its threads, every three seconds.
_SAID = ("Consumer encountered a connection error", "Restarting consumer")


class RemoteBroker(RabbitmqBroker):
    """Knows whether its queues are being listened to."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        #: Set once a queue has been listened to.
        self.reached = threading.Event()
        self._away: set[str] = set()
        self._turn = threading.Lock()

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Consumer:
        """Raises BrokerConnectionError, after it was said."""
        _silence(queue_name)
        try:
            consumer = super().consume(queue_name, prefetch, timeout)
        except BrokerConnectionError as exc:
            self._lost(queue_name, exc.args[0] if exc.args else exc)
            raise
        except (AMQPError, OSError) as exc:  # a host name that nobody knows
            self._lost(queue_name, exc)
            raise ConnectionClosed(exc) from None
        self._found(queue_name)
        return consumer

    def _lost(self, queue: str, cause: BaseException) -> None:
        with self._turn:
            first = not self._away
            self._away.add(queue)
        if first:
            refused = isinstance(cause, AMQPChannelError)
            log.warning(_REFUSES if refused else AWAY, address=self._address(), error=repr(cause))

    def _found(self, queue: str) -> None:
        with self._turn:
            was_away = queue in self._away
            self._away.discard(queue)
            back = was_away and not self._away
        if back:
            log.info(BACK, address=self._address())
        self.reached.set()

    def _address(self) -> str:
        several = self.parameters if isinstance(self.parameters, list) else [self.parameters]
        return ", ".join(f"{each.host}:{each.port}" for each in several)


class _SaidHere(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith(_SAID)


_filter = _SaidHere()


def _silence(queue: str) -> None:
    logging.getLogger(f"dramatiq.worker.ConsumerThread({queue})").addFilter(_filter)
