"""Orphans are found by evidence; the scan keeps it for the page and the Overview."""

from datetime import timedelta

import pytest

from backend.connections import environments
from backend.core import clock
from backend.core.access import SYSTEM
from backend.core.alerts import collect
from backend.core.database import Database
from backend.core.errors import InvalidInput, NotPermitted
from backend.dms import schema
from backend.dms.errors import DatabaseException
from backend.dms.ledger import Ledger
from backend.jobs import runner
from backend.jobs import service as jobs
from backend.mounts import orphans, tasks
from backend.mounts import settings as mount_settings
from backend.mounts.errors import ClientError
from backend.mounts.schemas import ORPHAN_KINDS, Filters
from backend.sandbox.dms_agent import GONE_HOST, IDLE_HOST
from tests.fixtures.mounts import MountsEnvironment, add_environment


def _found(database: Database, **arguments: object) -> dict[int, dict[str, str]]:
    with database.read() as session:
        page = orphans.find_now(session, SYSTEM, limit=500, **arguments)  # type: ignore[arg-type]
    return {item.jobid: item.evidence for item in page.items}


class TestEvidence:
    def test_every_kind_is_found_in_the_sandbox(self, database: Database, lab: MountsEnvironment):
        found = _found(database)
        assert {kind for reasons in found.values() for kind in reasons} == set(ORPHAN_KINDS) - {
            "unreadable"
        }

    def test_each_has_the_reasons_it_was_made_for(self, database: Database, lab: MountsEnvironment):
        found = _found(database)
        assert set(found[20_101]) == {"too_old"}
        assert set(found[20_102]) == {"no_consumer"}
        assert set(found[20_103]) == {"too_old", "host_unseen", "no_queue"}
        assert set(found[20_104]) == {"deleted_mounted"}
        assert set(found[20_105]) == {"duplicate"}
        assert set(found[20_106]) == {"unknown_outcome"}
        assert IDLE_HOST in found[20_102]["no_consumer"]
        assert GONE_HOST in found[20_103]["no_queue"]

    def test_live_mounts_are_no_orphans(self, database: Database, lab: MountsEnvironment):
        assert not set(_found(database)) & set(range(20_000, 20_024))

    def test_a_touched_old_mount_is_not_too_old(self, database: Database, lab: MountsEnvironment):
        """A re-mount keeps created_at in other clients; age is counted from the last change."""
        ledger = Ledger(lab.ledger_url)
        now = clock.now().replace(tzinfo=None)
        t = schema.ledger
        ledger.write(
            lambda c: c.execute(t.update().where(t.c.jobid == 20_101).values(updated_at=now))
        )
        ledger.close()
        assert 20_101 not in _found(database)

    def test_filters_and_pages(self, database: Database, lab: MountsEnvironment):
        assert set(_found(database, filters=Filters(host=GONE_HOST))) == {20_103}
        assert set(_found(database, reason="duplicate")) == {20_105}
        with database.read() as session:
            first = orphans.find_now(session, SYSTEM, limit=3)
            assert first.next_cursor
            rest = orphans.find_now(session, SYSTEM, limit=500, cursor=first.next_cursor)
        ids = [item.id for item in (*first.items, *rest.items)]
        assert ids == sorted(set(ids), reverse=True)
        assert len(ids) == 8

    def test_without_a_broker_the_rest_is_still_found(
        self, database: Database, seeded_ledger: str, monkeypatch: pytest.MonkeyPatch
    ):
        where = mount_settings.DmsSettings("", 0, False, seeded_ledger, "", 1.0)
        found = orphans.gather(where, 24)
        assert "queues were not looked at" in found.problem
        assert {kind for o in found.orphans for kind in o.evidence} >= {"too_old", "duplicate"}
        mount_settings.forget_ledgers()

    def test_a_host_with_an_impossible_name_hides_no_other(
        self, database: Database, lab: MountsEnvironment, rabbitmq_url: str
    ):
        """`dms.` and 255 characters are no queue name; asking for it would break the connection."""
        where = mount_settings.DmsSettings("Lab", 1, False, lab.ledger_url, rabbitmq_url, 5.0)
        queues, problem = orphans.check_queues(where, ["h" * 255, "compute-01"])
        assert problem == ""
        assert {name[0]: state.exists for name, state in queues.items()} == {"h": False, "c": False}

    def test_a_scan_stops_at_its_limit_and_says_so(
        self, database: Database, lab: MountsEnvironment, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(orphans, "MAX_SCAN", 10)
        monkeypatch.setattr(orphans, "BATCH", 5)
        assert orphans.scan(database, SYSTEM).complete is False

    @pytest.mark.parametrize(
        "wrong",
        [{"reason": "odd"}, {"cursor": "x"}, {"cursor": "²"}, {"cursor": "9" * 30}, {"limit": 0}],
    )
    def test_wrong_arguments_are_said(
        self, database: Database, lab: MountsEnvironment, wrong: dict[str, object]
    ):
        with database.read() as session, pytest.raises(InvalidInput):
            orphans.find_now(session, SYSTEM, **wrong)  # type: ignore[arg-type]


class TestScan:
    def test_is_kept_for_the_page(self, database: Database, lab: MountsEnvironment):
        watch = orphans.scan(database, SYSTEM)
        assert (watch.orphans, watch.too_old, watch.unknown) == (8, 3, 1)
        with database.read() as session:
            page = orphans.list_found(session, SYSTEM, limit=500)
            assert len(page.items) == 8
            assert page.counts["too_old"] == 3
            only = orphans.list_found(session, SYSTEM, reason="no_queue")
            assert [item.host for item in only.items] == [GONE_HOST]

    def test_a_failed_scan_keeps_the_last_result_and_alerts(
        self, database: Database, lab: MountsEnvironment, monkeypatch: pytest.MonkeyPatch
    ):
        orphans.scan(database, SYSTEM)

        def away(*_: object) -> None:
            raise ClientError(DatabaseException("The ledger is away."))

        monkeypatch.setattr(orphans, "gather", away)
        with pytest.raises(ClientError, match="is away"):
            orphans.scan(database, SYSTEM)
        with database.read() as session:
            assert len(orphans.list_found(session, SYSTEM, limit=500).items) == 8
            texts = [item.text for item in collect(session, SYSTEM).items]
        assert any("not being watched" in text for text in texts)

    def test_the_overview_tells_about_it(self, database: Database, lab: MountsEnvironment):
        orphans.scan(database, SYSTEM)
        with database.read() as session:
            mine = [item for item in collect(session, SYSTEM).items if item.page == "mounts"]
        texts = " ".join(item.text for item in mine)
        assert "3 mounts are older than 24 h" in texts
        assert "1 mount operation has an unknown outcome" in texts
        assert "5 more mounts look orphaned" in texts

    def test_the_overview_forgets_an_environment_at_once_and_not_at_the_next_scan(
        self, database: Database, lab: MountsEnvironment
    ):
        orphans.scan(database, SYSTEM)
        with database.write() as session:
            environments.remove(session, SYSTEM, name=lab.name, confirm_name=lab.name)
        with database.read() as session:
            assert not [item for item in collect(session, SYSTEM).items if item.page == "mounts"]

    def test_the_age_is_configurable(
        self, database: Database, lab: MountsEnvironment, actors: object
    ):
        with database.write() as session:
            orphans.set_max_age(session, actors.operator, hours=24 * 60)  # type: ignore[attr-defined]
        assert orphans.scan(database, SYSTEM).too_old == 0
        with database.write() as session, pytest.raises(NotPermitted):
            orphans.set_max_age(session, actors.viewer, hours=5)  # type: ignore[attr-defined]

    def test_the_schedule_queues_one_job_and_forgets_old_requests(
        self, database: Database, lab: MountsEnvironment
    ):
        from backend.mounts import repository

        with database.write() as session:
            old = repository.add_request(
                session, environment="Lab", kind="mount", operation_id="", ciphertext="x"
            )
            row = repository.find_request(session, old)
            assert row is not None
            row.created_at = clock.now() - timedelta(days=2)
        for _ in range(3):
            tasks.schedule_scan(database)
        with database.read() as session:
            page = jobs.list_jobs(session, SYSTEM, kind="mounts")
            assert [job.kind for job in page.items] == ["mounts.scan"]
            assert repository.find_request(session, old) is None

    def test_a_new_environment_is_looked_at_without_waiting(
        self, database: Database, lab: MountsEnvironment, seeded_ledger: str
    ):
        tasks.schedule_scan(database)
        with database.read() as session:
            [first] = jobs.list_jobs(session, SYSTEM, kind="mounts").items
        runner.run(first.id, database)
        tasks.schedule_scan(database)
        with database.read() as session:
            assert len(jobs.list_jobs(session, SYSTEM, kind="mounts").items) == 1
        add_environment(
            database, ledger_url=seeded_ledger, broker_url="memory://other", name="Other"
        )
        tasks.schedule_scan(database)
        with database.read() as session:
            assert len(jobs.list_jobs(session, SYSTEM, kind="mounts").items) == 2
