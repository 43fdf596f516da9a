"""What sending a job asks of a real RabbitMQ, and how long it waits for one that takes nothing."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from backend.core.database import Database
from backend.core.settings import get_settings
from backend.jobs import broker, readiness
from tests.fixtures.rabbitmq import RabbitMQServer

pytestmark = pytest.mark.slow


@pytest.fixture
def remote(
    own_rabbitmq_server: RabbitMQServer, data_dir: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RabbitMQServer]:
    monkeypatch.setenv("PORTAL_BROKER_URL", own_rabbitmq_server.url())
    get_settings.cache_clear()
    broker.reset()
    yield own_rabbitmq_server
    broker.reset()


def sent_from_a_thread(job_id: int, seconds: float = 60.0) -> list[bool]:
    """Of a page or request, which run in threads that end; [] while it hangs."""
    said: list[bool] = []
    thread = threading.Thread(target=lambda: said.append(broker.send(job_id, broker.JOBS)))
    thread.daemon = True
    thread.start()
    thread.join(seconds)
    return said


def test_threads_that_end_leave_no_connection(remote: RabbitMQServer, database: Database) -> None:
    """Each kept its own open for ever, the check of /readyz too: files ran out within an hour."""
    for number in range(5):
        assert sent_from_a_thread(number) == [True]
        assert readiness._within(readiness._broker, database).result(30) == readiness.OK
    # of a page that goes on, and of the one thread that sends
    assert len(remote.control("list_connections", "pid").split("\n<")) - 1 <= 1


def test_a_broker_with_an_alarm_holds_nobody(remote: RabbitMQServer) -> None:
    """It takes a message and confirms it once the alarm is over; the row is sent again then."""
    assert sent_from_a_thread(1) == [True]
    remote.control("set_vm_memory_high_watermark", "0")
    try:
        assert sent_from_a_thread(2) == [False]
        assert sent_from_a_thread(3) == [False]
    finally:
        remote.control("set_vm_memory_high_watermark", "0.4")
    said: list[bool] = []
    for _ in range(60):
        said = sent_from_a_thread(4)
        if said == [True]:
            break
        threading.Event().wait(1.0)
    assert said == [True]
