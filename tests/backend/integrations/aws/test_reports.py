"""Time and memory of a call, from the lines that Lambda ends it with."""

import json

import pytest

from backend.integrations.aws import reports
from backend.integrations.aws.reports import Report

TEXT = (
    "REPORT RequestId: 8f5b2c1e-1111-4222-8333-444455556666\tDuration: 179.85 ms\t"
    "Billed Duration: 180 ms\tMemory Size: 128 MB\tMax Memory Used: 43 MB\tInit Duration: 95.5 ms\t"
)
METRICS = {"durationMs": 12.3, "billedDurationMs": 13, "memorySizeMB": 128, "maxMemoryUsedMB": 40}


def platform(metrics: object) -> str:
    return json.dumps({"type": "platform.report", "record": {"requestId": "x", "metrics": metrics}})


@pytest.mark.parametrize(
    ("lines", "report"),
    [
        ([TEXT], Report(179.85, 180, 128, 43, 95.5)),
        ([TEXT, "printed", platform(METRICS)], Report(12.3, 13, 128, 40, None)),
        (["REPORT RequestId: x\tDuration: 3 ms"], Report(3)),
        (["REPORT RequestId: x", platform("none"), platform({"durationMs": "long"})], None),
        ([], None),
    ],
)
def test_the_last_try_counts(lines: list[str], report: Report | None) -> None:
    assert reports.last(lines) == report
