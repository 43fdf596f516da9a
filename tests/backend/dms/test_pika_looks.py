"""Looks before requests: how many are made, and how old what they found may be."""

from types import SimpleNamespace
from typing import Any

import pytest

from backend.dms import pika_looks
from backend.dms.pika_looks import FRESH, Looks
from backend.dms.transport import QueueState

HOST = "compute-01"
SERVED = QueueState(exists=True, consumers=1, depth=0)
DESERTED = QueueState(exists=True, consumers=0, depth=0)


class Broker:
    """The other end of pika: channels that open at once, questions answered when a test says so."""

    is_closing = is_closed = False

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.closed: list[Any] = []

    def channel(self, on_open_callback: Any) -> None:
        on_open_callback(self)

    def add_on_close_callback(self, callback: Any) -> None:
        self.closed.append(callback)

    def queue_declare(self, queue: str, *, passive: bool, callback: Any) -> None:
        assert passive
        self.asked.append((queue, callback))

    @property
    def connection(self) -> "Broker":
        return self

    def answer(self, number: int, state: QueueState) -> None:
        method = SimpleNamespace(consumer_count=state.consumers, message_count=state.depth)
        self.asked[number][1](SimpleNamespace(method=method))


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(pika_looks, "time", made)
    return made


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def looks(broker: Broker) -> Looks:
    made = Looks(lambda: None)
    made.attach(broker)
    return made


def test_requests_that_come_together_share_one_look(
    looks: Looks, broker: Broker, clock: Clock
) -> None:
    heard: list[QueueState | None] = []
    looks.ask_for_request(HOST, heard.append)
    looks.ask_for_request(HOST, heard.append)
    assert [queue for queue, _ in broker.asked] == ["dms.compute-01"]
    broker.answer(0, SERVED)
    clock.now += FRESH * 0.9
    looks.ask_for_request(HOST, heard.append)
    assert heard == [SERVED] * 3
    assert len(broker.asked) == 1


def test_what_was_found_longer_ago_is_not_believed(
    looks: Looks, broker: Broker, clock: Clock
) -> None:
    heard: list[QueueState | None] = []
    looks.ask_for_request(HOST, heard.append)
    broker.answer(0, SERVED)
    clock.now += FRESH * 1.1
    looks.ask_for_request(HOST, heard.append)
    broker.answer(1, DESERTED)
    assert heard == [SERVED, DESERTED]


def test_that_nobody_reads_is_looked_at_again_for_the_next_request(
    looks: Looks, broker: Broker, clock: Clock
) -> None:
    heard: list[QueueState | None] = []
    looks.ask_for_request(HOST, heard.append)
    broker.answer(0, DESERTED)
    looks.ask_for_request(HOST, heard.append)
    broker.answer(1, SERVED)
    assert heard == [DESERTED, SERVED]


def test_one_host_says_nothing_about_another(looks: Looks, broker: Broker, clock: Clock) -> None:
    heard: list[QueueState | None] = []
    looks.ask_for_request(HOST, heard.append)
    broker.answer(0, SERVED)
    looks.ask_for_request("compute-02", heard.append)
    assert [queue for queue, _ in broker.asked] == ["dms.compute-01", "dms.compute-02"]
    assert heard == [SERVED]


def test_whoever_asks_for_the_state_gets_the_one_of_now(
    looks: Looks, broker: Broker, clock: Clock
) -> None:
    heard: list[QueueState | None] = []
    looks.ask_for_request(HOST, heard.append)
    broker.answer(0, SERVED)
    looks.ask(HOST, heard.append)
    broker.answer(1, DESERTED)
    assert heard == [SERVED, DESERTED]


def test_a_look_sent_ahead_serves_the_request_that_follows(
    looks: Looks, broker: Broker, clock: Clock
) -> None:
    heard: list[QueueState | None] = []
    looks.send_ahead(HOST)
    looks.ask_for_request(HOST, heard.append)
    broker.answer(0, SERVED)
    looks.send_ahead(HOST)  # what was just found is young enough
    assert (heard, len(broker.asked)) == ([SERVED], 1)
    clock.now += FRESH * 0.6
    looks.send_ahead(HOST)
    assert len(broker.asked) == 2


def test_an_absent_queue_is_told_to_all_who_wait_and_the_next_look_is_asked_on_a_new_channel(
    looks: Looks, broker: Broker, clock: Clock
) -> None:
    heard: list[QueueState | None] = []
    looks.ask_for_request(HOST, heard.append)
    looks.ask_for_request(HOST, heard.append)
    looks.ask_for_request("compute-02", heard.append)
    broker.closed[0](broker, SimpleNamespace(reply_code=pika_looks.NOT_FOUND))
    assert heard == [QueueState(False, 0, 0)] * 2
    assert [queue for queue, _ in broker.asked][2:] == ["dms.compute-02"]
    broker.answer(2, SERVED)
    assert heard[2:] == [SERVED]


def test_a_lost_connection_is_told_and_nothing_found_before_is_kept(
    looks: Looks, broker: Broker, clock: Clock
) -> None:
    heard: list[QueueState | None] = []
    looks.ask_for_request("compute-02", heard.append)
    broker.answer(0, SERVED)
    looks.ask_for_request(HOST, heard.append)
    looks.detach()
    assert heard == [SERVED, None]
    looks.attach(broker)
    looks.ask_for_request("compute-02", heard.append)
    assert [queue for queue, _ in broker.asked][2:] == ["dms.compute-02"]
