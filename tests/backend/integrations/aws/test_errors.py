"""Every exception of botocore has a sentence, also those AWS gives and moto does not."""

import inspect

import boto3
import pytest
from botocore import exceptions as botocore
from botocore.parsers import ResponseParserError
from botocore.stub import Stubber

from backend.core.errors import OutcomeUnknown, PortalError, UpstreamError
from backend.integrations.aws import clients, errors
from backend.integrations.aws.config import AwsConfig
from backend.integrations.aws.errors import AwsDenied, AwsNotFound, AwsThrottled, translated
from backend.integrations.aws.gateway import Gateway

CLASSES = [
    item
    for _name, item in inspect.getmembers(botocore, inspect.isclass)
    if issubclass(item, Exception)
    and item.__module__ == "botocore.exceptions"
    and not issubclass(item, Warning)
]


def _make(kind: type[Exception]) -> Exception:
    """An instance without its constructor: only the type and its text decide."""
    made = kind.__new__(kind)
    Exception.__init__(made, "what botocore said")
    made.response = {"Error": {"Code": "X"}, "ResponseMetadata": {}}  # type: ignore[attr-defined]
    return made


@pytest.mark.parametrize("starting", [True, False])
@pytest.mark.parametrize(
    "kind", [*CLASSES, ResponseParserError], ids=lambda k: getattr(k, "__name__", k)
)
def test_each_exception_becomes_one_of_ours(kind: type[Exception], starting: bool) -> None:
    with (
        pytest.raises(UpstreamError) as told,
        translated("AWS Lambda", subject="the function f", region="r", starting=starting),
    ):
        raise _make(kind)
    assert told.value.message.startswith("AWS Lambda: ")
    assert told.value.advice


@pytest.mark.parametrize(
    "kind",
    [
        botocore.ReadTimeoutError, botocore.ConnectionClosedError, botocore.HTTPClientError,
        botocore.ResponseStreamingError, botocore.IncompleteReadError, ResponseParserError,
    ],
)  # fmt: skip
def test_a_start_whose_answer_is_lost_is_unknown(kind: type[Exception]) -> None:
    with (
        pytest.raises(OutcomeUnknown),
        translated("AWS Lambda", subject="f", region="r", starting=True),
    ):
        raise _make(kind)


@pytest.mark.parametrize(
    "kind",
    [
        botocore.ConnectTimeoutError, botocore.EndpointConnectionError,
        botocore.ProxyConnectionError, botocore.NoCredentialsError, botocore.NoRegionError,
    ],
)  # fmt: skip
def test_a_start_that_was_never_sent_is_no_unknown(kind: type[Exception]) -> None:
    with (
        pytest.raises(UpstreamError) as told,
        translated("AWS Lambda", subject="f", region="r", starting=True),
    ):
        raise _make(kind)
    assert not isinstance(told.value, OutcomeUnknown)


@pytest.mark.parametrize("kind", [botocore.NoRegionError, botocore.InvalidRegionError])
def test_a_missing_or_impossible_region_is_about_the_region(kind: type[Exception]) -> None:
    """InvalidRegionError is a ValidationError, too, and the mapping is not what is wrong."""
    with (
        pytest.raises(errors.AwsRefused, match="Set `region`"),
        translated("AWS Lambda", subject="f", region="r"),
    ):
        raise _make(kind)


