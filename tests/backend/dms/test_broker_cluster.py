"""Queues live on a node of a cluster: what is said and done while that node is away, and when a
reply queue goes away under its client."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pika
import pytest

from backend.dms.client import DMSClient
from backend.dms.errors import RabbitMQException
from backend.dms.pika_transport import PikaTransport
from backend.dms.transport import NotDelivered, PendingCall, Replied
from backend.mounts import orphans, release
from backend.mounts.settings import DmsSettings
from tests.fixtures.dms_responder import mount_request
from tests.fixtures.rabbitmq import RabbitMQServer

pytestmark = pytest.mark.slow
Start = Callable[..., Any]
BODY = json.dumps(mount_request()).encode()


@pytest.fixture
def second(own_rabbitmq_server: RabbitMQServer) -> Iterator[RabbitMQServer]:
    node = own_rabbitmq_server.join()
    yield node
    node.close()
    own_rabbitmq_server.control("forget_cluster_node", node.node)


def send(transport: PikaTransport, number: int, host: str = "compute-01") -> PendingCall:
    return transport.send(host, BODY, correlation_id=f"c-{number}", expires=30)


def on_broker(url: str, act: Callable[[Any], Any]) -> None:
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        act(connection.channel())
    finally:
        connection.close()


def test_a_node_that_is_away_takes_no_client_and_no_host_with_it(
    own_rabbitmq_server: RabbitMQServer,
    second: RabbitMQServer,
    start_responder: Start,
    ledger_url: str,
) -> None:
    """The client's reply queue and one host's queue live on the node that goes away."""
    first = own_rabbitmq_server
    start_responder(first.url())
    on_broker(second.url(), lambda channel: channel.queue_declare("dms.on-second", durable=True))
    both = f"{second.url().rstrip('/')},{first.url()}".replace("%2F", "")
    transport = PikaTransport(both, on_late=lambda *_: None)
    queue = transport.reply_queue
    assert isinstance(send(transport, 1).wait(60), Replied)

    second.stop()
    answered = None
    until = time.monotonic() + 60
    while not isinstance(answered, Replied):
        assert time.monotonic() < until, answered
        try:
            answered = send(transport, 2).wait(30)
        except RabbitMQException as exc:
            answered = exc
    assert transport.reply_queue != queue

    unsent = send(transport, 3, "on-second").wait(60)
    assert isinstance(unsent, NotDelivered)
    assert "dms.on-second is on a node of the broker that is away" in unsent.reason
    with pytest.raises(RabbitMQException, match=r"dms\.on-second is on a node .* that is away"):
        transport.queue_state("on-second")
    transport.close()

    # It is no evidence that the host is dead, and hides no other host's.
    where = DmsSettings("Lab", 1, False, ledger_url, first.url(), 60.0)
    queues, problem = orphans.check_queues(where, ["on-second", "compute-01", "nobody"])
    assert {host: state.exists for host, state in queues.items()} == {
        "compute-01": True,
        "nobody": False,
    }
    assert "dms.on-second is on a node of the broker that is away" in problem
    evidence, refused = release._state(where, "on-second")
    assert evidence == ""
    assert "dms.on-second is on a node of the broker that is away" in refused


def test_a_deleted_reply_queue_is_made_again(
    rabbitmq_url: str, start_client: Start, start_responder: Start
) -> None:
    """Whoever clears a broker up takes it for a dead client's; every later mount was unknown."""
    start_responder(rabbitmq_url)
    client: DMSClient = start_client(rabbitmq_url, timeout=60)
    assert client.mount(mount_request(1))["outcome"] == "replied"
    on_broker(rabbitmq_url, lambda channel: channel.queue_delete(client.transport.reply_queue))
    outcomes = []
    until = time.monotonic() + 60
    while "replied" not in outcomes:
        assert time.monotonic() < until, outcomes
        outcomes.append(client.mount(mount_request(2, "target-2"))["outcome"])
    assert set(outcomes) <= {"not_delivered", "replied"}


def test_a_refused_reply_queue_is_told_with_the_brokers_reason(
    own_rabbitmq_server: RabbitMQServer,
) -> None:
    vhost = own_rabbitmq_server.take_vhost()
    own_rabbitmq_server.control("set_vhost_limits", "-p", vhost, '{"max-queues": 0}')
    with pytest.raises(RabbitMQException, match=r"queue limit in vhost .* is reached"):
        PikaTransport(own_rabbitmq_server.url(vhost), on_late=lambda *_: None)


def test_a_limit_of_channels_is_called_so(own_rabbitmq_server: RabbitMQServer) -> None:
    server = own_rabbitmq_server
    server.control("set_user_limits", server.user, '{"max-channels": 0}')
    try:
        with pytest.raises(RabbitMQException, match="as many channels are open as the broker"):
            PikaTransport(server.url(), on_late=lambda *_: None)
    finally:
        server.control("clear_user_limits", server.user, "all")
