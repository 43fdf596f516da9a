"""Lambda's log lines, as text and JSON, and what they say about one call."""

import json
import time
from datetime import timedelta

import pytest

from backend.core import clock
from backend.integrations.aws import logs
from backend.integrations.aws.config import AwsConfig
from backend.integrations.aws.errors import AwsNotFound
from backend.integrations.aws.logs import CallLog
from backend.integrations.aws.standin import AwsStandIn

GROUP = "/aws/lambda/f"
ID = "8f5b2c1e-1111-4222-8333-444455556666"
NEXT = "aaaaaaaa-1111-4222-8333-444455556666"


def _write(aws: AwsStandIn, *streams: list[str]) -> None:
    client = aws._client("logs")
    client.create_log_group(logGroupName=GROUP)
    now = int(time.time() * 1000)
    for number, lines in enumerate(streams):
        client.create_log_stream(logGroupName=GROUP, logStreamName=f"s{number}")
        client.put_log_events(
            logGroupName=GROUP,
            logStreamName=f"s{number}",
            logEvents=[
                {"timestamp": now + number * 1000 + i, "message": line}
                for i, line in enumerate(lines)
            ],
        )


def _read(config: AwsConfig) -> CallLog:
    since = clock.now() - timedelta(minutes=1)
    return logs.read_call(config, log_group=GROUP, region="us-east-1", request_id=ID, since=since)


START = f"START RequestId: {ID} Version: $LATEST"
REPORT = f"REPORT RequestId: {ID}\tDuration: 12.00 ms\tBilled Duration: 13 ms"


@pytest.mark.parametrize(
    ("lines", "state", "error"),
    [
        ([START, "hello"], "running", ""),
        ([START, "hello", f"END RequestId: {ID}", REPORT], "succeeded", ""),
        (
            [START, "[ERROR]\t2026-01-01T00:00:00Z\tx\tonly logged", REPORT], "succeeded", "",
        ),
        (
            [START, "[ERROR] ValueError: no\nTraceback (most recent call last):", REPORT],
            "failed", "[ERROR] ValueError: no",
        ),
        ([START, f"2026 {ID} Task timed out after 3.00 seconds", REPORT], "failed", "timed out"),
        ([START, f"RequestId: {ID} Error: Runtime exited", REPORT], "failed", "Runtime exited"),
        ([START, "2026\tERROR\tInvoke Error \t{}", REPORT], "failed", "Invoke Error"),
        ([START, REPORT + "\tStatus: error\tError Type: X"], "failed", "Status: error"),
    ],
)  # fmt: skip
def test_text_lines(
    aws: AwsStandIn, config: AwsConfig, lines: list[str], state: str, error: str
) -> None:
    _write(aws, ["START RequestId: other Version: 1", "other's line", *lines, "later noise"])
    call = _read(config)
    assert call.state == state
    assert error in call.error
    assert call.tail[0] == START
    assert "other's line" not in call.tail


@pytest.mark.parametrize(("status", "state"), [("success", "succeeded"), ("error", "failed")])
def test_json_lines(aws: AwsStandIn, config: AwsConfig, status: str, state: str) -> None:
    def line(kind: str, **record: str) -> str:
        return json.dumps({"type": kind, "record": {"requestId": ID, **record}})

    report = line("platform.report", status=status, errorType="Runtime.X")
    _write(aws, [line("platform.start"), '{"message": "hello"}', report])
    assert _read(config).state == state


def test_a_second_try_in_another_stream_decides(aws: AwsStandIn, config: AwsConfig) -> None:
    _write(aws, [START, "[ERROR] ValueError: no", REPORT], [START, "fine now", REPORT])
    call = _read(config)
    assert (call.state, call.attempts, call.tail[1]) == ("succeeded", 2, "fine now")


def test_the_next_call_of_the_stream_is_not_ours(aws: AwsStandIn, config: AwsConfig) -> None:
    _write(aws, [START, "ours", f"START RequestId: {NEXT} Version: $LATEST", "[ERROR] theirs"])
    call = _read(config)
    assert (call.state, call.tail) == ("running", (START, "ours"))


def test_no_line_and_no_group_are_different(aws: AwsStandIn, config: AwsConfig) -> None:
    with pytest.raises(AwsNotFound, match=GROUP):
        _read(config)
    _write(aws, ["START RequestId: other Version: 1"])
    assert _read(config).state == "missing"


def test_a_call_is_found_by_a_word_of_its_event(aws: AwsStandIn, config: AwsConfig) -> None:
    _write(aws, [f"START RequestId: {NEXT} Version: 1", REPORT, START, '{"runId": "lambda-7"}'])
    since = clock.now() - timedelta(minutes=1)
    assert (
        logs.find_request(config, log_group=GROUP, region="us-east-1", text="lambda-7", since=since)
        == ID
    )
