"""After a crash at any instant the source database says how a run ended."""

from typing import Any

import pytest
from sqlalchemy import update

from backend.core.access import SYSTEM
from backend.core.errors import UpstreamUnavailable
from backend.jobs import service as jobs
from backend.models import Job, TokenizationRun
from backend.tokenization import reconcile, tasks
from backend.tokenization.engines.base import CommitUnknown, Outcome
from backend.tokenization.engines.postgres import rewrite
from backend.tokenization.engines.postgres.engine import PostgresEngine
from backend.tokenization.errors import TableBusy
from backend.tokenization.schemas import RunState
from tests.backend.tokenization.world import (
    World,
    customers,
)


def plain(world: World) -> int:
    """Customers whose address is still readable."""
    return int(world.source.column("SELECT count(*) FROM customers WHERE email LIKE '%@%'")[0])


class TestReconcile:
    """The job's second call, after a crash: it finds out and does not run again."""

    def crash(self, world: World, monkeypatch: pytest.MonkeyPatch, *, committed: bool) -> int:
        """Leave a run as a killed process would: running, its transaction ended either way."""
        from backend.tokenization import execution

        view = world.start("customers", "email")
        original = rewrite.commit

        def die(connection: Any) -> None:
            if committed:
                original(connection)
            raise KeyboardInterrupt

        monkeypatch.setattr(rewrite, "commit", die)
        with pytest.raises(KeyboardInterrupt):
            world.work(view)
        monkeypatch.setattr(rewrite, "commit", original)
        assert world.view(view.id).state is RunState.RUNNING
        assert execution
        return view.id

    def second_call(self, world: World, run_id: int) -> Any:
        class Context:
            database = world.database

        return tasks.run(Context(), run_id=run_id)

    def test_a_committed_run_is_recognised_and_written_back(
        self, catalogued: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run_id = self.crash(catalogued, monkeypatch, committed=True)

        document = self.second_call(catalogued, run_id)

        assert document["status"] == "succeeded"
        assert document["rows_updated"] == 50
        assert "The database confirms that the run was committed" in document["details"]
        assert catalogued.tags() == {"tokenize/done", "tokenize/status:SUCCESS"}

    def test_a_rolled_back_run_is_interrupted(
        self, catalogued: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run_id = self.crash(catalogued, monkeypatch, committed=False)

        document = self.second_call(catalogued, run_id)

        assert (document["status"], document["rows_updated"]) == ("interrupted", 0)
        assert "everything was rolled back" in document["details"]
        assert catalogued.tags() == {"tokenize/run", "tokenize/status:FAILED"}
        assert catalogued.source.column(
            "SELECT count(*) FROM customers WHERE email LIKE '%@%'"
        ) == [50]

    @pytest.mark.parametrize("committed", [True, False])
    def test_a_server_that_has_forgotten_is_asked_for_the_content(
        self, world: World, monkeypatch: pytest.MonkeyPatch, committed: bool
    ) -> None:
        customers(world.source)
        run_id = self.crash(world, monkeypatch, committed=committed)
        monkeypatch.setattr(PostgresEngine, "outcome", lambda *_, **__: Outcome.UNKNOWN)

        document = self.second_call(world, run_id)

        assert document["status"] == ("succeeded" if committed else "interrupted")

    @pytest.mark.parametrize("committed", [True, False])
    def test_while_a_statement_may_be_at_work_only_tokens_prove_anything(
        self, world: World, monkeypatch: pytest.MonkeyPatch, committed: bool
    ) -> None:
        customers(world.source)
        run_id = self.crash(world, monkeypatch, committed=committed)
        monkeypatch.setattr(PostgresEngine, "outcome", lambda *_, **__: Outcome.MAY_BE_RUNNING)

        document = self.second_call(world, run_id)

        assert document["status"] == ("succeeded" if committed else "unknown")
        assert ("50 rows hold plain values" in document["details"]) is not committed

    def test_an_answer_lost_at_the_commit_is_looked_up_at_once(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        customers(world.source)
        original = rewrite.commit

        def lose_the_answer(connection: Any) -> None:
            original(connection)
            raise CommitUnknown("PostgreSQL", "the connection broke")

        monkeypatch.setattr(rewrite, "commit", lose_the_answer)

        view = world.work(world.start("customers", "email"))

        assert (view.state, view.rows_updated) == (RunState.SUCCEEDED, 50)

    def test_while_the_source_is_away_it_stays_unknown_and_holds_the_table(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        customers(world.source)
        run_id = self.crash(world, monkeypatch, committed=True)

        def away(*_: Any, **__: Any) -> None:
            raise UpstreamUnavailable("PostgreSQL", "nothing listens")

        with monkeypatch.context() as patch:
            patch.setattr(PostgresEngine, "outcome", away)
            assert self.second_call(world, run_id)["status"] == "unknown"
            with pytest.raises(TableBusy):
                world.start("customers", "email")

        # The job has ended without knowing; the schedule asks again.
        self.end_job(world, run_id)
        tasks.reconcile_abandoned(world.database)
        assert world.view(run_id).state is RunState.SUCCEEDED

    def end_job(self, world: World, run_id: int) -> None:
        from backend.models import Job

        with world.database.write() as session:
            job = session.get(Job, world.view(run_id).job_id)
            assert job is not None
            job.state = "interrupted"


class TestOfABackup:
    """A run that was open in a backup may have gone on after it: the table is asked."""

    def restore(self, world: World, backup: dict[str, Any]) -> None:
        """The rows of then, and what `restore` does at its end."""
        with world.database.write() as session:
            session.execute(update(TokenizationRun).values(**backup))
            session.execute(update(Job).values(state="queued", finished_at=None, error=None))
            jobs.interrupt_open(session, SYSTEM)

    def back_up(self, world: World, run_id: int) -> dict[str, Any]:
        with world.database.read() as session:
            row = session.get_one(TokenizationRun, run_id)
            names = [column.name for column in TokenizationRun.__table__.columns]
            return {name: getattr(row, name) for name in names}

    def test_one_that_waited_and_ran_afterwards(self, world: World) -> None:
        customers(world.source)
        view = world.start("customers", "email")
        backup = self.back_up(world, view.id)
        assert world.work(view).state is RunState.SUCCEEDED
        self.restore(world, backup)
        assert world.view(view.id).state is RunState.QUEUED
        reconcile.reconcile_abandoned(world.database)
        found = world.view(view.id)
        assert (found.state, found.rows_updated) == (RunState.SUCCEEDED, None)
        assert "the portal's state is that of a backup" in found.details

    def test_one_that_waited_and_did_not(self, world: World) -> None:
        customers(world.source)
        view = world.start("customers", "email")
        self.restore(world, self.back_up(world, view.id))
        reconcile.reconcile_abandoned(world.database)
        found = world.view(view.id)
        assert found.state is RunState.INTERRUPTED
        assert "50 rows hold plain values" in found.details
