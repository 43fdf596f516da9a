"""A second witness of how a call ended: the Errors metric that Lambda itself counts.

Lambda counts each try in the minute in which it was begun, and only once it has ended: before that
the minute may hold others alone. One minute with a single try, or whose tries all ended alike,
tells how a try of it ended; any other tells nothing. Where its START is logged early in a minute,
the minute before counts with it.
"""

from datetime import datetime, timedelta

from backend.integrations.aws import clients
from backend.integrations.aws.config import AwsConfig
from backend.integrations.aws.gateway import function_name

SYSTEM = "CloudWatch"
#: Lambda sends its counts once a minute, and CloudWatch shows them a little later.
COUNTED_AFTER = timedelta(minutes=3)
#: A function is loaded for ten seconds at most before its START is logged, and was invoked before.
LOADS = timedelta(seconds=15)


def failed(config: AwsConfig, *, function: str, region: str, begun: datetime) -> bool | None:
    """Whether the try that was begun then, and ended COUNTED_AFTER ago, failed; None when the
    counts do not tell.

    Raises AwsDenied without the right cloudwatch:GetMetricStatistics, and the like.
    """
    first, last = ((begun - ago).replace(second=0, microsecond=0) for ago in (LOADS, timedelta()))
    counts = {
        name: _sum(config, function, region, name, first, last + timedelta(minutes=1))
        for name in ("Invocations", "Errors")
    }
    tries, errors = counts["Invocations"], counts["Errors"]
    if not tries or errors is None:
        return None
    if errors in (0, tries):
        return errors == tries
    return None


def _sum(
    config: AwsConfig, function: str, region: str, metric: str, since: datetime, until: datetime
) -> float | None:
    """The count of these minutes, None when there is none."""
    with clients.calling(config, SYSTEM, subject=f"the metric {metric}", region=region):
        answer = clients.client(config, "cloudwatch", region=region).get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName=metric,
            Dimensions=[{"Name": "FunctionName", "Value": function_name(function)}],
            StartTime=since,
            EndTime=until,
            Period=60,
            Statistics=["Sum"],
        )
    points = answer.get("Datapoints", [])
    return float(sum(point["Sum"] for point in points)) if points else None
