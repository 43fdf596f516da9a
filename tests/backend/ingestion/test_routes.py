"""POST /api/ingestion/run and what can be read after it, with DESIGN 5.4's status codes."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from fastapi.testclient import TestClient

from backend.api.app import create_app
from backend.core.database import Database
from backend.ingestion import dispatch, runs
from backend.ingestion.schemas import Request
from backend.sandbox.aws import AwsStandIn
from backend.sandbox.datahub import StandIn
from tests.backend.ingestion.conftest import JOB, OTHER, URN, AddRule, Headers


class TestRun:
    def test_the_seeds_contract(
        self,
        client: TestClient,
        token: Headers,
        mapped: str,
        aws: AwsStandIn,
    ) -> None:
        answer = client.post(
            "/api/ingestion/run",
            headers=token("operator"),
            json={"datasetUrn": URN, "jobUrn": JOB, "reason": "late file"},
        )
        assert answer.status_code == 200
        document = answer.json()
        assert document["status"] == "started"
        assert aws.starts()[0].payload["runId"] == document["runId"]
        assert aws.starts()[0].payload["actor"] == "operator-bot"
        assert aws.starts()[0].payload["actorUrn"] == "urn:li:corpuser:operator-bot"
        assert "jobArn" not in aws.starts()[0].payload  # the mapping named it, not the job

    def test_the_same_dataset_again_is_409_with_that_run(
        self, client: TestClient, token: Headers, mapped: str
    ) -> None:
        headers = token("operator")
        first = client.post("/api/ingestion/run", headers=headers, json={"datasetUrn": URN})
        again = client.post("/api/ingestion/run", headers=headers, json={"datasetUrn": URN})
        assert again.status_code == 409
        assert again.json()["runId"] == first.json()["runId"]
        assert again.json()["status"] == "failed"  # this request; that run has not
        assert again.json()["runStatus"] in ("accepted", "running")
        assert {"error", "detail", "reference"} <= set(again.json())

    def test_a_mapping_that_says_otherwise_than_expected_is_409(
        self, client: TestClient, token: Headers, mapped: str, aws: AwsStandIn
    ) -> None:
        headers, answers = token("operator"), []
        for expected in ({"expectedTarget": "other"}, {"expectedRule": "tag"}):
            body = {"datasetUrn": URN} | expected
            answers.append(client.post("/api/ingestion/run", headers=headers, json=body))
        assert [answer.status_code for answer in answers] == [409, 409]
        assert "mapping" in answers[0].json()["detail"]
        assert aws.starts() == []
        body = {"datasetUrn": URN, "expectedTarget": "earnings-lambda", "expectedRule": "portal"}
        answer = client.post("/api/ingestion/run", headers=headers, json=body)
        assert answer.json()["status"] == "started"

    def test_null_is_as_good_as_left_out(
        self, client: TestClient, token: Headers, mapped: str, aws: AwsStandIn
    ) -> None:
        optional = ("jobUrn", "reason", "metadata", "environment", "idempotencyKey")
        body = {"datasetUrn": URN} | dict.fromkeys(optional)
        answer = client.post("/api/ingestion/run", headers=token("operator"), json=body)
        assert (answer.status_code, answer.json()["status"]) == (200, "started")
        assert aws.starts()[0].payload["reason"] == ""

    def test_an_idempotency_key_gives_the_same_run(
        self,
        client: TestClient,
        token: Headers,
        mapped: str,
        aws: AwsStandIn,
    ) -> None:
        headers = token("operator") | {"Idempotency-Key": "k-1"}
        answers = [
            client.post("/api/ingestion/run", headers=headers, json={"datasetUrn": URN}).json()
            for _ in range(2)
        ]
        assert answers[0]["runId"] == answers[1]["runId"]
        assert answers[1]["status"] == "started"
        assert len(aws.starts()) == 1

    def test_a_key_whose_sender_died_is_answered_504_and_not_started(
        self, client: TestClient, token: Headers, mapped: str, monkeypatch: pytest.MonkeyPatch,
        database: Database, actors: SimpleNamespace,
    ) -> None:  # fmt: skip
        def die(*_: object) -> None:
            raise SystemExit

        monkeypatch.setattr(runs, "REPLAY_SECONDS", 0.2)
        with monkeypatch.context() as patch, pytest.raises(SystemExit):
            patch.setattr(dispatch, "_call", die)
            runs.start(database, actors.operator, Request(URN, idempotency_key="k-1"))
        headers = token("operator") | {"Idempotency-Key": "k-1"}
        answer = client.post("/api/ingestion/run", headers=headers, json={"datasetUrn": URN})
        assert (answer.status_code, answer.json()["status"]) == (504, "unknown")
        answer = client.post(
            "/api/ingestion/run", headers=headers, json={"datasetUrn": URN, "reason": "other"}
        )
        assert (answer.status_code, answer.json()["error"]) == (409, "KeyReused")

    @pytest.mark.parametrize(
        ("headers", "status"), [({}, 401), ({"Authorization": "Bearer nonsense"}, 401)]
    )
    def test_no_token_and_a_wrong_one(
        self, client: TestClient, headers: dict[str, str], status: int
    ) -> None:
        answer = client.post("/api/ingestion/run", headers=headers, json={"datasetUrn": URN})
        assert (answer.status_code, answer.json()["status"]) == (status, "failed")
        assert answer.json()["message"] == answer.json()["detail"]

    @pytest.mark.parametrize("role", ["viewer", "steward"])
    def test_roles_that_may_not(
        self, client: TestClient, token: Headers, mapped: str, role: str
    ) -> None:
        answer = client.post("/api/ingestion/run", headers=token(role), json={"datasetUrn": URN})
        assert answer.status_code == 403

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({"datasetUrn": "earnings"}, 400),
            ({"datasetUrn": ""}, 400),
            ({"datasetUrn": URN, "jobUrn": "nightly"}, 400),
            ({"datasetUrn": OTHER}, 404),
            ({}, 422),
            ({"datasetUrn": 7}, 422),
            ({"jobUrn": " "}, 422),
            ({"jobUrn": "nightly"}, 400),
            ({"jobUrn": JOB}, 404),
            ({"datasetUrn": URN, "reason": "x" * 1_048_577}, 422),
            ({"datasetUrn": URN, "environment": "nowhere"}, 404),
        ],
    )
    def test_what_is_wrong_with_the_request(
        self,
        client: TestClient,
        token: Headers,
        mapped: str,
        body: dict[str, object],
        status: int,
    ) -> None:
        answer = client.post("/api/ingestion/run", headers=token("operator"), json=body)
        assert answer.status_code == status, answer.text
        assert {"error", "detail", "reference"} <= set(answer.json())
        assert (answer.json()["status"], answer.json()["message"]) == (
            "failed",
            answer.json()["detail"],
        )

    def test_a_body_that_is_no_json(self, client: TestClient, token: Headers) -> None:
        answer = client.post("/api/ingestion/run", headers=token("operator"), content=b"{")
        assert answer.status_code in (400, 422)

    def test_a_dataset_that_datahub_does_not_know(
        self,
        client: TestClient,
        token: Headers,
        mapped: str,
        datahub: StandIn,
    ) -> None:
        urn = "urn:li:dataset:(urn:li:dataPlatform:athena,nobody.knows,PROD)"
        answer = client.post(
            "/api/ingestion/run", headers=token("operator"), json={"datasetUrn": urn}
        )
        assert (answer.status_code, "does not know" in answer.json()["detail"]) == (400, True)

    def test_aws_refusing_is_502_or_503_with_the_recorded_run(
        self,
        client: TestClient,
        token: Headers,
        mapped: str,
        aws: AwsStandIn,
    ) -> None:
        headers = token("operator")
        for status, code, expected in (
            (502, "EC2UnexpectedException", 502),
            (429, "TooManyRequestsException", 503),
        ):
            with aws.faults.inject(operation="Invoke", status=status, code=code):
                answer = client.post(
                    "/api/ingestion/run", headers=headers, json={"datasetUrn": URN}
                )
            assert answer.status_code == expected
            assert answer.json()["status"] == "failed"
            assert "AWS Lambda" in answer.json()["detail"]
            run = client.get(f"/api/ingestion/runs/{answer.json()['runId']}", headers=headers)
            assert run.json()["status"] == "failed"

    def test_a_lost_answer_is_504_and_unknown(
        self,
        client: TestClient,
        token: Headers,
        mapped: str,
        aws: AwsStandIn,
    ) -> None:
        headers = token("operator")
        with aws.faults.inject(operation="Invoke", invocation="Event", drop="after"):
            answer = client.post("/api/ingestion/run", headers=headers, json={"datasetUrn": URN})
        assert (answer.status_code, answer.json()["status"]) == (504, "unknown")
        assert len(aws.starts()) == 1

    def test_a_mapping_that_points_at_nothing_is_404_and_named(
        self,
        client: TestClient,
        token: Headers,
        add_rule: AddRule,
    ) -> None:
        add_rule("exact", OTHER, "gone-lambda")
        answer = client.post(
            "/api/ingestion/run", headers=token("operator"), json={"datasetUrn": OTHER}
        )
        assert (answer.status_code, answer.json()["status"]) == (404, "failed")
        assert "gone-lambda" in answer.json()["detail"]

    def test_a_broken_mapping_variable_is_said(
        self,
        client: TestClient,
        token: Headers,
        environment: str,
        setenv: Callable[..., None],
    ) -> None:
        setenv(DATAHUB_INGESTION_LAMBDA_MAPPING="{oops")
        answer = client.post(
            "/api/ingestion/run", headers=token("operator"), json={"datasetUrn": URN}
        )
        assert answer.status_code == 500
        assert "DATAHUB_INGESTION_LAMBDA_MAPPING" in answer.json()["detail"]

    @pytest.mark.slow
    def test_200_posts_of_20_clients_are_all_answered_with_one_run_each(
        self,
        client: TestClient,
        token: Headers,
        add_rule: AddRule,
        aws: AwsStandIn,
    ) -> None:
        headers = token("operator")
        aws.add_function("earnings-lambda", seconds=60)
        add_rule("default", "", "earnings-lambda")

        def post(number: int) -> tuple[int, str]:
            urn = f"urn:li:dataset:(urn:li:dataPlatform:athena,db.t{number},PROD)"
            for _ in range(3):
                answer = client.post(
                    "/api/ingestion/run", headers=headers, json={"datasetUrn": urn}
                )
                # Not delivered: on a machine at work the stand-in takes no connection for a while.
                if answer.status_code != 503 or "AWS" not in answer.text:
                    break
            return answer.status_code, answer.json().get("runId", answer.text)

        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(post, range(200)))
        assert [answer for answer in answers if answer[0] != 200] == []
        assert {run for _, run in answers} == {s.payload["runId"] for s in aws.starts()}
        assert len(aws.starts()) == 200


class TestRuns:
    def test_a_page_and_the_next(
        self,
        client: TestClient,
        token: Headers,
        aws: AwsStandIn,
        add_rule: AddRule,
    ) -> None:
        headers = token("operator")
        aws.add_function("f", seconds=60)
        add_rule("default", "", "f")
        ids = [
            client.post("/api/ingestion/run", headers=headers, json={"datasetUrn": urn}).json()[
                "runId"
            ]
            for urn in (URN, OTHER)
        ]
        first = client.get("/api/ingestion/runs?limit=1", headers=headers).json()
        cursor = first["next_cursor"]
        then = client.get(f"/api/ingestion/runs?limit=1&cursor={cursor}", headers=headers).json()
        assert [first["items"][0]["runId"], then["items"][0]["runId"]] == ids[::-1]
        assert then["next_cursor"] is None
        only = client.get("/api/ingestion/runs", headers=headers, params={"datasetUrn": URN})
        assert [run["runId"] for run in only.json()["items"]] == [ids[0]]

    def test_a_viewer_reads_no_aws_names(
        self, client: TestClient, token: Headers, mapped: str
    ) -> None:
        run_id = client.post(
            "/api/ingestion/run", headers=token("operator"), json={"datasetUrn": URN}
        ).json()["runId"]
        headers = token("viewer")
        shown = client.get("/api/ingestion/runs", headers=headers).text
        shown += client.get(f"/api/ingestion/runs/{run_id}", headers=headers).text
        assert run_id in shown
        for name in ("earnings-lambda", "arn:", "us-east-1", "/aws/lambda"):
            assert name not in shown

    def test_a_run_that_does_not_exist(self, client: TestClient, token: Headers) -> None:
        assert client.get("/api/ingestion/runs/none", headers=token("viewer")).status_code == 404

    def test_an_execution_is_stopped(
        self,
        client: TestClient,
        token: Headers,
        aws: AwsStandIn,
        add_rule: AddRule,
    ) -> None:
        headers = token("operator")
        add_rule("exact", URN, aws.add_machine("m", seconds=60))
        run_id = client.post(
            "/api/ingestion/run", headers=headers, json={"datasetUrn": URN}
        ).json()["runId"]
        assert client.post(f"/api/ingestion/runs/{run_id}/stop", headers=headers).status_code == 200
        states = aws._client("stepfunctions")
        told = states.describe_execution(
            executionArn=f"arn:aws:states:us-east-1:123456789012:execution:m:{run_id}"
        )
        assert told["status"] == "ABORTED"


def test_a_browser_of_an_allowed_origin_may_ask_and_no_other(
    database: Database,
    setenv: Callable[..., None],
) -> None:
    setenv(PORTAL_API_ALLOWED_ORIGINS="https://datahub.example.com")
    with TestClient(create_app()) as client:
        for origin, allowed in (("https://datahub.example.com", True), ("https://evil.org", False)):
            answer = client.options(
                "/api/ingestion/run",
                headers={
                    "Origin": origin,
                    "Access-Control-Request-Method": "POST",
                    "Access-Control-Request-Headers": "Authorization, Idempotency-Key",
                },
            )
            assert ("access-control-allow-origin" in answer.headers) is allowed


def test_words_of_all_languages_arrive_whole(
    client: TestClient, token: Headers, mapped: str, aws: AwsStandIn
) -> None:
    body = {"datasetUrn": URN, "reason": "späte Datei 数据"}
    answer = client.post("/api/ingestion/run", headers=token("operator"), json=body)
    assert answer.status_code == 200
    assert aws.starts()[0].payload["reason"] == "späte Datei 数据"


def test_a_percent_sign_in_a_datasets_name_stays(
    client: TestClient, token: Headers, add_rule: AddRule, aws: AwsStandIn
) -> None:
    urn = "urn:li:dataset:(urn:li:dataPlatform:athena,db.a%20b%2C50%,PROD)"
    aws.add_function("f", seconds=60)
    add_rule("exact", urn, "f")
    headers = token("operator")
    answer = client.post("/api/ingestion/run", headers=headers, json={"datasetUrn": urn})
    assert aws.starts()[0].payload["datasetUrn"] == urn
    found = client.get("/api/ingestion/runs", headers=headers, params={"datasetUrn": urn}).json()
    assert [run["runId"] for run in found["items"]] == [answer.json()["runId"]]
