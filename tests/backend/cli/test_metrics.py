"""What a command did is in /metrics, as what a worker did."""

import sys

import pytest
import typer
from prometheus_client import CollectorRegistry, Counter
from sqlalchemy import select

from backend.cli import common
from backend.core import metric_totals
from backend.core.database import Database, StateDatabaseDown
from backend.core.errors import InvalidInput
from backend.core.metric_totals import MetricTotal


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter:
    """A counter of this test's process alone."""
    registry = CollectorRegistry()
    monkeypatch.setattr(metric_totals, "SHARED", registry)
    monkeypatch.setattr(metric_totals, "_added", {})
    monkeypatch.setattr(sys, "argv", ["backend"])
    common.database.cache_clear()
    return Counter("t_calls", "Calls.", registry=registry)


def command(*steps: object) -> object:
    """A command that does these one after the other; an error is raised."""
    app = typer.Typer(add_completion=False)

    @app.command()
    def work() -> None:
        for step in steps:
            if isinstance(step, Exception):
                raise step
            step()

    return typer.main.get_command(app)


def sums(database: Database) -> list[float]:
    with database.read() as session:
        query = select(MetricTotal.value).where(MetricTotal.name == "t_calls_total")
        return list(session.scalars(query))


def test_what_a_command_counted_is_added(database: Database, calls: Counter) -> None:
    assert common.run(command(common.database, calls.inc)) == 0
    assert common.run(command(common.database, calls.inc)) == 0
    assert sums(database) == [2]


def test_what_a_refused_command_counted_is_added(database: Database, calls: Counter) -> None:
    assert common.run(command(common.database, calls.inc, InvalidInput("No."))) == 1
    assert sums(database) == [1]


def test_a_command_without_the_state_leaves_it_alone(database: Database, calls: Counter) -> None:
    assert common.run(command(calls.inc)) == 0
    assert sums(database) == []


def test_a_command_is_not_failed_by_figures_that_cannot_be_added(
    database: Database,
    calls: Counter,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def away(*_: object) -> None:
        raise StateDatabaseDown("The state database is away.")

    monkeypatch.setenv("PORTAL_LOG_LEVEL", "INFO")
    common.get_settings.cache_clear()
    monkeypatch.setattr(metric_totals, "_write", away)
    assert common.run(command(common.database, calls.inc)) == 0
    assert "The state database is away." in capsys.readouterr().err
    assert sums(database) == []
