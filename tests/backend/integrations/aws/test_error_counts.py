"""The Errors metric as a witness: only what all tries of the minutes in question agree on."""

from datetime import datetime, timedelta

import pytest

from backend.core import clock
from backend.integrations.aws import metrics
from backend.integrations.aws.config import AwsConfig
from backend.sandbox.aws import AwsStandIn


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (5, None),  # it may have been invoked in the minute before, and loaded meanwhile
        (40, False),
    ],
)
def test_a_start_early_in_a_minute_may_be_counted_in_the_one_before(
    aws: AwsStandIn, config: AwsConfig, second: int, said: bool | None
) -> None:
    begun = clock.now().replace(second=second, microsecond=0) - timedelta(minutes=5)
    name = f"cold-{second}"
    _count(aws, name, begun - timedelta(minutes=1), tries=1, errors=1)
    _count(aws, name, begun, tries=1, errors=0)
    assert metrics.failed(config, function=name, region="us-east-1", begun=begun) is said


def _count(aws: AwsStandIn, function: str, at: datetime, *, tries: int, errors: int) -> None:
    for name, count in {"Invocations": tries, "Errors": errors}.items():
        told = {
            "MetricName": name,
            "Dimensions": [{"Name": "FunctionName", "Value": function}],
            "Timestamp": at,
            "Value": count,
        }
        aws._client("cloudwatch").put_metric_data(Namespace="AWS/Lambda", MetricData=[told])
