"""What operators do: permitted, audited, carried out once, secrets kept."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select

from backend.core import audit
from backend.core.access import SYSTEM
from backend.core.audit import AuditEvent
from backend.core.database import Database
from backend.core.errors import InvalidInput, NotPermitted
from backend.jobs import runner
from backend.jobs import service as jobs
from backend.models import Job, MountRequestBox
from backend.mounts import actions, explorer, repository, targets
from backend.mounts.errors import (
    ClientError,
    MountNotFound,
    OperationNotFound,
    RequestGone,
    StillMounted,
)
from backend.mounts.schemas import Filters
from backend.sandbox.dms_broker import broker
from tests.fixtures.dms_responder import mount_request
from tests.fixtures.mounts import MountsEnvironment


def _events(database: Database) -> list[tuple[str, str, str]]:
    with database.read() as session:
        rows = session.scalars(select(AuditEvent).order_by(AuditEvent.number))
        return [(e.action, e.phase, e.outcome) for e in rows if e.action.startswith("mounts:")]


def _mount(database: Database, jobid: int, target: str = "fresh", **more: Any) -> dict[str, Any]:
    request = mount_request(jobid=jobid, target=target, host="compute-02")
    return actions.run(database, SYSTEM, kind="mount", request=request, **more)


class TestRun:
    def test_a_mount_is_audited_before_and_after(self, database: Database, lab: MountsEnvironment):
        response = _mount(database, 1)
        assert (response["status"], response["outcome"]) == ("success", "replied")
        assert _events(database) == [
            ("mounts:mount:mount", "intent", ""),
            ("mounts:mount:mount", "outcome", "succeeded"),
        ]
        with database.read() as session:
            assert audit.verify(session).ok
            [entry] = explorer.status(session, SYSTEM, job=1, target="fresh").items
            details = explorer.details(session, SYSTEM, key=entry.key)
        assert [event.phase for event in details.events] == ["outcome", "intent"]
        assert details.operations[0].actor == "system"

    def test_a_refusal_is_a_response_and_audited(self, database: Database, lab: MountsEnvironment):
        response = _mount(database, 1, target="nfs-archive-offline")
        assert response["status"] == "error"
        assert _events(database)[-1] == ("mounts:mount:mount", "outcome", "replied")

    def test_an_answer_with_half_a_character_is_a_success_and_audited(
        self, database: Database, lab: MountsEnvironment
    ):
        said = rb'{"status": "success", "error_msg": null, "success_msg": "mounted /mnt/caf\udce9"}'
        name = lab.broker_url.removeprefix("memory://").split("?")[0]
        consumer = broker(name).consume("dms.compute-77", lambda _body: [said])
        request = mount_request(host="compute-77")
        response = actions.run(database, SYSTEM, kind="mount", request=request)
        consumer.stop()
        assert (response["status"], response["outcome"]) == ("success", "replied")
        assert _events(database)[-1] == ("mounts:mount:mount", "outcome", "succeeded")

    def test_a_wrong_request_leaves_no_trace(self, database: Database, lab: MountsEnvironment):
        with pytest.raises(ClientError, match="The request was not sent") as refused:
            actions.run(database, SYSTEM, kind="mount", request={"host": "x"})
        assert refused.value.status == 422
        assert _events(database) == []

    def test_no_audit_row_holds_a_secret(self, database: Database, lab: MountsEnvironment):
        request = mount_request(host="compute-02")
        actions.run(database, SYSTEM, kind="mount", request=request)
        with database.read() as session:
            rows = session.scalars(select(AuditEvent)).all()
            text = " ".join(f"{row.subject} {row.details}" for row in rows)
        assert request["keystone_token"] not in text
        assert "barbican" not in text

    @pytest.mark.parametrize("role", ["viewer", "steward"])
    def test_others_may_not(
        self, database: Database, lab: MountsEnvironment, actors: SimpleNamespace, role: str
    ):
        actor = getattr(actors, role)
        with pytest.raises(NotPermitted):
            actions.run(database, actor, kind="mount", request=mount_request())
        with pytest.raises(NotPermitted):
            actions.submit(database, actor, kind="mount", request=mount_request())
        with pytest.raises(NotPermitted):
            actions.delete(database, actor, job=1, target="t")
        assert _events(database) == []

    def test_without_a_broker_it_is_refused(
        self, database: Database, seeded_ledger: str, monkeypatch: pytest.MonkeyPatch
    ):
        from backend.core.settings import get_settings

        monkeypatch.setenv("DMS_DB_URL", seeded_ledger)
        get_settings.cache_clear()
        with pytest.raises(ClientError, match="No broker is configured"):
            _mount(database, 1)


class TestSubmit:
    def test_the_job_mounts_once_and_its_request_is_gone(
        self, database: Database, lab: MountsEnvironment, actors: SimpleNamespace
    ):
        request = mount_request(jobid=9, target="fresh", host="compute-02")
        job_id = actions.submit(database, actors.operator, kind="mount", request=request)
        with database.read() as session:
            box = session.scalars(select(MountRequestBox)).one()
            row = session.get(Job, job_id)
            stored = box.ciphertext + json.dumps(row.arguments) + row.subject
        assert request["keystone_token"] not in stored
        runner.run(job_id, database)
        with database.read() as session:
            view = jobs.get(session, SYSTEM, job_id=job_id)
            assert session.scalars(select(MountRequestBox)).all() == []
        assert view.state == "succeeded"
        assert view.result is not None
        assert view.result["outcome"] == "replied"
        with pytest.raises(RequestGone):
            actions.run_submitted(database, actors.operator, request_id=box.id)

    def test_a_template_keeps_its_secret(
        self, database: Database, lab: MountsEnvironment, actors: SimpleNamespace
    ):
        with database.write() as session:
            view = targets.save(
                session, actors.operator, target_id="by-name", type="s3", mount_path="/mnt/n",
                secret_ref="http://barbican/very-secret",
            )  # fmt: skip
        assert view.secret_set
        assert "very-secret" not in repr(view)
        job_id = actions.submit_form(
            database, actors.operator, kind="mount", target_id="by-name", host="compute-02",
            jobid=3, keystone_token="tok-1234",
        )  # fmt: skip
        seen = []
        queue = broker(lab.broker_url.split("?")[0].removeprefix("memory://"))
        original = queue.publish
        queue.publish = lambda q, m: (seen.append(json.loads(m.body)), original(q, m))[1]  # type: ignore[method-assign, func-returns-value]
        runner.run(job_id, database)
        assert seen[0]["backup_target"]["secret_ref"] == "http://barbican/very-secret"
        assert seen[0]["keystone_token"] == "tok-1234"

    def test_there_are_no_more_templates_than_a_list_shows(
        self,
        database: Database,
        lab: MountsEnvironment,
        actors: SimpleNamespace,
        monkeypatch: pytest.MonkeyPatch,
    ):
        def save(target_id: str, mount_path: str = "/m") -> None:
            with database.write() as session:
                targets.save(
                    session, actors.operator, target_id=target_id, type="s3",
                    mount_path=mount_path, secret_ref="ref-1",
                )  # fmt: skip

        monkeypatch.setattr(repository, "MAX_TARGETS", 1)
        save("one")
        with pytest.raises(InvalidInput, match="has 1 templates, as many as there may be"):
            save("two")
        save("one", "/changed")
        with database.read() as session:
            (view,) = targets.list_targets(session, actors.operator)
        assert view.mount_path == "/changed"

    def test_rotation_reaches_templates(
        self, database: Database, lab: MountsEnvironment, actors: SimpleNamespace
    ):
        from backend.core import secret_rotation, secret_store

        with database.write() as session:
            targets.save(
                session, actors.operator, target_id="t", type="s3", mount_path="/m",
                secret_ref="ref-1",
            )  # fmt: skip
        with database.write() as session:
            counts = secret_rotation.rotate(session, SYSTEM, vault=secret_store.get_vault())
        assert counts["mount_targets"] == 1


class TestDelete:
    def test_what_is_mounted_is_refused(self, database: Database, lab: MountsEnvironment):
        _mount(database, 5)
        with pytest.raises(StillMounted):
            actions.delete(database, SYSTEM, job=5, target="fresh")
        request = mount_request(jobid=5, target="fresh", host="compute-02")
        actions.run(database, SYSTEM, kind="unmount", request=request)
        assert actions.delete(database, SYSTEM, job=5, target="fresh") == 1
        with pytest.raises(MountNotFound):
            actions.delete(database, SYSTEM, job=5, target="fresh")
        with database.read() as session:
            entry = explorer.list_mounts(session, SYSTEM, filters=Filters(job=5)).items[0]
            details = explorer.details(session, SYSTEM, key=entry.key)
        assert {event.action.rpartition(":")[2] for event in details.events} == {
            "mount", "unmount", "delete",
        }  # fmt: skip
        deletes = [e for e in _events(database) if e[0] == "mounts:entry:delete"]
        assert [outcome for _a, _p, outcome in deletes] == [
            "", "refused", "", "succeeded", "", "failed",
        ]  # fmt: skip


class TestPreview:
    def test_shows_the_other_jobs_and_what_will_be_sent(
        self, database: Database, lab: MountsEnvironment
    ):
        for jobid in (1, 2):
            _mount(database, jobid)
        with database.read() as session:
            [entry] = explorer.status(session, SYSTEM, job=1, target="fresh").items
            plan = actions.preview_unmount(session, SYSTEM, key=entry.key)
        assert not plan.sends
        assert [other.jobid for other in plan.others] == [2]
        request = mount_request(jobid=2, target="fresh", host="compute-02")
        actions.run(database, SYSTEM, kind="unmount", request=request)
        with database.read() as session:
            plan = actions.preview_unmount(session, SYSTEM, key=entry.key)
        assert plan.sends
        assert "physical unmount" in plan.why


class TestRecheck:
    def test_an_unknown_operation_is_looked_up(self, database: Database, lab: MountsEnvironment):
        with database.read() as session:
            [unknown] = explorer.list_operations(session, SYSTEM, status="unknown").items
        response = actions.run(database, SYSTEM, kind="recheck", operation_id=unknown.operation_id)
        assert response["outcome"] == "unknown"
        again = mount_request(
            jobid=unknown.jobid, target=unknown.backup_target_id, host=unknown.host
        )
        response = actions.run(
            database, SYSTEM, kind="recheck", operation_id=unknown.operation_id, request=again
        )
        assert (response["status"], response["outcome"]) == ("success", "replied")
        with database.read() as session:
            settled = explorer.operation(session, SYSTEM, operation_id=unknown.operation_id)
        assert settled.status == "settled"

    def test_an_operation_that_is_not_there_is_said(
        self, database: Database, lab: MountsEnvironment
    ):
        with pytest.raises(OperationNotFound):
            actions.run(database, SYSTEM, kind="recheck", operation_id="nobody")
