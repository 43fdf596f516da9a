"""Whole runs, payloads and refusals from the table of cases: `cases.yaml` has the right answers."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient

from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.ingestion import mapping
from backend.ingestion.errors import PayloadTooLarge
from backend.ingestion.schemas import RunView
from backend.sandbox.aws import AwsStandIn
from tests.backend.ingestion import test_without_evidence as without_evidence
from tests.backend.ingestion.conftest import OTHER, URN, AddRule, Headers

CASES = yaml.safe_load(Path(__file__).with_name("cases.yaml").read_text())
ANOTHER = "aaaaaaaa-1111-4222-8333-444455556666"
FAILS = "[ERROR] Lost: no table\nTraceback (most recent call last):"

check = without_evidence.check
Start = Callable[..., RunView]
Check = Callable[[str], RunView]


class Log:
    """Writes a function's lines as CloudWatch would have them."""

    def __init__(self, aws: AwsStandIn) -> None:
        self._client = aws._client("logs")
        self._client.create_log_group(logGroupName="/aws/lambda/f")
        self._client.create_log_stream(logGroupName="/aws/lambda/f", logStreamName="s")
        self._at = int(time.time() * 1000)

    def attempt(self, request_id: str, lines: list[str] | None) -> None:
        """One try; None: it has not ended."""
        told = [f"START RequestId: {request_id} Version: $LATEST", *(lines or ())]
        if lines is not None:
            report = f"REPORT RequestId: {request_id}\tDuration: 12.00 ms\tBilled Duration: 13 ms"
            told += [f"END RequestId: {request_id}", report]
        events = [{"timestamp": self._at + i, "message": line} for i, line in enumerate(told)]
        self._at += len(events)
        self._client.put_log_events(
            logGroupName="/aws/lambda/f", logStreamName="s", logEvents=events
        )


@pytest.fixture
def function(aws: AwsStandIn, add_rule: AddRule) -> Callable[[str], Log]:
    """function(runtime): one that logs nothing by itself, mapped."""

    def make(runtime: str) -> Log:
        aws.add_function("f", outcome="silent", runtime=runtime)
        add_rule("exact", URN, "f")
        return Log(aws)

    return make


@pytest.mark.parametrize("case", CASES["lambda_logs"], ids=lambda c: f"{c['runtime']} {c['lines']}")
def test_what_a_call_logged_is_how_its_run_stands(
    case: dict[str, Any], function: Callable[[str], Log], start: Start, check: Check
) -> None:
    log, run = function(case["runtime"]), start()
    mine = str(run.request_id)
    lines = [line.replace("MINE", mine).replace("OTHER", ANOTHER) for line in case["lines"]]
    log.attempt(mine, lines)
    found = check(run.run_id)
    assert found.status == case["status"], found.detail
    assert case.get("why", "") in found.detail


@pytest.mark.parametrize("case", CASES["second_start"], ids=str)
def test_the_last_try_of_a_call_is_how_its_run_stands(
    case: dict[str, Any], function: Callable[[str], Log], start: Start, check: Check
) -> None:
    log, run = function("python3.13"), start()
    for lines in case["tries"]:
        told = None if lines is None else [FAILS if line == "fails" else line for line in lines]
        log.attempt(str(run.request_id), told)
    found = check(run.run_id)
    assert (found.status, found.attempts) == (case["status"], len(case["tries"]))
    assert found.settled is (case["status"] == "succeeded")


def test_without_a_log_group_nothing_is_concluded(
    aws: AwsStandIn, add_rule: AddRule, start: Start, check: Check
) -> None:
    aws.add_function("f", outcome="silent")
    add_rule("exact", URN, "f")
    assert check(start().run_id).status == "unknown"


@pytest.mark.parametrize(
    ("kind", "size", "outcome"),
    [(kind, *each) for kind, sizes in CASES["payload_bytes"].items() for each in sizes.items()],
)
def test_a_payload_of_so_many_bytes(
    start: Start, aws: AwsStandIn, database: Database, environment: str,
    kind: str, size: int, outcome: str,
) -> None:  # fmt: skip
    aws.add_function("f", seconds=60)
    target = aws.add_machine("m", seconds=60) if kind == "stepfunctions" else "f"
    waits = "sync" if kind == "lambda_sync" else "async"
    with database.write() as session:
        mapping.put(
            session, SYSTEM, kind="default", pattern="", target=target, invocation=waits
        )  # fmt: skip
    room = size - len(start(OTHER).payload.encode()) - len(URN) + len(OTHER)
    before = len(aws.starts())
    if outcome == "refused":
        with pytest.raises(PayloadTooLarge):
            start(reason="x" * room)
        assert len(aws.starts()) == before
        return
    assert len(start(reason="x" * room).payload.encode()) == size
    # A call that is held until its end is the worker's to send.
    assert len(aws.starts()) == before + (0 if waits == "sync" else 1)


@pytest.mark.parametrize("case", CASES["refusals"], ids=lambda case: case["name"])
def test_a_refusal_has_the_keys_of_both_dialects(
    client: TestClient, token: Headers, environment: str, case: dict[str, Any]
) -> None:
    role = case.get("token", "operator")
    headers = token(role) if role else {}
    content = case["content"] if "content" in case else json.dumps(case["body"])
    answer = client.request(
        case.get("method", "POST"),
        "/api/ingestion/run",
        headers=headers | {"Content-Type": case.get("type", "application/json")},
        content=content,
    )
    assert answer.status_code == case["status"], answer.text
    found = answer.json()
    assert {"status", "message", "error", "detail", "reference"} <= found.keys()
    assert (found["status"], found["message"]) == ("failed", found["detail"])
