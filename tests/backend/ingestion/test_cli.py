"""`python -m backend ingest …`: shapes, exit status, one clear line on stderr."""

import json
from collections.abc import Callable
from pathlib import Path

from backend.ingestion import links
from backend.sandbox.aws import AwsStandIn
from backend.sandbox.datahub import StandIn
from tests.backend.ingestion.conftest import OTHER, URN, AddRule, Run


class TestResolve:
    def test_the_document(self, run: Run, add_rule: AddRule) -> None:
        add_rule("exact", URN, "earnings-lambda")
        ended = run("resolve", "--dataset-urn", URN, "--json")
        document = json.loads(ended.out)
        assert ended.status == 0
        assert document["datasetUrn"] == URN
        assert document["target"] == {"kind": "lambda", "name": "earnings-lambda"}
        assert (document["rule"], document["existence"]) == ("portal", "unchecked")

    def test_without_any_environment_the_variables_still_answer(
        self, run: Run, setenv: Callable[..., None]
    ) -> None:
        setenv(DATAHUB_INGESTION_LAMBDA_DEFAULT="fallback")
        document = json.loads(run("resolve", "--dataset-urn", URN, "--json").out)
        assert (document["rule"], document["target"]["name"]) == ("default", "fallback")

    def test_no_rule_is_1_with_the_document_and_one_line(self, run: Run, environment: str) -> None:
        ended = run("resolve", "--dataset-urn", URN, "--json")
        assert (ended.status, json.loads(ended.out)["target"]) == (1, None)
        assert len(ended.err.strip().splitlines()) == 1
        assert "No mapping rule" in ended.err

    def test_a_malformed_urn_and_a_missing_option(self, run: Run, environment: str) -> None:
        assert run("resolve", "--dataset-urn", "earnings").status == 1
        assert run("resolve").status == 1
        assert run("resolve", "--no-such-option").status == 2

    def test_a_broken_variable(
        self, run: Run, environment: str, setenv: Callable[..., None]
    ) -> None:
        setenv(DATAHUB_INGESTION_LAMBDA_MAPPING="{oops")
        ended = run("resolve", "--dataset-urn", URN)
        assert ended.status == 1
        assert "DATAHUB_INGESTION_LAMBDA_MAPPING cannot be used: not JSON" in ended.err


