"""A durable function's execution, which may outlive many calls of the function.

Each call ends, with a REPORT, where the execution waits; its log tells nothing of the whole. The
start names the execution, and Lambda tells how it stands.
"""

from backend.integrations.aws import clients
from backend.integrations.aws.config import AwsConfig
from backend.integrations.aws.gateway import LAMBDA, Execution, arn_region, utc


def execution(config: AwsConfig, arn: str) -> Execution:
    """How it stands. Raises AwsNotFound (it may just have begun, or be forgotten), AwsDenied
    without the right lambda:GetDurableExecution, and the like."""
    region = arn_region(arn)
    with clients.calling(config, LAMBDA, subject="the durable execution", region=region):
        told = clients.client(config, "lambda", region=region).get_durable_execution(
            DurableExecutionArn=arn
        )
    error = told.get("Error") or {}
    return Execution(
        arn=arn,
        status=str(told.get("Status", "")),
        started_at=utc(told.get("StartTimestamp")),
        stopped_at=utc(told.get("EndTimestamp")),
        error=str(error.get("ErrorType") or ""),
        cause=str(error.get("ErrorMessage") or ""),
    )
