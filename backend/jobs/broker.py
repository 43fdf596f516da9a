"""The dramatiq broker: in this process by default, RabbitMQ when PORTAL_BROKER_URL says so.

A message carries one job id and nothing else; the job's row is the truth, so a message may be
lost (recovery sends it again) or delivered twice (only one claim succeeds).
"""

import threading
from typing import Any

import dramatiq
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import ShutdownNotifications

from backend.core.log import get_logger
from backend.core.settings import get_settings

log = get_logger(__name__)
QUEUE = "portal.jobs"
ACTOR_NAME = "portal.run_job"

_lock = threading.Lock()
_broker: dramatiq.Broker | None = None
_actor: Any = None


def is_remote() -> bool:
    """Whether jobs go to RabbitMQ and separate workers."""
    return bool(get_settings().broker_url.get_secret_value())


def get_broker() -> dramatiq.Broker:
    """The process's broker with the portal's one actor declared on it."""
    global _broker, _actor
    with _lock:
        if _broker is None:
            _broker = _make()
            _actor = dramatiq.actor(_run, broker=_broker, actor_name=ACTOR_NAME, queue_name=QUEUE)
        return _broker


def send(job_id: int) -> bool:
    """Send the message for a job; False when the broker is away (recovery will send it again)."""
    try:
        get_broker()
        _actor.send(job_id)
    except Exception as exc:
        # Any broker failure: the row stays queued and the sweeper tries again.
        log.warning(
            "A job's message could not be sent; it will be sent again.",
            job_id=job_id,
            error=str(exc),
        )
        return False
    return True


def reset() -> None:
    """Forget the broker (tests, and settings that changed)."""
    global _broker, _actor
    with _lock:
        if _broker is not None:
            _broker.close()
        _broker = _actor = None


def _make() -> dramatiq.Broker:
    url = get_settings().broker_url.get_secret_value()
    if not url:
        return StubBroker(middleware=[ShutdownNotifications()])
    from dramatiq.brokers.rabbitmq import RabbitmqBroker

    return RabbitmqBroker(url=url, confirm_delivery=True, middleware=[ShutdownNotifications()])


def _run(job_id: int) -> None:
    from backend.jobs import runner

    runner.run(job_id)
