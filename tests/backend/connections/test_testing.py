"""Tests of connections: history, drafts, all at once, DataHub's client info after it."""

import logging
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from backend.connections import (
    alerts,
    client_info,
    environments,
    health,
    probing,
    tasks,
    testing,
)
from backend.connections.schemas import ConnectionConfig, TestResult
from backend.core import clock
from backend.core.access import SYSTEM
from backend.core.audit import AuditEvent
from backend.core.database import Database
from backend.core.errors import InvalidInput, NotFound, NotPermitted
from backend.jobs import runner
from backend.jobs import service as jobs
from backend.models import Connection, ConnectionTest
from tests.backend.connections.bad_server import BadServer
from tests.backend.connections.conftest import VALID, Save


@pytest.fixture
def instant(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[ConnectionConfig]]:
    """Probes answer at once; returns what was probed."""
    seen: list[ConnectionConfig] = []

    def run(config: ConnectionConfig, **_: object) -> TestResult:
        from backend.core import clock

        seen.append(config)
        return TestResult(config.kind, True, 1, tested_at=clock.now())

    monkeypatch.setattr(probing, "run", run)
    return seen


class TestRun:
    def test_the_result_is_kept_with_who_and_when(
        self, save: Save, database: Database, actors: object
    ) -> None:
        save("tokenization")
        testing.run(database, actors.admin, environment="Prod", kind="tokenization")
        with database.read() as session:
            past = testing.history(session, SYSTEM, environment="Prod", kind="tokenization")
        assert [(item.ok, item.tested_by, item.draft) for item in past] == [
            (True, "admin@example.org", False)
        ]
        assert past[0].tested_at

    def test_what_is_not_configured_is_a_failed_result_with_the_command(
        self, save: Save, database: Database
    ) -> None:
        result = testing.run(database, SYSTEM, environment=None, kind="aws")
        assert not result.ok
        assert "not configured" in result.cause
        assert "connections set Prod aws" in result.advice

    def test_settings_that_were_replaced_meanwhile_say_nothing_of_the_saved_ones(
        self, save: Save, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        save("postgres")
        probe = probing.run

        def save_others(config: ConnectionConfig, **options: object) -> TestResult:
            save("postgres", {**VALID["postgres"], "database": "other"})
            return probe(config)

        monkeypatch.setattr(probing, "run", save_others)
        assert testing.run(database, SYSTEM, environment=None, kind="postgres").draft
        with database.read() as session:
            (found,) = health.overview(session, SYSTEM)
        assert [item.state for item in found.connections] == ["untested"]

    def test_history_is_bounded(
        self, save: Save, database: Database, instant: list[ConnectionConfig]
    ) -> None:
        save("tokenization")
        for _ in range(testing.KEEP + 5):
            testing.run(database, SYSTEM, environment=None, kind="tokenization")
        with database.read() as session:
            assert session.scalar(select(func.count()).select_from(ConnectionTest)) == testing.KEEP

    def test_an_unknown_environment_or_kind_is_refused(
        self, save: Save, database: Database
    ) -> None:
        with pytest.raises(NotFound, match="Nope"):
            testing.run(database, SYSTEM, environment="Nope", kind="aws")
        with pytest.raises(InvalidInput, match="nope"):
            testing.run(database, SYSTEM, environment=None, kind="nope")

    def test_an_environment_deleted_meanwhile_is_no_error(
        self, save: Save, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        save("tokenization")

        def delete_then_answer(config: ConnectionConfig, **_: object) -> TestResult:
            with database.write() as session:
                environments.remove(session, SYSTEM, name="Prod", confirm_name="Prod")
            return TestResult(config.kind, True, 1)

        monkeypatch.setattr(probing, "run", delete_then_answer)
        assert testing.run(database, SYSTEM, environment=None, kind="tokenization").ok

    @pytest.mark.parametrize("role", ["viewer", "steward"])
    def test_only_operators_and_admins_may(
        self, save: Save, database: Database, actors: object, role: str
    ) -> None:
        actor = getattr(actors, role)
        with pytest.raises(NotPermitted, match="connections:connection:test"):
            testing.run(database, actor, environment=None, kind="tokenization")
        with pytest.raises(NotPermitted, match="connections:connection:test"):
            testing.run_all(database, actor, environment=None)

    def test_an_operator_tests_what_is_saved_and_no_draft(
        self, save: Save, database: Database, actors: Any
    ) -> None:
        """A draft may name another address, where the stored secret would be sent to."""
        save("tokenization")
        assert testing.run(database, actors.operator, environment=None, kind="tokenization").ok
        draft = testing.Draft({})
        with pytest.raises(NotPermitted, match="connections:connection:write"):
            testing.run(
                database, actors.operator, environment=None, kind="tokenization", draft=draft
            )

    def test_a_result_of_other_settings_is_no_health(self, save: Save, database: Database) -> None:
        save("tokenization", {"scheme": "hmac-sha256"})
        assert testing.run(database, SYSTEM, environment=None, kind="tokenization").ok
        with database.read() as session:
            assert testing.latest(session, SYSTEM, environment="Prod")["tokenization"].ok
            assert health.overview(session, SYSTEM)[0].connections[0].state == "ok"
        save("tokenization", {"scheme": "base64"})
        with database.read() as session:
            assert not testing.latest(session, SYSTEM, environment="Prod")
            assert health.overview(session, SYSTEM)[0].connections[0].state == "untested"

    def test_it_is_audited(self, save: Save, database: Database) -> None:
        save("tokenization")
        testing.run(database, SYSTEM, environment=None, kind="tokenization")
        with database.read() as session:
            row = session.scalars(select(AuditEvent).order_by(AuditEvent.id.desc())).first()
        assert row is not None
        assert (row.action, row.subject, row.outcome) == (
            "connections:connection:test",
            "tokenization of Prod",
            "succeeded",
        )


class TestDraft:
    def test_unsaved_edits_are_tested_and_nothing_is_saved(
        self, save: Save, database: Database, instant: list[ConnectionConfig]
    ) -> None:
        save("postgres", None, {"password": "stored"})
        draft = testing.Draft({**VALID["postgres"], "database": "other"}, {"password": ""})
        result = testing.run(database, SYSTEM, environment=None, kind="postgres", draft=draft)
        assert result.draft
        assert instant[0].settings["database"] == "other"
        assert instant[0].secrets == {"password": "stored"}
        assert save("postgres", {}).settings["database"] == "d"

    def test_a_typed_secret_is_used_and_a_kind_need_not_be_saved_before(
        self, save: Save, database: Database, instant: list[ConnectionConfig]
    ) -> None:
        draft = testing.Draft(VALID["ledger"], {"password": "typed"})
        testing.run(database, SYSTEM, environment=None, kind="ledger", draft=draft)
        assert instant[0].secrets == {"password": "typed"}
        assert "typed" not in repr(draft)

    def test_does_not_count_as_the_connections_health(
        self, save: Save, database: Database, instant: list[ConnectionConfig]
    ) -> None:
        draft = testing.Draft(VALID["ledger"])
        testing.run(database, SYSTEM, environment=None, kind="ledger", draft=draft)
        with database.read() as session:
            assert testing.latest(session, SYSTEM, environment="Prod") == {}

    def test_an_incomplete_one_is_refused(self, save: Save, database: Database) -> None:
        with pytest.raises(InvalidInput, match="needs"):
            testing.run(
                database,
                SYSTEM,
                environment=None,
                kind="postgres",
                draft=testing.Draft({"host": "h"}),
            )


class TestRunAll:
    def test_every_configured_kind_is_tested_once(
        self, save: Save, database: Database, instant: list[ConnectionConfig]
    ) -> None:
        for kind, settings in VALID.items():
            save(kind, settings, {"secret_access_key": "s"} if kind == "aws" else {})
        results = testing.run_all(database, SYSTEM, environment="prod")
        assert [item.kind for item in results] == list(VALID)

    def test_hanging_ones_wait_at_the_same_time(
        self, save: Save, database: Database, bad_server: BadServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        save("postgres", {**VALID["postgres"], "port": str(bad_server.port)})
        save("ledger", {"url": f"mysql+pymysql://u@127.0.0.1:{bad_server.port}/d"})
        save("rabbitmq", {"url": f"amqp://u:p@127.0.0.1:{bad_server.port}/"})
        real, all_three = probing.run, threading.Barrier(3)

        def run(config: ConnectionConfig) -> TestResult:
            all_three.wait(60)  # one after the other, the first would wait in vain
            return real(config, deadline=0.5)

        monkeypatch.setattr(probing, "run", run)
        results = testing.run_all(database, SYSTEM, environment=None)
        assert [item.ok for item in results] == [False] * 3

    def test_nothing_configured_is_nothing_tested(self, save: Save, database: Database) -> None:
        assert testing.run_all(database, SYSTEM, environment=None) == ()


class TestBySchedule:
    """What nobody tests is tested all the same, or its failure would be told to nobody."""

    def _age(self, database: Database, **time: float) -> None:
        with database.write() as session:
            at = clock.now() - timedelta(**time)
            session.execute(update(ConnectionTest).values(tested_at=at))
            session.execute(update(Connection).values(updated_at=at))

    def _due(self, database: Database) -> list[str]:
        with database.read() as session:
            return [kind for _, kind in testing.overdue(session)]

    def test_what_costs_money_is_left_to_people(self, save: Save, database: Database) -> None:
        save("databricks")
        save("rabbitmq")
        self._age(database, hours=7)
        assert self._due(database) == ["rabbitmq"]

    def _queued(self, database: Database) -> list[int]:
        tasks.schedule_tests(database)
        with database.read() as session:
            found = jobs.list_jobs(session, SYSTEM, states=("queued",), kind="connections.test")
        return [each.id for each in found.items]

    @pytest.mark.usefixtures("instant")
    def test_what_was_not_tested_for_long_is(self, save: Save, database: Database) -> None:
        save("tokenization")
        testing.run(database, SYSTEM, environment=None, kind="tokenization")
        save("rabbitmq")
        assert self._due(database) == self._queued(database) == []
        self._age(database, hours=7)
        assert self._due(database) == ["rabbitmq", "tokenization"]
        (job,) = self._queued(database)
        assert self._queued(database) == [job]
        runner.run(job, database)
        with database.read() as session:
            assert jobs.get(session, SYSTEM, job_id=job).state == "succeeded"
        assert self._due(database) == []

    def test_the_same_again_is_no_new_line(
        self, save: Save, database: Database, actors: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ok = [True]
        monkeypatch.setattr(
            probing,
            "run",
            lambda config: TestResult(config.kind, ok[0], 1, cause="" if ok[0] else "Refused.",
                                      tested_at=clock.now()),
        )  # fmt: skip
        save("tokenization")

        def again() -> list[bool]:
            self._age(database, hours=7)
            testing.run_overdue(database, SYSTEM, progress=lambda *_: None)
            with database.read() as session:
                past = testing.history(session, SYSTEM, environment="Prod", kind="tokenization")
                audited = session.scalar(
                    select(func.count()).where(AuditEvent.action == "connections:connection:test")
                )
            assert audited == len(past)
            return [item.ok for item in past]

        assert again() == again() == [True]
        ok[0] = False
        assert again() == again() == [False, True]
        testing.run(database, actors.admin, environment=None, kind="tokenization")
        assert again() == [False, False, False, True]

    @pytest.mark.usefixtures("instant")
    def test_one_that_cannot_be_read_does_not_hold_up_the_others(
        self, save: Save, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        save("rabbitmq")
        save("tokenization")
        real = testing.resolve.find_in

        def find_in(session: Any, number: int, *, kind: str) -> Any:
            if kind == "rabbitmq":
                raise InvalidInput("Its secret cannot be read.")
            return real(session, number, kind=kind)

        monkeypatch.setattr(testing.resolve, "find_in", find_in)
        self._age(database, hours=7)
        counts = testing.run_overdue(database, SYSTEM, progress=lambda *_: None)
        assert counts == {"ok": 1, "failed": 0}


class TestClientInfoAfterATest:
    def test_a_failed_test_marks_it_failed_and_keeps_what_was_known(
        self, save: Save, database: Database
    ) -> None:
        save("datahub")
        assert not testing.run(database, SYSTEM, environment=None, kind="datahub").ok
        with database.read() as session:
            info = client_info.get(session, SYSTEM)
        assert info.connection_status == "failed"
        assert "listens" in info.error_message
        assert info.failing_since
        assert info.stale

    def test_its_own_failure_does_not_fail_the_test(
        self,
        save: Save,
        database: Database,
        instant: list[ConnectionConfig],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        save("datahub")
        with caplog.at_level(logging.INFO):
            assert testing.run(database, SYSTEM, environment=None, kind="datahub").ok
        with database.read() as session:
            assert client_info.get(session, SYSTEM).connection_status == "failed"

    def test_a_bug_in_it_does_not_fail_the_test(
        self,
        save: Save,
        database: Database,
        instant: list[ConnectionConfig],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def broken(*_: object) -> None:
            raise RuntimeError("a bug")

        save("datahub")
        monkeypatch.setattr(client_info, "_retrieve", broken)
        assert testing.run(database, SYSTEM, environment=None, kind="datahub").ok


class TestAwsNames:
    @pytest.mark.parametrize(
        ("role", "sees"), [("viewer", False), ("steward", False), ("operator", True)]
    )
    def test_are_for_roles_that_may_read_the_mapping(
        self,
        save: Save,
        database: Database,
        actors: object,
        monkeypatch: pytest.MonkeyPatch,
        role: str,
        sees: bool,
    ) -> None:
        def run(config: ConnectionConfig, **_: object) -> TestResult:
            from backend.core import clock

            return TestResult(
                config.kind,
                False,
                1,
                "account 4711",
                "No function billing-lambda.",
                "Make billing-lambda.",
                tested_at=clock.now(),
            )

        monkeypatch.setattr(probing, "run", run)
        save("aws", None, {"secret_access_key": "s"})
        testing.run(database, SYSTEM, environment=None, kind="aws")
        actor = getattr(actors, role)
        with database.read() as session:
            seen = (
                testing.history(session, actor, environment="Prod", kind="aws"),
                testing.latest(session, actor, environment="Prod"),
                health.overview(session, actor),
                alerts.alerts(session, actor),
            )
        for item in seen:
            assert ("billing-lambda" in str(item)) is sees
            if not sees:
                assert "4711" not in str(item)
