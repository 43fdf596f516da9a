"""The dramatiq broker: in this process by default, RabbitMQ when PORTAL_BROKER_URL says so.

A message carries one job id and nothing else; the job's row is the truth, so a message may be
lost (recovery sends it again) or delivered twice (only one claim succeeds).
"""

import threading
from collections.abc import Collection
from typing import Any

import dramatiq
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import ShutdownNotifications

from backend.core.log import get_logger
from backend.core.settings import get_settings
from backend.jobs.sender import Sender

log = get_logger(__name__)
#: What any worker may do, and what only the portal's own process can: the sandbox's servers listen
#: on its loopback.
JOBS, SANDBOX = "portal.jobs", "portal.sandbox"
_ACTOR_NAMES = {JOBS: "portal.run_job", SANDBOX: "portal.run_sandbox_job"}
_THREADS = 4
#: Seconds that a broker whose memory or disk alarm is on may keep a connection waiting.
_BLOCKED = 10.0

_lock = threading.Lock()
_broker: dramatiq.Broker | None = None
_actors: dict[str, Any] = {}
_sender = Sender()


def is_remote() -> bool:
    """Whether jobs go to RabbitMQ and separate workers."""
    return bool(get_settings().broker_url.get_secret_value())


def get_broker() -> dramatiq.Broker:
    """The process's broker with an actor for each queue declared on it."""
    global _broker
    with _lock:
        if _broker is None:
            _broker = _make()
            for queue, name in _ACTOR_NAMES.items():
                declare = dramatiq.actor(broker=_broker, actor_name=name, queue_name=queue)
                _actors[queue] = declare(_run)
        return _broker


def consume(queues: Collection[str]) -> dramatiq.Worker:
    """Start threads that run the jobs of these queues."""
    made = get_broker()
    declared = list(made.middleware)
    worker = dramatiq.Worker(made, queues=set(queues), worker_threads=_THREADS, worker_timeout=200)
    worker.start()
    # What it added would tell it of a queue declared later, and none is. Left there, dramatiq warns
    # of "middleware of the same type twice" when the next one starts.
    made.middleware[:] = declared
    return worker


def send(job_id: int, queue: str) -> bool:
    """Send the message for a job; False when the broker is away (recovery will send it again)."""
    try:
        get_broker()
        actor = _actors[queue]
        if is_remote():
            _sender.run(lambda: actor.send(job_id))
        else:
            actor.send(job_id)
    except Exception as exc:
        # Any broker failure: the row stays queued and the sweeper tries again.
        log.warning(
            "A job's message could not be sent; it will be sent again.",
            job_id=job_id,
            error=str(exc) or type(exc).__name__,
        )
        return False
    return True


def ask() -> None:
    """Log in at RabbitMQ, and out again. Raises AMQPError or OSError, within half a minute."""
    import pika

    made: Any = get_broker()
    connection = pika.BlockingConnection(made.parameters)
    connection.channel()
    connection.close()


def wait_until_reached(seconds: float) -> bool:
    """Whether the queues of `consume` have been listened to by then, once; at RabbitMQ."""
    made: Any = get_broker()
    return bool(made.reached.wait(seconds))


def reset() -> None:
    """Forget the broker (tests, and settings that changed)."""
    global _broker
    with _lock:
        if _broker is not None:
            _broker.close()
        _broker = None
        _actors.clear()


def _make() -> dramatiq.Broker:
    url = get_settings().broker_url.get_secret_value()
    if not url:
        return StubBroker(middleware=[ShutdownNotifications()])
    from backend.jobs.remote import RemoteBroker

    made = RemoteBroker(url=url, confirm_delivery=True, middleware=[ShutdownNotifications()])
    several = isinstance(made.parameters, list)  # one of several brokers, with ; between them
    for each in made.parameters if several else [made.parameters]:
        if each.blocked_connection_timeout is None:
            each.blocked_connection_timeout = _BLOCKED
    return made


def _run(job_id: int) -> None:
    from backend.jobs import runner

    runner.run(job_id)