class TestRun:
    def test_a_started_run(self, run: Run, aws: AwsStandIn, add_rule: AddRule) -> None:
        aws.add_function("f", seconds=3_600)
        add_rule("exact", URN, "f")
        ended = run("run", "--dataset-urn", URN, "--reason", "late", "--json")
        document = json.loads(ended.out)
        assert (ended.status, document["status"]) == (0, "started")
        assert aws.starts()[0].payload["runId"] == document["runId"]
        assert aws.starts()[0].payload["actor"].startswith("cli:")

    def test_a_followed_run_that_fails_is_1(
        self, run: Run, aws: AwsStandIn, add_rule: AddRule
    ) -> None:
        aws.add_function("f", seconds=0.1, outcome="fail")
        add_rule("exact", URN, "f")
        ended = run("run", "--dataset-urn", URN, "--wait", "20", "--json")
        assert (ended.status, json.loads(ended.out)["status"]) == (1, "failed")
        assert "IngestError" in ended.err

    def test_a_run_refused_before_it_is_recorded_prints_a_document_too(
        self, run: Run, environment: str
    ) -> None:
        ended = run("run", "--dataset-urn", URN, "--json")
        document = json.loads(ended.out)
        assert (ended.status, document["runId"], document["status"]) == (1, None, "failed")
        assert "No mapping rule" in document["message"]
        assert (document["error"], document["detail"]) == ("NoMapping", document["message"])
        assert document["message"] in ended.err

    def test_the_run_in_the_way_is_shown_as_it_is(
        self, run: Run, aws: AwsStandIn, add_rule: AddRule
    ) -> None:
        aws.add_function("f", seconds=3_600)
        add_rule("exact", URN, "f")
        first = json.loads(run("run", "--dataset-urn", URN, "--json").out)
        ended = run("run", "--dataset-urn", URN, "--json")
        document = json.loads(ended.out)
        assert (ended.status, document["runId"]) == (1, first["runId"])
        assert document["status"] == "failed"
        assert document["runStatus"] in ("accepted", "running")

    def test_a_target_that_is_not_the_expected_one_is_not_started(
        self, run: Run, aws: AwsStandIn, add_rule: AddRule
    ) -> None:
        aws.add_function("f", seconds=3_600)
        add_rule("exact", URN, "f")
        ended = run("run", "--dataset-urn", URN, "--expect-target", "g")
        assert (ended.status, aws.starts()) == (1, [])
        assert "mapping of this dataset has changed" in ended.err
        assert run("run", "--dataset-urn", URN, "--expect-target", "f").status == 0

    def test_a_refused_run_prints_the_recorded_run_and_is_1(
        self, run: Run, add_rule: AddRule
    ) -> None:
        add_rule("exact", URN, "gone")
        ended = run("run", "--dataset-urn", URN, "--json")
        document = json.loads(ended.out)
        assert (ended.status, document["status"]) == (1, "failed")
        assert document["runId"]
        shown = run("status", document["runId"], "--json")
        assert json.loads(shown.out)["status"] == "failed"

    def test_a_second_run_names_the_first(
        self, run: Run, aws: AwsStandIn, add_rule: AddRule
    ) -> None:
        aws.add_function("f", seconds=3_600)
        add_rule("exact", URN, "f")
        first = json.loads(run("run", "--dataset-urn", URN, "--json").out)
        again = run("run", "--dataset-urn", URN, "--json")
        assert (again.status, json.loads(again.out)["runId"]) == (1, first["runId"])
        listed = json.loads(run("runs", "--json").out)
        assert [item["runId"] for item in listed["items"]] == [first["runId"]]

    def test_without_any_environment_the_machines_own_aws_is_asked(
        self, run: Run, aws: AwsStandIn, setenv: Callable[..., None]
    ) -> None:
        aws.add_function("f", seconds=3_600)
        setenv(
            AWS_ENDPOINT_URL=aws.url,
            AWS_ACCESS_KEY_ID="a",
            AWS_SECRET_ACCESS_KEY="b",
            AWS_REGION="eu-central-1",
            DATAHUB_INGESTION_LAMBDA_REGION=aws.region,
            DATAHUB_INGESTION_LAMBDA_MAPPING=json.dumps({URN: "f"}),
        )
        document = json.loads(run("run", "--dataset-urn", URN, "--json").out)
        assert (document["status"], document["rule"]) == ("started", "env")
        assert [start.region for start in aws.starts()] == [aws.region]


class TestMappingAndLinks:
    def test_rules_go_in_and_come_out(
        self, run: Run, aws: AwsStandIn, environment: str, tmp_path: Path
    ) -> None:
        file = tmp_path / "m.yaml"
        file.write_text(json.dumps({URN: "f", OTHER: "gone"}))
        aws.add_function("f")
        assert json.loads(run("mapping", "import", str(file), "--json").out)["added"] == 2
        assert URN in run("mapping", "export").out
        ended = run("mapping", "check", "--json")
        assert (ended.status, json.loads(ended.out)["dead"]) == (1, 1)
        assert run("mapping", "import", "-", "--replace", stdin="{}").status == 0
        assert run("mapping", "import", str(tmp_path / "none")).status == 1

    def test_links(self, run: Run, datahub: StandIn, add_rule: AddRule) -> None:
        add_rule("exact", URN, "f")
        put = json.loads(run("links", "put", "--json").out)
        assert (put["changed"], put["withoutTarget"]) == (1, 1)
        assert datahub.aspect(URN, "institutionalMemory")["elements"][0]["url"] == (  # type: ignore[index]
            links.link_url(URN, "dev")
        )
        assert json.loads(run("links", "remove", "--json").out)["changed"] == 1
