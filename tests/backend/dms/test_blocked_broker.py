"""A broker that is short of memory stops reading from whoever publishes; one may stand still."""

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from backend.dms.client import DMSClient, RabbitMQException, RequestTimeoutException
from tests.fixtures.dms_responder import RabbitResponder, mount_request
from tests.fixtures.rabbitmq import RabbitMQServer

pytestmark = pytest.mark.slow
TIMEOUT = 4.0
Start = Callable[..., Any]


@pytest.fixture
def broker(own_rabbitmq_server: RabbitMQServer) -> RabbitMQServer:
    """An alarm stops everybody who uses the broker."""
    return own_rabbitmq_server


def _alarm(broker: RabbitMQServer, *, on: bool) -> None:
    broker.evaluate(f"ok = vm_memory_monitor:set_vm_memory_high_watermark({0.0 if on else 0.4})")
    _until(lambda: ("memory" in broker.evaluate("rabbit_alarm:get_alarms()")) is on)


def _until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.1)


def test_a_memory_alarm_ends_in_a_named_outcome_and_marks_nothing_mounted(
    broker: RabbitMQServer, mariadb_url: str, start_client: Start, start_responder: Start
):
    url = broker.url(broker.take_vhost())
    server: RabbitResponder = start_responder(url)
    client: DMSClient = start_client(url, TIMEOUT, db_url=mariadb_url)
    _alarm(broker, on=True)

    # Nobody can know whether what lies in the broker's socket will still be carried out.
    with pytest.raises(RequestTimeoutException, match="unknown") as lost:
        client.mount(mount_request())
    assert "within 4 s; the broker takes no requests at the moment (low on" in lost.value.message
    assert client.operations.get(lost.value.operation_id).state == "unknown"

    # By now the broker has said that it is blocked: nothing is sent, and at once.
    answer = client.mount(mount_request(2, "target-2"))
    assert answer["outcome"] == "not_delivered"
    assert "takes no requests at the moment (low on memory)" in answer["error_msg"]
    with pytest.raises(RabbitMQException, match="takes no requests at the moment"):
        client.transport.queue_state("compute-01")
    assert client.get_active_mounts() == []
    assert server.requests == []

    # After the alarm the first request arrives late, and a re-check finds what became of it.
    _alarm(broker, on=False)
    _until(lambda: client.recheck(lost.value.operation_id)["outcome"] == "replied")
    assert [entry.jobid for entry in client.get_active_mounts()] == [1]
    patient = start_client(url, db_url=mariadb_url)
    assert patient.mount(mount_request(2, "target-2"))["outcome"] == "replied"
    assert [request["jobid"] for request in server.requests] == [1, 2]


def test_a_broker_that_stands_still_is_given_nothing_later(
    broker: RabbitMQServer, start_client: Start, start_responder: Start
):
    url = broker.url(broker.take_vhost())
    server: RabbitResponder = start_responder(url)
    client: DMSClient = start_client(url, TIMEOUT)
    pid = broker._processes[-1].pid
    os.kill(pid, signal.SIGSTOP)
    try:
        answer = client.mount(mount_request())
    finally:
        os.kill(pid, signal.SIGCONT)
    assert (answer["status"], answer["outcome"]) == ("error", "not_delivered")
    assert "took nothing in time" in answer["error_msg"]
    assert client.get_active_mounts() == []
    patient = start_client(url)
    assert patient.mount(mount_request(2, "target-2"))["outcome"] == "replied"
    assert [request["jobid"] for request in server.requests] == [2]
