"""What the portal asks of Lambda and Step Functions; every start is sent at most once."""

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from backend.core.errors import OutcomeUnknown
from backend.integrations.aws import clients
from backend.integrations.aws.called import Called, called
from backend.integrations.aws.config import AwsConfig
from backend.integrations.aws.errors import (
    AwsDenied,
    AwsExists,
    AwsNotFound,
    AwsRefused,
    error_code,
)

LAMBDA = "AWS Lambda"
#: Lambda's status for a dry run that would be let in; anything else was not Lambda.
DRY_RUN = 204
STEP_FUNCTIONS = "AWS Step Functions"
#: In the place of a Runtime: a function whose executions outlive its calls.
DURABLE = "durable"

Kind = Literal["lambda", "stepfunctions"]
_ARN = re.compile(r"^arn:[\w-]+:(lambda|states):([a-z0-9-]+):(\d{12}):(.+)$")

_ACCOUNT = re.compile(r"(?:^|:)(\d{12}):function:")


@dataclass(frozen=True)
class TargetFacts:
    """What AWS says about a target that exists.

    machine_type: STANDARD or EXPRESS, for state machines. timeout_seconds: how long one run may
    take; None when AWS does not say. log_group: where its lines go, "" for nowhere.
    max_attempts: how often AWS tries an asynchronous call that fails.
    """

    kind: Kind
    name: str
    arn: str = ""
    region: str = ""
    machine_type: str = ""
    timeout_seconds: int | None = None
    log_group: str = ""
    max_attempts: int = 3


@dataclass(frozen=True)
class Accepted:
    """AWS took a start. request_id: Lambda's; execution_arn: Step Functions', or of a durable
    function."""

    request_id: str = ""
    execution_arn: str = ""
    existed: bool = False


@dataclass(frozen=True)
class Execution:
    """One Step Functions execution as DescribeExecution tells it."""

    arn: str
    status: str
    started_at: datetime | None
    stopped_at: datetime | None
    error: str = ""
    cause: str = ""
    redrives: int = 0


RUNTIME_SECONDS = 600.0
#: (region, name, configuration) → (runtime, when it was asked).
_runtimes: dict[tuple[str, str, AwsConfig], tuple[str, float]] = {}


def arn_region(name: str) -> str:
    """The region written in an ARN, or empty for a plain name."""
    match = _ARN.match(name)
    return match.group(2) if match else ""


def arn_account(name: str) -> str:
    """The account written in a function's ARN or partial ARN, or empty for a plain name."""
    match = _ACCOUNT.search(name)
    return match.group(1) if match else ""


