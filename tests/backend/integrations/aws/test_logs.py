"""Lambda's log lines, as text and JSON, and what they say about one call."""

import json
import time
from datetime import timedelta

import pytest

from backend.core import clock
from backend.integrations.aws import logs
from backend.integrations.aws.config import AwsConfig
from backend.integrations.aws.errors import AwsNotFound
from backend.integrations.aws.logs import CallLog, LogTooLong
from backend.sandbox.aws import AwsStandIn

GROUP = "/aws/lambda/f"
ID = "8f5b2c1e-1111-4222-8333-444455556666"
NEXT = "aaaaaaaa-1111-4222-8333-444455556666"


def _write(aws: AwsStandIn, *streams: list[str]) -> None:
    client = aws._client("logs")
    client.create_log_group(logGroupName=GROUP)
    now = int(time.time() * 1000)
    for number, stream in enumerate(streams):
        # The platform writes END before every REPORT of its own.
        lines = [
            line
            for told in stream
            for line in (
                [f"END RequestId: {told.split()[2]}", told] if "\tDuration: " in told else [told]
            )
        ]
        client.create_log_stream(logGroupName=GROUP, logStreamName=f"s{number}")
        events = [
            {"timestamp": now + number * 1000 + i, "message": line} for i, line in enumerate(lines)
        ]
        for some in range(0, len(events), 500):
            client.put_log_events(
                logGroupName=GROUP,
                logStreamName=f"s{number}",
                logEvents=events[some : some + 500],
            )


def _read(config: AwsConfig, runtime: str = "python3.13") -> CallLog:
    since = clock.now() - timedelta(minutes=1)
    return logs.read_call(
        config, log_group=GROUP, region="us-east-1", request_id=ID, since=since, runtime=runtime
    )


START = f"START RequestId: {ID} Version: $LATEST"
REPORT = f"REPORT RequestId: {ID}\tDuration: 12.00 ms\tBilled Duration: 13 ms"
#: As Python's runtime prints it: one event.
FAILURE = "[ERROR] ValueError: no\nTraceback (most recent call last):"


@pytest.mark.parametrize(
    ("lines", "state", "error"),
    [
        ([START, "hello"], "running", ""),
        ([START, "hello", REPORT], "succeeded", ""),
        ([START, REPORT, f"2026Z {ID} Task timed out after 3.00 seconds"], "failed", "timed out"),
        (
            [START, "[ERROR]\t2026-01-01T00:00:00Z\tx\tonly logged", REPORT], "succeeded", "",
        ),
        (
            [START, "[ERROR] ValueError: no\nTraceback (most recent call last):", REPORT],
            "failed", "[ERROR] ValueError: no",
        ),
        ([START, f"2026Z {ID} Task timed out after 3.00 seconds", REPORT], "failed", "timed out"),
        ([START, "[ERROR] could not parse row 5, skipped", REPORT], "succeeded", ""),
        ([START, "Task timed out after 30 s, trying again", REPORT], "succeeded", ""),
        ([START, f"REPORT RequestId: {ID}", "more work"], "running", ""),
        ([START, START, "more work"], "running", ""),
        ([START, f"START RequestId: {NEXT}", "[ERROR] X\nTraceback (most recent call last):",
          REPORT], "failed", "[ERROR] X"),
        ([START, f"RequestId: {ID} Error: Runtime exited", REPORT], "failed", "Runtime exited"),
        ([START, REPORT + "\tStatus: error\tError Type: X"], "failed", "error: X"),
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
        metrics = {"metrics": {}} if kind == "platform.report" else {}
        told = {"requestId": ID, **metrics, **record}
        return json.dumps({"time": "2026", "type": kind, "record": told})

    report = line("platform.report", status=status, errorType="Runtime.X")
    _write(aws, [line("platform.start"), '{"message": "hello"}', report])
    assert _read(config).state == state


def test_the_other_forms_end_is_a_print(aws: AwsStandIn, config: AwsConfig) -> None:
    told = {"requestId": ID, "metrics": {}, "status": "success"}
    printed = json.dumps({"time": "2026", "type": "platform.report", "record": told})
    _write(aws, [START, printed, FAILURE, REPORT])
    assert _read(config).state == "failed"


def test_a_second_try_in_another_stream_decides(aws: AwsStandIn, config: AwsConfig) -> None:
    _write(aws, [START, FAILURE, REPORT], [START, "fine now", REPORT])
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


class TestOverAPage:
    """What a function logs does not end with CloudWatch's first page."""

    CHATTY = tuple(f"[INFO]\t2026\t{ID}\trow batch {number}" for number in range(1500))

    @pytest.fixture(params=[logs.PAGE_LINES, 100])
    def _pages(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(logs, "PAGE_LINES", request.param)

    @pytest.mark.usefixtures("_pages")
    @pytest.mark.parametrize(
        ("last", "state"), [("row batch done", "succeeded"), (FAILURE, "failed")]
    )
    def test_the_end_of_a_long_call_is_found_with_its_last_lines(
        self, aws: AwsStandIn, config: AwsConfig, last: str, state: str
    ) -> None:
        _write(aws, [START, *self.CHATTY, last, REPORT])
        call = _read(config)
        assert (call.state, call.attempts) == (state, 1)
        assert (len(call.tail), call.tail[-3], call.tail[-1]) == (logs.MAX_LINES, last, REPORT)

    @pytest.mark.usefixtures("_pages")
    def test_a_call_after_a_long_one_in_the_same_stream_is_found_by_its_own_id(
        self, aws: AwsStandIn, config: AwsConfig
    ) -> None:
        before = [f"START RequestId: {NEXT} Version: 1", *(f"row {n}" for n in range(1200))]
        mine = [START, '{"runId": "lambda-7"}', FAILURE, REPORT]
        _write(aws, [*before, f"REPORT RequestId: {NEXT}\tDuration: 1 ms", *mine])
        since = clock.now() - timedelta(minutes=1)
        found = logs.find_request(
            config, log_group=GROUP, region="us-east-1", text="lambda-7", since=since
        )
        assert (found, _read(config).state) == (ID, "failed")

    def test_an_empty_page_is_not_the_end(self, aws: AwsStandIn, config: AwsConfig) -> None:
        _write(aws, [START, "hello", REPORT])
        empty = {"events": [], "nextForwardToken": "f/-1", "nextBackwardToken": "b/-1"}
        with aws.faults.inject(operation="GetLogEvents", body=json.dumps(empty).encode(), times=1):
            assert _read(config).state == "succeeded"

    def test_a_log_that_cannot_be_read_to_its_end_gives_no_verdict(
        self, aws: AwsStandIn, config: AwsConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(logs, "SEARCH_SECONDS", -1.0)
        monkeypatch.setattr(logs, "PAGE_LINES", 100)
        _write(aws, [START, *self.CHATTY, REPORT])
        with pytest.raises(LogTooLong, match=f"{GROUP} could not be read to its end"):
            _read(config)
