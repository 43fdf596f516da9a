"""Starting a run: once, recorded, and honest about what AWS said."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import text, update

from backend.connections import service as connections
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.core.errors import InvalidInput, InvalidPayload, NotPermitted
from backend.ingestion import runs, service
from backend.ingestion.errors import (
    AlreadyRunning,
    NoMapping,
    PayloadTooLarge,
    StartFailed,
    UnknownDataset,
)
from backend.ingestion.schemas import Request, RunFilter, RunView
from backend.models.ingestion import IngestionRun
from backend.sandbox.aws import AwsStandIn
from backend.sandbox.datahub import StandIn
from tests.backend.ingestion.conftest import JOB, OTHER, URN, AddRule

Start = Callable[..., RunView]


class TestLambda:
    def test_an_accepted_run_is_recorded_with_its_exact_payload(
        self, start: Start, mapped: str, aws: AwsStandIn, actors: SimpleNamespace
    ) -> None:
        run = start(URN, job_urn=JOB, reason="late file", metadata={"ticket": 7})
        [sent] = aws.starts("Invoke")
        assert sent.payload == {
            "datasetUrn": URN,
            "jobUrn": JOB,
            "reason": "late file",
            "actor": actors.operator.name,
            "actorUrn": f"urn:li:corpuser:{actors.operator.name}",
            "runId": run.run_id,
            "metadata": {"ticket": 7},
        }
        assert json.loads(run.payload) == sent.payload
        assert (run.status, run.settled, run.active, run.existence) == (
            "accepted", False, True, "unchecked",
        )  # fmt: skip
        assert run.request_id == sent.request_id

    def test_run_ids_can_name_an_execution(self, start: Start, mapped: str) -> None:
        assert re.fullmatch(r"[0-9A-Za-z_-]{1,80}", start().run_id)

    def test_intent_and_outcome_are_audited(
        self, start: Start, mapped: str, database: Database
    ) -> None:
        run = start()
        with database.read() as session:
            rows = session.execute(
                text(
                    "select phase, outcome, details from audit_events"
                    " where action = 'ingestion:run:start' order by number"
                )
            ).all()
        assert [(phase, outcome) for phase, outcome, _ in rows] == [
            ("intent", ""), ("outcome", "accepted"),
        ]  # fmt: skip
        assert all(run.run_id in details for *_, details in rows)

    def test_a_missing_function_fails_the_run_and_names_it(
        self, start: Start, add_rule: AddRule, aws: AwsStandIn
    ) -> None:
        add_rule("exact", URN, "gone-lambda")
        with pytest.raises(StartFailed, match="gone-lambda does not exist in us-east-1") as told:
            start()
        run = told.value.run
        assert (told.value.status, run.status, run.settled, run.active) == (
            404, "failed", True, False,
        )  # fmt: skip
        assert aws.starts() == []

    @pytest.mark.parametrize(
        ("fault", "status"),
        [
            ({"status": 429, "code": "TooManyRequestsException"}, 503),
            ({"status": 502, "code": "EC2UnexpectedException"}, 502),
            ({"status": 503, "code": "ServiceUnavailableException"}, 503),
            ({"status": 403, "code": "AccessDeniedException"}, 502),
        ],
    )
    def test_a_refused_start_is_a_failed_run_and_may_be_tried_again(
        self, start: Start, mapped: str, aws: AwsStandIn, fault: dict[str, Any], status: int
    ) -> None:
        with (
            aws.faults.inject(operation="Invoke", invocation="Event", **fault),
            pytest.raises(StartFailed, match="AWS Lambda") as told,
        ):
            start()
        assert (told.value.status, told.value.run.status) == (status, "failed")
        assert start().status == "accepted"
        assert len(aws.starts()) == 1

    def test_a_lost_answer_is_unknown_and_the_dataset_stays_taken(
        self, start: Start, mapped: str, aws: AwsStandIn
    ) -> None:
        with (
            aws.faults.inject(operation="Invoke", invocation="Event", drop="after"),
            pytest.raises(StartFailed, match="not sent again") as told,
        ):
            start()
        run = told.value.run
        assert (told.value.status, run.status, run.active, run.settled) == (
            504, "unknown", True, False,
        )  # fmt: skip
        with pytest.raises(AlreadyRunning) as taken:
            start()
        assert taken.value.run.run_id == run.run_id
        assert len(aws.starts("Invoke")) == 1

    def test_no_credentials(
        self, start: Start, mapped: str, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
        monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
        with database.write() as session:
            connections.save(
                session, SYSTEM, environment="dev", kind="aws",
                settings={"access_key_id": ""}, clear_secrets=("secret_access_key",),
            )  # fmt: skip
        with pytest.raises(StartFailed, match="no usable credentials") as told:
            start()
        assert told.value.run.status == "failed"

    def test_the_wrong_region(self, start: Start, mapped: str, database: Database) -> None:
        with database.write() as session:
            connections.save(
                session, SYSTEM, environment="dev", kind="aws", settings={"region": "eu-west-3"}
            )
        with pytest.raises(StartFailed, match="does not exist in eu-west-3"):
            start()


class TestStepFunctions:
    def test_the_run_id_names_the_execution(
        self, start: Start, aws: AwsStandIn, add_rule: AddRule
    ) -> None:
        machine = aws.add_machine("nightly", seconds=3_600)
        add_rule("exact", URN, machine)
        run = start()
        [sent] = aws.starts("StartExecution")
        assert sent.payload["name"] == run.run_id
        assert json.loads(sent.payload["input"]) == json.loads(run.payload)
        assert (run.machine_type, run.can_stop) == ("STANDARD", True)

    def test_an_express_machine_is_told_apart(
        self, start: Start, aws: AwsStandIn, add_rule: AddRule
    ) -> None:
        add_rule("exact", URN, aws.add_machine("fast", kind="EXPRESS"))
        run = start()
        assert (run.machine_type, run.can_stop, run.status) == ("EXPRESS", False, "accepted")
        assert "EXPRESS" in run.detail

    def test_a_deleted_machine_fails_the_run(
        self, start: Start, aws: AwsStandIn, add_rule: AddRule
    ) -> None:
        machine = aws.add_machine("nightly")
        aws._client("stepfunctions").delete_state_machine(stateMachineArn=machine)
        add_rule("exact", URN, machine)
        with pytest.raises(StartFailed, match="nightly does not exist") as told:
            start()
        assert told.value.status == 404

    def test_the_jobs_property_chooses_the_machine(
        self,
        start: Start,
        aws: AwsStandIn,
        datahub: StandIn,
        setenv: Callable[..., None],
    ) -> None:
        machine = aws.add_machine("of-the-job", seconds=3_600)
        prop = "urn:li:structuredProperty:io.example.arn"
        datahub.seed_data_job(JOB, structured={prop: [machine]})
        setenv(DATAHUB_INGESTION_JOB_ARN_PROPERTY_URN=prop)
        run = start(URN, job_urn=JOB)
        assert run.target is not None
        assert (run.rule, run.target.name, run.existence) == ("job_property", machine, "exists")


class TestRefusals:
    def test_no_mapping(self, start: Start) -> None:
        with pytest.raises(NoMapping) as told:
            start()
        assert told.value.status == 404

    def test_a_dataset_that_datahub_does_not_know(
        self, start: Start, datahub: StandIn, add_rule: AddRule
    ) -> None:
        add_rule("default", "", "fallback")
        with pytest.raises(UnknownDataset) as told:
            start("urn:li:dataset:(urn:li:dataPlatform:athena,nobody.knows,PROD)")
        assert told.value.status == 400

    def test_text_that_is_no_text(self, start: Start, mapped: str) -> None:
        with pytest.raises(InvalidInput):
            start(URN, idempotency_key="k" * 201)
        with pytest.raises(InvalidPayload):
            start(URN, metadata={"a": float("nan")})
        with pytest.raises(InvalidPayload):
            start(URN, reason="\ud800")

    @pytest.mark.parametrize("role", ["viewer", "steward"])
    def test_roles_that_may_not(
        self, start: Start, mapped: str, actors: SimpleNamespace, role: str
    ) -> None:
        with pytest.raises(NotPermitted):
            start(URN, actor=getattr(actors, role))


class TestWhoSeesWhat:
    @pytest.mark.parametrize("role", ["viewer", "steward"])
    def test_no_aws_name_reaches_roles_without_the_right(
        self, start: Start, database: Database, aws: AwsStandIn, add_rule: AddRule,
        actors: SimpleNamespace, role: str,
    ) -> None:  # fmt: skip
        machine = aws.add_machine("nightly", seconds=3_600)
        add_rule("exact", URN, machine)
        add_rule("exact", OTHER, "gone-lambda")
        start(URN)
        with pytest.raises(StartFailed):
            start(OTHER)
        with database.read() as session:
            page = service.list_runs(session, getattr(actors, role))
        shown = json.dumps([run.document() for run in page.items]) + repr(page)
        assert len(page.items) == 2
        for name in ("arn:aws", "nightly", "gone-lambda", "us-east-1", "/aws/lambda"):
            assert name not in shown
        assert "An admin has to correct the mapping" in shown


class TestRecent:
    def test_tells_when_runs_were_asked_for_and_how_they_stand(
        self, start: Start, mapped: str, database: Database, actors: SimpleNamespace,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        asked = [start(URN, actor=actors.admin)]
        with database.write() as session:
            service.release(session, actors.operator, run_id=asked[0].run_id)
        asked.append(start(URN))
        with database.write() as session:
            session.execute(
                update(IngestionRun)
                .where(IngestionRun.run_id == asked[0].run_id)
                .values(created_at=asked[0].created_at - timedelta(days=8))
            )
        with database.read() as session:
            week = service.recent(session, actors.viewer, days=7)
            month = service.recent(session, actors.viewer, days=30)
            mine = RunFilter(actor_name=actors.admin.name)
            some = service.recent(session, actors.viewer, wanted=mine)
            assert week.moments == ((asked[1].created_at, "accepted"),)
            assert (len(month.moments), len(some.moments), month.complete) == (2, 1, True)
            monkeypatch.setattr(service, "MAX_MOMENTS", 1)
            cut = service.recent(session, actors.viewer)
            assert (cut.moments, cut.complete) == (week.moments, False)
            with pytest.raises(InvalidInput):
                service.recent(session, actors.viewer, wanted=RunFilter(statuses=("gone",)))


class TestPreview:
    def test_it_shows_everything_and_starts_nothing(
        self, database: Database, mapped: str, aws: AwsStandIn, start: Start,
        actors: SimpleNamespace,
    ) -> None:  # fmt: skip
        run = start()
        seen = runs.preview(database, actors.operator, Request(URN, reason="again"))
        assert seen.resolution.answer is not None
        assert seen.resolution.answer.target.name == mapped
        assert seen.payload["reason"] == "again"
        assert [last.run_id for last in seen.last_runs] == [run.run_id]
        assert seen.running is not None
        assert (seen.running.run_id, seen.target_problem) == (run.run_id, "")
        assert len(aws.starts()) == 1

    def test_a_mapping_that_points_at_nothing_is_said_before_the_run(
        self, database: Database, add_rule: AddRule, actors: SimpleNamespace
    ) -> None:
        add_rule("exact", URN, "gone-lambda")
        seen = runs.preview(database, actors.operator, Request(URN))
        assert "gone-lambda does not exist" in seen.target_problem


def test_a_rerun_uses_the_same_words_and_points_back(
    start: Start, mapped: str, database: Database, actors: SimpleNamespace, aws: AwsStandIn
) -> None:
    first = start(URN, reason="late file", metadata={"ticket": 7})
    with database.write() as session:
        service.release(session, actors.operator, run_id=first.run_id)
    again = runs.rerun(database, actors.operator, run_id=first.run_id)
    assert again.rerun_of == first.run_id
    assert aws.starts()[-1].payload | {"runId": ""} == aws.starts()[0].payload | {"runId": ""}


@pytest.mark.parametrize(("kind", "limit"), [("lambda", 1_048_576), ("stepfunctions", 262_144)])
def test_the_payload_may_have_as_many_bytes_as_aws_takes(
    start: Start, aws: AwsStandIn, add_rule: AddRule, kind: str, limit: int
) -> None:
    aws.add_function("f", seconds=60)
    add_rule("default", "", "f" if kind == "lambda" else aws.add_machine("m", seconds=60))
    small = start(URN)
    room = limit - len(small.payload.encode())
    with pytest.raises(PayloadTooLarge, match=f"AWS takes {limit:,} here"):
        start(OTHER, reason="x" * (room + 1))
    assert len(start(OTHER, reason="x" * room).payload.encode()) == limit
    assert len(aws.starts()) == 2