class Gateway:
    """AWS for one configuration; cheap to make, clients are shared behind it."""

    def __init__(self, config: AwsConfig) -> None:
        self.config = config

    def region(self, name: str = "") -> str:
        """The region that calls for `name` go to: its ARN's, else the connection's."""
        return arn_region(name) or clients.region_of(self.config)

    # -- does it exist ---------------------------------------------------------------------------

    def check_target(self, kind: Kind, name: str) -> TargetFacts:
        """Facts about a target. Raises AwsNotFound, AwsDenied, AwsCredentials and the like."""
        return self._machine(name) if kind == "stepfunctions" else self._function(name)

    def _function(self, name: str) -> TargetFacts:
        region, subject = self.region(name), f"the function {name}"
        with clients.calling(self.config, LAMBDA, subject=subject, region=region):
            lambda_ = clients.client(self.config, "lambda", region=region)
            told = lambda_.invoke(FunctionName=name, InvocationType="DryRun")
            told["Payload"].close()
        if told.get("StatusCode") != DRY_RUN:
            raise OutcomeUnknown(
                LAMBDA,
                f"a dry run of {subject} was answered with {told.get('StatusCode')} instead of 204",
                "Check endpoint_url: what answers there is not Lambda, and may have run it.",
            )
        try:
            with clients.calling(self.config, LAMBDA, subject=subject, region=region):
                facts = lambda_.get_function_configuration(FunctionName=name)
        except AwsDenied:
            # The right to invoke is enough to run it; only timeout and log group stay unknown.
            return TargetFacts("lambda", name, region=region, log_group=default_log_group(name))
        durable = facts.get("DurableConfig")  # its Timeout is that of each call
        return TargetFacts(
            "lambda",
            name,
            arn=facts.get("FunctionArn", ""),
            region=region,
            timeout_seconds=(durable or {}).get("ExecutionTimeout") or facts.get("Timeout"),
            log_group=facts.get("LoggingConfig", {}).get("LogGroup") or default_log_group(name),
            max_attempts=self._attempts(lambda_, name, region),
        )

    def runtime(self, name: str) -> str:
        """The function's Runtime ("python3.13"), kept for ten minutes; DURABLE for a durable
        function; "" for an image, for one that may not print its errors, and when the portal may
        not ask. Raises AwsThrottled and the like."""
        region = self.region(name)
        key, now = (region, name, self.config), time.monotonic()
        kept = _runtimes.get(key)
        if kept and now - kept[1] < RUNTIME_SECONDS:
            return kept[0]
        try:
            with clients.calling(
                self.config, LAMBDA, subject=f"the function {name}", region=region
            ):
                lambda_ = clients.client(self.config, "lambda", region=region)
                facts = lambda_.get_function_configuration(FunctionName=name)
        except (AwsDenied, AwsNotFound):
            return ""  # a throttled or broken call is asked again instead
        # Below this level the runtimes print nothing, not even that a handler failed.
        silent = facts.get("LoggingConfig", {}).get("ApplicationLogLevel") == "FATAL"
        told = "" if silent else str(facts.get("Runtime", ""))
        told = DURABLE if facts.get("DurableConfig") else told
        if len(_runtimes) > 1000:
            _runtimes.clear()
        _runtimes[key] = (told, now)
        return told

    def records(self, name: str) -> dict[str, str]:
        """Where Lambda itself leaves a record of an asynchronous call that is over: the ARN (or
        address) of each setting that the function has. Raises AwsDenied and the like."""
        region, subject = self.region(name), f"the function {name}"
        with clients.calling(self.config, LAMBDA, subject=subject, region=region):
            lambda_ = clients.client(self.config, "lambda", region=region)
            facts = lambda_.get_function_configuration(FunctionName=name)
        told = self._event_config(lambda_, name, region).get("DestinationConfig") or {}
        found = {
            "failure destination": (told.get("OnFailure") or {}).get("Destination"),
            "dead-letter target": (facts.get("DeadLetterConfig") or {}).get("TargetArn"),
            "success destination": (told.get("OnSuccess") or {}).get("Destination"),
        }
        return {setting: str(arn) for setting, arn in found.items() if arn}

    def _attempts(self, lambda_: Any, name: str, region: str) -> int:
        try:
            setting = self._event_config(lambda_, name, region)
        except AwsRefused:
            return 3
        return 1 + int(setting.get("MaximumRetryAttempts", 2))

    def _event_config(self, lambda_: Any, name: str, region: str) -> dict[str, Any]:
        """How asynchronous calls are retried and recorded; {} where Lambda's defaults hold."""
        from botocore.exceptions import ClientError

        with clients.calling(
            self.config, LAMBDA, subject=f"the retry setting of {name}", region=region
        ):
            try:
                # mypy: boto3's clients are untyped
                return lambda_.get_function_event_invoke_config(FunctionName=name)  # type: ignore[no-any-return]
            except ClientError as exc:
                # By its code: two threads that ask a client for its `exceptions` for the first time
                # get two sets of classes.
                if error_code(exc) != "ResourceNotFoundException":
                    raise
                return {}  # its answer for "nobody set any": of a good test no call has failed

    def _machine(self, name: str) -> TargetFacts:
        region = self.region(name)
        with clients.calling(
            self.config, STEP_FUNCTIONS, subject=f"the state machine {name}", region=region
        ):
            states = clients.client(self.config, "stepfunctions", region=region)
            # The definition is not looked at, and may be encrypted with a key that is not ours.
            facts = states.describe_state_machine(
                stateMachineArn=name, includedData="METADATA_ONLY"
            )
        if facts.get("status") == "DELETING":
            raise AwsNotFound(
                STEP_FUNCTIONS,
                f"the state machine {name} is being deleted in {region}",
                "Correct the mapping rule.",
            )
        return TargetFacts(
            "stepfunctions",
            name,
            arn=facts.get("stateMachineArn", name),
            region=region,
            machine_type=facts.get("type", "STANDARD"),
            log_group=_log_group(facts.get("loggingConfiguration") or {}),
        )

    # -- start and stop --------------------------------------------------------------------------

    def start_lambda(self, name: str, payload: bytes) -> Accepted:
        """Hand an asynchronous call to Lambda, once.

        Raises OutcomeUnknown when AWS may have taken it and did not say so.
        """
        region, subject = self.region(name), f"the function {name}"
        with clients.calling(self.config, LAMBDA, subject=subject, region=region, starting=True):
            lambda_ = clients.client(self.config, "lambda", region=region, once=True)
            answer = lambda_.invoke(FunctionName=name, InvocationType="Event", Payload=payload)
            answer["Payload"].close()
        if answer.get("StatusCode") != 202:
            raise OutcomeUnknown(
                LAMBDA,
                f"{subject} was answered with {answer.get('StatusCode')} instead of 202",
                "Check endpoint_url: something that is not Lambda may have answered.",
            )
        return Accepted(
            request_id=answer["ResponseMetadata"].get("RequestId", ""),
            execution_arn=answer.get("DurableExecutionArn", ""),
        )

    def call_lambda(self, name: str, payload: bytes, *, seconds: float) -> Called:
        """Call a function and wait for its end, once; for every runtime the answer is the truth.

        seconds: how long its answer is awaited. Raises OutcomeUnknown when none came: the function
        may have run to its end.
        """
        region, subject = self.region(name), f"the function {name}"
        with clients.calling(self.config, LAMBDA, subject=subject, region=region, starting=True):
            lambda_ = clients.client(
                self.config, "lambda", region=region, once=True, read_timeout=seconds
            )
            answer = lambda_.invoke(
                FunctionName=name,
                InvocationType="RequestResponse",
                LogType="Tail",
                Payload=payload,
            )
            body = answer["Payload"].read()
        if answer.get("StatusCode") != 200:
            raise OutcomeUnknown(
                LAMBDA,
                f"{subject} was answered with {answer.get('StatusCode')} instead of 200",
                "Check endpoint_url: something that is not Lambda may have answered.",
            )
        return called(answer, body)

    def start_execution(self, machine_arn: str, name: str, payload: str) -> Accepted:
        """Start an execution called `name`; one that exists already is looked up, not an error.

        Raises OutcomeUnknown when AWS may have taken it and did not say so.
        """
        region, subject = self.region(machine_arn), f"the state machine {machine_arn}"
        try:
            with clients.calling(
                self.config, STEP_FUNCTIONS, subject=subject, region=region, starting=True
            ):
                states = clients.client(self.config, "stepfunctions", region=region, once=True)
                answer = states.start_execution(
                    stateMachineArn=machine_arn, name=name, input=payload
                )
        except AwsExists:
            return Accepted(execution_arn=execution_arn(machine_arn, name), existed=True)
        if "executionArn" not in answer:
            raise OutcomeUnknown(
                STEP_FUNCTIONS,
                f"{subject} was answered without an execution ARN",
                "Check endpoint_url: something that is not Step Functions may have answered.",
            )
        return Accepted(execution_arn=answer["executionArn"])

    def stop_execution(self, arn: str, *, cause: str) -> None:
        """Ask a STANDARD execution to stop. Raises AwsNotFound, OutcomeUnknown and the like."""
        region = self.region(arn)
        with clients.calling(
            self.config,
            STEP_FUNCTIONS,
            subject="the execution",
            region=region,
            starting=True,
            undone="The execution goes on.",
        ):
            states = clients.client(self.config, "stepfunctions", region=region, once=True)
            states.stop_execution(executionArn=arn, error="Stopped", cause=cause[:1000])

    def execution(self, arn: str) -> Execution:
        """How an execution stands. AWS is eventually consistent: a new one may be unknown."""
        from botocore.exceptions import ClientError

        region = self.region(arn)
        with clients.calling(self.config, STEP_FUNCTIONS, subject="the execution", region=region):
            states = clients.client(self.config, "stepfunctions", region=region)
            try:
                told = states.describe_execution(executionArn=arn)
            except ClientError as exc:
                if not error_code(exc).startswith("Kms"):
                    raise
                # Without the key, or once it is disabled, its status can still be read.
                told = states.describe_execution(executionArn=arn, includedData="METADATA_ONLY")
        return Execution(
            arn=arn,
            status=str(told.get("status", "")),
            started_at=utc(told.get("startDate")),
            stopped_at=utc(told.get("stopDate")),
            error=str(told.get("error") or ""),
            cause=str(told.get("cause") or ""),
            redrives=int(told.get("redriveCount") or 0),
        )


def _log_group(logging: dict[str, Any]) -> str:
    """Where a state machine logs its executions; "" when it does not."""
    if logging.get("level", "OFF") == "OFF":
        return ""
    for destination in logging.get("destinations") or ():
        arn = str(destination.get("cloudWatchLogsLogGroup", {}).get("logGroupArn") or "")
        if ":log-group:" in arn:
            return arn.partition(":log-group:")[2].removesuffix(":*")
    return ""


def default_log_group(name: str) -> str:
    """Where a function logs unless told otherwise. Takes a name, name:alias or ARN."""
    return f"/aws/lambda/{function_name(name)}"


def function_name(name: str) -> str:
    """The function's own name. Takes a name, name:alias or ARN."""
    return name.split(":function:")[-1].split(":")[0]


def execution_arn(machine_arn: str, name: str) -> str:
    """The ARN that an execution called `name` has. Aliases and versions are cut off."""
    parts = machine_arn.split(":")
    parts[5] = "execution"
    return ":".join([*parts[:7], name])


def utc(value: datetime | None) -> datetime | None:
    """boto3's local time in UTC."""
    return value.astimezone(UTC) if value is not None else None
