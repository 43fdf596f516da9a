"""Alive is not ready: what each of the two says when the state is locked, full or headless."""

import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from fastapi.testclient import TestClient

from backend.core.database import Database
from backend.jobs import broker, readiness, schedule
from tests.fixtures.api import rest_app


@pytest.fixture
def client(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setattr(readiness, "FRESH", 0.0)
    with TestClient(rest_app(), raise_server_exceptions=False) as client:
        yield client


def test_ready_while_a_leader_exists(client: TestClient, database: Database) -> None:
    assert client.get("/readyz").json()["checks"]["leader"].startswith("No process")
    assert schedule.lead(database)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
    assert set(answer.json()["checks"]) == {"state", "migrations", "broker", "leader"}
    assert client.head("/readyz").status_code == 200


def test_a_locked_state_is_not_ready_and_the_process_lives(
    client: TestClient, database: Database, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule.lead(database)
    monkeypatch.setattr(readiness, "DEADLINE", 0.3)
    with sqlite3.connect(database.engine.url.database or "") as other:
        other.execute("BEGIN IMMEDIATE")
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert "did not answer within" in answer.json()["checks"]["state"]
        assert client.get("/healthz").status_code == 200
        other.rollback()


def test_a_state_that_takes_no_write_is_not_ready(client: TestClient, database: Database) -> None:
    schedule.lead(database)
    with database.write() as session:
        session.connection().exec_driver_sql(
            "CREATE TRIGGER full BEFORE INSERT ON schedule_marks"
            " BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
        )
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (503, "unavailable")
    assert answer.json()["checks"]["state"] != "ok"


def test_a_broker_that_is_away_is_named(
    client: TestClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule.lead(database)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    away = RabbitmqBroker(url=f"amqp://guest:guest@127.0.0.1:{port}/?connection_attempts=1")
    monkeypatch.setattr(broker, "is_remote", lambda: True)
    monkeypatch.setattr(broker, "get_broker", lambda: away)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["broker"].startswith("RabbitMQ takes no connection.")


def test_a_schema_that_is_not_this_versions_is_not_ready(
    client: TestClient, database: Database
) -> None:
    schedule.lead(database)
    with database.write() as session:
        session.connection().exec_driver_sql("UPDATE alembic_version SET version_num='0001_core'")
    assert "0001_core" in client.get("/readyz").json()["checks"]["migrations"]
