"""Lambda and Step Functions through the gateway, against moto's server."""

import time

import pytest
from botocore.client import BaseClient
from botocore.errorfactory import ClientExceptionsFactory
from botocore.stub import Stubber

from backend.core.errors import (
    OutcomeUnknown,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from backend.integrations.aws import clients
from backend.integrations.aws.config import AwsConfig, from_connection
from backend.integrations.aws.errors import (
    AwsCredentials,
    AwsDenied,
    AwsNotFound,
    AwsRefused,
    AwsThrottled,
)
from backend.integrations.aws.gateway import Gateway, arn_region, default_log_group, execution_arn
from backend.sandbox.aws import AwsStandIn


class TestStartLambda:
    def test_an_accepted_call_has_a_request_id_and_is_sent_once(
        self, aws: AwsStandIn, config: AwsConfig
    ) -> None:
        aws.add_function("earnings-lambda")
        accepted = Gateway(config).start_lambda("earnings-lambda", b'{"runId": "r-1"}')
        assert accepted.request_id
        assert [(s.name, s.payload) for s in aws.starts("Invoke")] == [
            ("earnings-lambda", {"runId": "r-1"})
        ]

    def test_a_lost_answer_is_unknown_and_nothing_is_sent_again(
        self, aws: AwsStandIn, config: AwsConfig
    ) -> None:
        aws.add_function("earnings-lambda")
        with (
            aws.faults.inject(operation="Invoke", drop="after"),
            pytest.raises(OutcomeUnknown, match="not sent again"),
        ):
            Gateway(config).start_lambda("earnings-lambda", b"{}")
        assert len(aws.starts("Invoke")) == 1

    def test_a_timeout_is_unknown(
        self, aws: AwsStandIn, config: AwsConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(clients, "READ_TIMEOUT", 0.3)
        clients.forget()
        aws.add_function("earnings-lambda")
        with aws.faults.inject(operation="Invoke", latency=600), pytest.raises(OutcomeUnknown):
            Gateway(config).start_lambda("earnings-lambda", b"{}")
        clients.forget()
        deadline = time.monotonic() + 60
        while not aws.starts() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(aws.starts()) == 1

    @pytest.mark.parametrize(
        ("status", "code", "error"),
        [
            (429, "TooManyRequestsException", AwsThrottled),
            (502, "ENILimitReachedException", AwsRefused),
            (500, "ServiceException", OutcomeUnknown),
            (503, "ServiceUnavailable", UpstreamUnavailable),
            (403, "AccessDeniedException", AwsDenied),
            (403, "", UpstreamUnavailable),
            (404, "", UpstreamUnavailable),
            (407, "", UpstreamUnavailable),
            (413, "", AwsRefused),
            (403, "UnrecognizedClientException", AwsCredentials),
            (502, "", OutcomeUnknown),
            (503, "", OutcomeUnknown),
        ],
    )
    def test_each_refusal_has_its_error_and_is_asked_once(
        self, aws: AwsStandIn, config: AwsConfig, status: int, code: str, error: type
    ) -> None:
        aws.add_function("earnings-lambda")
        with (
            aws.faults.inject(operation="Invoke", status=status, code=code),
            pytest.raises(error) as told,
        ):
            Gateway(config).start_lambda("earnings-lambda", b"{}")
        assert type(told.value) is error
        assert told.value.message.startswith("AWS Lambda: ")
        assert aws.starts() == []

    def test_a_refusal_that_aws_did_not_write_accuses_no_credentials(
        self, aws: AwsStandIn, config: AwsConfig
    ) -> None:
        with (
            aws.faults.inject(operation="Invoke", status=403, code=""),
            pytest.raises(UpstreamUnavailable, match="not AWS, but something on the way") as told,
        ):
            Gateway(config).start_lambda("earnings-lambda", b"{}")
        assert "Nothing was started." in told.value.message

    def test_a_web_page_instead_of_lambda_is_unknown(
        self, aws: AwsStandIn, config: AwsConfig
    ) -> None:
        with aws.faults.inject(html=True), pytest.raises(OutcomeUnknown, match="endpoint_url"):
            Gateway(config).start_lambda("earnings-lambda", b"{}")

    def test_a_missing_function_is_named_with_its_region(
        self, aws: AwsStandIn, config: AwsConfig
    ) -> None:
        with pytest.raises(AwsNotFound, match="nope does not exist in us-east-1"):
            Gateway(config).start_lambda("nope", b"{}")

    def test_an_unreachable_aws_says_nothing_was_started(self) -> None:
        config = from_connection(
            {"region": "eu-west-1", "endpoint_url": "http://127.0.0.1:9", "access_key_id": "a"},
            {"secret_access_key": "b"},
        )
        with pytest.raises(UpstreamUnavailable, match="Nothing was started"):
            Gateway(config).start_lambda("f", b"{}")

    def test_without_credentials_the_sentence_says_what_to_set(
        self, monkeypatch: pytest.MonkeyPatch, aws: AwsStandIn
    ) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
        monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
        clients.forget()
        config = AwsConfig(region="us-east-1", endpoint_url=aws.url)
        with pytest.raises(AwsCredentials, match="access_key_id"):
            Gateway(config).start_lambda("f", b"{}")
        clients.forget()

    def test_without_a_region_the_sentence_says_what_to_set(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
        clients.forget()
        with pytest.raises(UpstreamError, match="DATAHUB_INGESTION_LAMBDA_REGION"):
            Gateway(AwsConfig(access_key_id="a", secret_access_key="b")).start_lambda("f", b"{}")


class TestCheckTarget:
    def test_a_function_tells_timeout_and_log_group(
        self, aws: AwsStandIn, config: AwsConfig
    ) -> None:
        aws.add_function("earnings-lambda", timeout=90)
        facts = Gateway(config).check_target("lambda", "earnings-lambda")
        assert (facts.timeout_seconds, facts.log_group, facts.max_attempts) == (
            90,
            "/aws/lambda/earnings-lambda",
            3,
        )
        assert aws.starts() == []

    def test_it_is_found_also_by_two_that_use_the_client_first(
        self, aws: AwsStandIn, config: AwsConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """botocore makes a client's `exceptions` without a lock: each thread may get its own."""
        aws.add_function("earnings-lambda")
        classes = property(
            lambda client: ClientExceptionsFactory().create_client_exceptions(
                client.meta.service_model
            )
        )
        monkeypatch.setattr(BaseClient, "exceptions", classes)
        assert Gateway(config).check_target("lambda", "earnings-lambda").max_attempts == 3

    def test_a_dry_run_that_is_not_answered_204_may_have_run_it(
        self, aws: AwsStandIn, config: AwsConfig
    ) -> None:
        aws.add_function("earnings-lambda")
        with (
            aws.faults.inject(operation="Invoke", invocation="DryRun", body=b"{}"),
            pytest.raises(OutcomeUnknown, match="answered with 200 instead of 204"),
        ):
            Gateway(config).check_target("lambda", "earnings-lambda")

    def test_a_call_that_is_not_answered_202_may_have_begun(
        self, aws: AwsStandIn, config: AwsConfig
    ) -> None:
        aws.add_function("earnings-lambda")
        with (
            aws.faults.inject(operation="Invoke", invocation="Event", body=b"{}"),
            pytest.raises(OutcomeUnknown, match="answered with 200 instead of 202"),
        ):
            Gateway(config).start_lambda("earnings-lambda", b"{}")

    def test_the_right_to_invoke_alone_is_enough(self, aws: AwsStandIn, config: AwsConfig) -> None:
        aws.add_function("earnings-lambda")
        with aws.faults.inject(
            operation="GetFunctionConfiguration", status=403, code="AccessDeniedException"
        ):
            facts = Gateway(config).check_target("lambda", "earnings-lambda")
        assert facts.timeout_seconds is None
        assert facts.log_group == "/aws/lambda/earnings-lambda"

    def test_a_missing_function_and_a_deleted_machine_are_not_found(
        self, aws: AwsStandIn, config: AwsConfig
    ) -> None:
        machine = aws.add_machine("nightly")
        aws._client("stepfunctions").delete_state_machine(stateMachineArn=machine)
        for kind, name in (("lambda", "nope"), ("stepfunctions", machine)):
            with pytest.raises(AwsNotFound):
                Gateway(config).check_target(kind, name)  # type: ignore[arg-type]

    def test_the_region_of_an_arn_wins_over_the_connection(
        self, aws: AwsStandIn, config: AwsConfig
    ) -> None:
        arn = "arn:aws:lambda:eu-central-1:123456789012:function:earnings-lambda"
        aws.add_function("earnings-lambda")
        with pytest.raises(AwsNotFound, match="eu-central-1"):
            Gateway(config).check_target("lambda", arn)

    def test_express_machines_are_told_apart(self, aws: AwsStandIn, config: AwsConfig) -> None:
        arn = aws.add_machine("fast", kind="EXPRESS")
        assert Gateway(config).check_target("stepfunctions", arn).machine_type == "EXPRESS"


class TestExecutions:
    def test_an_execution_is_started_followed_and_ends(
        self, aws: AwsStandIn, config: AwsConfig
    ) -> None:
        machine = aws.add_machine("nightly", seconds=600)
        gateway = Gateway(config)
        started = gateway.start_execution(machine, "run-1", '{"a": 1}')
        assert started.execution_arn == execution_arn(machine, "run-1")
        assert gateway.execution(started.execution_arn).status == "RUNNING"
        aws.hurry()
        deadline = time.monotonic() + 60
        while gateway.execution(started.execution_arn).status == "RUNNING":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        ended = gateway.execution(started.execution_arn)
        assert (ended.status, ended.stopped_at is not None) == ("SUCCEEDED", True)

    def test_an_existing_name_is_looked_up_and_not_failed(
        self, aws: AwsStandIn, config: AwsConfig
    ) -> None:
        machine = aws.add_machine("nightly", seconds=3_600)
        gateway = Gateway(config)
        first = gateway.start_execution(machine, "run-1", '{"a": 1}')
        again = gateway.start_execution(machine, "run-1", '{"a": 2}')
        assert (again.execution_arn, again.existed) == (first.execution_arn, True)

    def test_a_stopped_execution_says_aborted(self, aws: AwsStandIn, config: AwsConfig) -> None:
        machine = aws.add_machine("nightly", seconds=3_600)
        gateway = Gateway(config)
        started = gateway.start_execution(machine, "run-1", "{}")
        gateway.stop_execution(started.execution_arn, cause="asked by ann")
        assert gateway.execution(started.execution_arn).status == "ABORTED"

    def test_a_lost_answer_is_unknown_and_the_execution_can_be_found(
        self, aws: AwsStandIn, config: AwsConfig
    ) -> None:
        machine = aws.add_machine("nightly", seconds=3_600)
        gateway = Gateway(config)
        with (
            aws.faults.inject(operation="StartExecution", drop="after"),
            pytest.raises(OutcomeUnknown),
        ):
            gateway.start_execution(machine, "run-1", "{}")
        assert gateway.execution(execution_arn(machine, "run-1")).status == "RUNNING"
        assert len(aws.starts("StartExecution")) == 1

    def test_reads_are_retried(self, aws: AwsStandIn, config: AwsConfig) -> None:
        machine = aws.add_machine("nightly", seconds=3_600)
        gateway = Gateway(config)
        started = gateway.start_execution(machine, "run-1", "{}")
        with aws.faults.inject(
            operation="DescribeExecution", status=400, code="ThrottlingException", times=1
        ):
            assert gateway.execution(started.execution_arn).status == "RUNNING"


class TestAssumeRole:
    def test_calls_are_made_as_the_role(self, aws: AwsStandIn) -> None:
        from backend.integrations.aws.probe import probe

        role = aws._role()
        config = from_connection(aws.settings() | {"role_arn": role}, aws.secrets())
        result = probe(config)
        assert result.ok, result
        assert "assumed-role/ingest/steward-portal" in result.arn

    def test_a_silent_sts_is_given_up_soon(
        self, aws: AwsStandIn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(clients, "READ_TIMEOUT", 0.3)
        role = "arn:aws:iam::123456789012:role/slow"
        config = from_connection(aws.settings() | {"role_arn": role}, aws.secrets())
        with (  # boto3's own patience is a minute: it would see the answer
            aws.faults.inject(operation="AssumeRole", latency=600),
            pytest.raises(UpstreamTimeout, match="not answered in time"),
        ):
            Gateway(config).check_target("lambda", "f")
        clients.forget()


def test_names_are_read_from_arns() -> None:
    arn = "arn:aws:states:eu-west-1:123456789012:stateMachine:nightly:7"
    assert arn_region(arn) == "eu-west-1"
    assert arn_region("plain") == ""
    assert execution_arn(arn, "r-1") == (
        "arn:aws:states:eu-west-1:123456789012:execution:nightly:r-1"
    )
    assert default_log_group("arn:aws:lambda:eu-west-1:123456789012:function:f:prod") == (
        "/aws/lambda/f"
    )
    assert default_log_group("f:prod") == "/aws/lambda/f"


@pytest.mark.parametrize(
    ("logging", "told"),
    [
        ({"LogFormat": "Text"}, "nodejs22.x"),
        ({"LogFormat": "JSON", "ApplicationLogLevel": "ERROR"}, "nodejs22.x"),
        ({"LogFormat": "JSON", "ApplicationLogLevel": "FATAL"}, ""),
    ],
)
def test_a_function_that_may_not_print_its_errors_tells_nothing(
    aws: AwsStandIn,
    config: AwsConfig,
    monkeypatch: pytest.MonkeyPatch,
    logging: dict[str, str],
    told: str,
) -> None:
    name = f"f{len(logging)}{logging.get('ApplicationLogLevel', '')}"
    aws.add_function(name)
    client = clients.client(config, "lambda", region=Gateway(config).region(name))
    with Stubber(client) as stub:  # moto keeps no LoggingConfig
        answer = {"Runtime": "nodejs22.x", "LoggingConfig": logging}
        stub.add_response("get_function_configuration", answer, {"FunctionName": name})
        monkeypatch.setattr(clients, "client", lambda *_args, **_kwargs: client)
        assert Gateway(config).runtime(name) == told
