"""The recorded streams as CloudWatch has them: read, cut into calls, and judged."""

import re
import time
from datetime import timedelta

import pytest

from backend.core import clock
from backend.integrations.aws import logs, outcome
from backend.integrations.aws.config import AwsConfig
from backend.sandbox.aws import AwsStandIn
from tests.backend.integrations.aws.test_outcome import RUNTIMES, outcome_start, recorded

GROUP = "/aws/lambda/f"


@pytest.mark.parametrize("name", RUNTIMES)
def test_each_recorded_call_is_found_and_judged(
    aws: AwsStandIn, config: AwsConfig, name: str
) -> None:
    runtime = RUNTIMES[name][-1] or RUNTIMES[name][0]
    streams = [each for each in recorded() if each[0] == runtime]
    client = aws._client("logs")
    client.create_log_group(logGroupName=GROUP)
    since, now = clock.now() - timedelta(minutes=1), int(time.time() * 1000)
    wrong = []
    for number, (_, heading, truth, events) in enumerate(streams):
        client.create_log_stream(logGroupName=GROUP, logStreamName=f"s{number}")
        told = [{"timestamp": now + i, "message": e} for i, e in enumerate(events)]
        client.put_log_events(logGroupName=GROUP, logStreamName=f"s{number}", logEvents=told)
        begun = [event for event in events if outcome_start(event)][-1]
        [request_id] = re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", begun)
        call = logs.read_call(
            config, log_group=GROUP, region="us-east-1", request_id=request_id, since=since,
            runtime=runtime,
        )  # fmt: skip
        good = "succeeded" if outcome.family(runtime) in outcome.TELLING else "ended"
        if call.state != (good if truth == "success" else "failed"):
            wrong.append((heading, call.state))
        client.delete_log_stream(logGroupName=GROUP, logStreamName=f"s{number}")
    assert streams
    assert wrong == []
