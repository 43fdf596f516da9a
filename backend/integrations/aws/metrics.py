"""A second witness of how a call ended: the Errors metric that Lambda itself counts.

Lambda counts each try in the minute in which it was begun, and only once it has ended: before that
the minute may hold others alone. One minute with a single try, or whose tries all ended alike,
tells how a try of it ended; any other tells nothing.
"""

from datetime import datetime, timedelta

from backend.integrations.aws import clients
from backend.integrations.aws.config import AwsConfig
from backend.integrations.aws.gateway import function_name

SYSTEM = "CloudWatch"
#: Lambda sends its counts once a minute, and CloudWatch shows them a little later.
COUNTED_AFTER = timedelta(minutes=3)


def failed(config: AwsConfig, *, function: str, region: str, begun: datetime) -> bool | None:
    """Whether the try that was begun then, and ended COUNTED_AFTER ago, failed; None when the
    counts do not tell.

    Raises AwsDenied without the right cloudwatch:GetMetricStatistics, and the like.
    """
    minute = begun.replace(second=0, microsecond=0)
    counts = {
        name: _sum(config, function, region, name, minute) for name in ("Invocations", "Errors")
    }
    tries, errors = counts["Invocations"], counts["Errors"]
    if not tries or errors is None:
        return None
    if errors in (0, tries):
        return errors == tries
    return None


def _sum(
    config: AwsConfig, function: str, region: str, metric: str, minute: datetime
) -> float | None:
    """The count of a minute, None when there is none."""
    with clients.calling(config, SYSTEM, subject=f"the metric {metric}", region=region):
        answer = clients.client(config, "cloudwatch", region=region).get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName=metric,
            Dimensions=[{"Name": "FunctionName", "Value": function_name(function)}],
            StartTime=minute,
            EndTime=minute + timedelta(minutes=1),
            Period=60,
            Statistics=["Sum"],
        )
    points = answer.get("Datapoints", [])
    return float(points[0]["Sum"]) if points else None
