"""What several processes counted is one sum, however their writes meet."""

import json
import threading

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from backend.core import metric_totals
from backend.core.database import Database, StateDatabaseDown
from backend.core.metric_totals import MetricTotal


class Process:
    """The counters of one process, and what it has added of them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.added: dict[tuple[str, str], float] = {}
        self.jobs = Counter("t_jobs", "Jobs.", ("kind", "outcome"), registry=self.registry)
        self.seconds = Histogram("t_s", "Time.", ("kind",), buckets=(1, 10), registry=self.registry)


def act(monkeypatch: pytest.MonkeyPatch, one: Process, database: Database) -> None:
    monkeypatch.setattr(metric_totals, "SHARED", one.registry)
    monkeypatch.setattr(metric_totals, "_added", one.added)
    metric_totals.add(database)


def sums(database: Database) -> dict[tuple[str, ...], float]:
    with database.read() as session:
        rows = list(
            session.scalars(
                select(MetricTotal).where(MetricTotal.name.startswith("t_", autoescape=True))
            )
        )
        return {(row.name, *json.loads(row.labels).values()): row.value for row in rows}


JOB = ("t_jobs_total", "sync", "succeeded")


def test_two_processes_are_added_and_nothing_twice(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = Process(), Process()
    one.jobs.labels("sync", "succeeded").inc(3)
    two.jobs.labels("sync", "succeeded").inc(4)
    for _again in range(2):
        act(monkeypatch, one, database)
        act(monkeypatch, two, database)
    assert sums(database) == {JOB: 7}
    one.jobs.labels("sync", "succeeded").inc()
    act(monkeypatch, one, database)
    act(monkeypatch, Process(), database)  # one that has counted nothing yet
    assert sums(database) == {JOB: 8}


def test_a_row_that_another_made_meanwhile_is_added_to_the_next_time(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Process()
    one.jobs.labels("sync", "succeeded").inc(2)
    write = metric_totals._write

    def lost(*_: object) -> None:
        raise IntegrityError("INSERT", {}, Exception("duplicate"))

    monkeypatch.setattr(metric_totals, "_write", lost)
    act(monkeypatch, one, database)
    assert sums(database) == {}
    monkeypatch.setattr(metric_totals, "_write", write)
    act(monkeypatch, one, database)
    assert sums(database) == {JOB: 2}


def test_a_row_that_another_made_at_the_same_moment_is_added_to(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command has no next time: it ends."""
    one, two = Process(), Process()
    one.jobs.labels("sync", "succeeded").inc(2)
    two.jobs.labels("sync", "succeeded").inc(3)
    write = metric_totals._write

    def late(*_: object) -> None:
        monkeypatch.setattr(metric_totals, "_write", write)
        act(monkeypatch, two, database)
        raise IntegrityError("INSERT", {}, Exception("duplicate"))

    monkeypatch.setattr(metric_totals, "_lock", threading.RLock())
    monkeypatch.setattr(metric_totals, "SHARED", one.registry)
    monkeypatch.setattr(metric_totals, "_write", late)
    act(monkeypatch, one, database)
    assert sums(database) == {JOB: 5}


def test_what_the_database_did_not_take_waits(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Process()
    one.jobs.labels("sync", "succeeded").inc(2)
    write = metric_totals._write

    def away(*_: object) -> None:
        raise StateDatabaseDown("away")

    monkeypatch.setattr(metric_totals, "_write", away)
    with pytest.raises(StateDatabaseDown):
        act(monkeypatch, one, database)
    monkeypatch.setattr(metric_totals, "_write", write)
    act(monkeypatch, one, database)
    assert sums(database) == {JOB: 2}


def test_a_histogram_comes_out_as_prometheus_writes_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Process()
    one.seconds.labels("sync").observe(5)
    act(monkeypatch, one, database)
    text = generate_latest(metric_totals.Totals(database)).decode()
    said = [line for line in text.splitlines() if line.startswith("t_s")]
    assert said == [
        't_s_bucket{kind="sync",le="1.0"} 0.0',
        't_s_bucket{kind="sync",le="10.0"} 1.0',
        't_s_bucket{kind="sync",le="+Inf"} 1.0',
        't_s_count{kind="sync"} 1.0',
        't_s_sum{kind="sync"} 5.0',
    ]