class TestAgainstTheServiceModel:
    """What AWS answers and moto cannot, through botocore's Stubber."""

    @pytest.fixture
    def stubs(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, Stubber]:
        made = {}
        for service in ("lambda", "stepfunctions"):
            client = boto3.client(
                service, region_name="eu-west-1",
                aws_access_key_id="a", aws_secret_access_key="b",
            )  # fmt: skip
            made[service] = Stubber(client)
            made[service].activate()
        monkeypatch.setattr(clients, "client", lambda _c, service, **_k: made[service].client)
        return made

    @pytest.mark.parametrize(
        ("code", "status", "kind"),
        [
            ("ResourceNotFoundException", 404, AwsNotFound),
            ("TooManyRequestsException", 429, AwsThrottled),
            ("EC2ThrottledException", 502, AwsThrottled),
            ("KMSAccessDeniedException", 502, AwsDenied),
            ("RequestTooLargeException", 413, errors.AwsRefused),
            ("ENILimitReachedException", 502, errors.AwsRefused),
            ("InvalidRuntimeException", 502, errors.AwsRefused),
        ],
    )
    def test_an_event_call_that_lambda_refuses(
        self, stubs: dict[str, Stubber], code: str, status: int, kind: type[PortalError]
    ) -> None:
        stubs["lambda"].add_client_error("invoke", code, "no", status)
        with pytest.raises(kind) as told:
            Gateway(AwsConfig(region="eu-west-1")).start_lambda("f", b"{}")
        assert not isinstance(told.value, OutcomeUnknown)

    def test_of_lambdas_own_5xx_only_those_before_the_function_ran_are_refusals(
        self, stubs: dict[str, Stubber]
    ) -> None:
        """Walks the service's model: a new one is told as unknown until it is known."""
        shapes = stubs["lambda"].client.meta.service_model.operation_model("Invoke").error_shapes
        statuses = {shape.name: shape.metadata["error"]["httpStatusCode"] for shape in shapes}
        unknown = set()
        for code, status in {**statuses, "InternalFailure": 500}.items():
            stubs["lambda"].add_client_error("invoke", code, "no", status)
            with pytest.raises(UpstreamError) as told:
                Gateway(AwsConfig(region="eu-west-1")).start_lambda("f", b"{}")
            if isinstance(told.value, OutcomeUnknown):
                unknown.add(code)
        assert unknown == {"ServiceException", "InternalFailure"}

    def test_a_dry_run_of_a_missing_function(self, stubs: dict[str, Stubber]) -> None:
        stubs["lambda"].add_client_error("invoke", "ResourceNotFoundException", "no", 404)
        with pytest.raises(AwsNotFound, match="the function f does not exist in eu-west-1"):
            Gateway(AwsConfig(region="eu-west-1")).check_target("lambda", "f")

    @pytest.mark.parametrize(
        ("code", "kind"),
        [
            ("StateMachineDeleting", AwsNotFound),
            ("StateMachineDoesNotExist", AwsNotFound),
            ("ExecutionLimitExceeded", AwsThrottled),
            ("KmsThrottlingException", AwsThrottled),
            ("KmsAccessDeniedException", AwsDenied),
            ("RequestTimeTooSkewed", errors.AwsCredentials),
            ("InvalidArn", errors.AwsRefused),
            ("InvalidExecutionInput", errors.AwsRefused),
        ],
    )
    def test_an_execution_that_step_functions_refuses(
        self, stubs: dict[str, Stubber], code: str, kind: type[PortalError]
    ) -> None:
        arn = "arn:aws:states:eu-west-1:123456789012:stateMachine:m"
        stubs["stepfunctions"].add_client_error("start_execution", code, "no", 400)
        with pytest.raises(kind):
            Gateway(AwsConfig(region="eu-west-1")).start_execution(arn, "r-1", "{}")

    def test_a_machine_that_is_being_deleted_is_not_there(self, stubs: dict[str, Stubber]) -> None:
        arn = "arn:aws:states:eu-west-1:123456789012:stateMachine:m"
        stubs["stepfunctions"].add_response(
            "describe_state_machine",
            {
                "stateMachineArn": arn, "name": "m", "definition": "{}", "roleArn": "r",
                "type": "STANDARD", "status": "DELETING",
                "creationDate": "2026-01-01T00:00:00Z",
            },
        )  # fmt: skip
        with pytest.raises(AwsNotFound, match="being deleted"):
            Gateway(AwsConfig(region="eu-west-1")).check_target("stepfunctions", arn)
