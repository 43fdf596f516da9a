"""The connection test of AWS: who are we, may we start what is mapped; it starts nothing."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from backend.core import clock, metrics
from backend.integrations.aws import probe as module
from backend.integrations.aws.config import AwsConfig, from_connection
from backend.integrations.aws.probe import ProbeResult, Target
from backend.sandbox.aws import AwsStandIn
from tests.backend.connections.bad_server import BadServer, answer


def probe(
    config: AwsConfig, *, targets: Sequence[Target] = (), deadline: float = 120.0
) -> ProbeResult:
    """With a deadline that a busy machine keeps; what ends in time is not what is tested here."""
    return module.probe(config, targets=targets, deadline=deadline)


def counted() -> dict[str, float]:
    """portal_outside_calls_total of aws by outcome."""
    return {
        outcome: metrics.SHARED.get_sample_value(
            "portal_outside_calls_total", {"system": "aws", "outcome": outcome}
        )
        or 0
        for outcome in ("succeeded", "refused", "failed")
    }


def test_a_good_connection_counts_no_failed_call(aws: AwsStandIn, config: AwsConfig) -> None:
    aws.add_function("f")  # nobody set how its asynchronous calls are retried: Lambda says 404
    before = counted()
    assert probe(config, targets=[Target("lambda", "f")]).ok
    after = counted()
    assert after["succeeded"] > before["succeeded"]
    assert (after["failed"], after["refused"]) == (before["failed"], before["refused"])


def test_refused_credentials_count_as_refused(aws: AwsStandIn, config: AwsConfig) -> None:
    before = counted()
    with aws.faults.inject(operation="GetCallerIdentity", status=403, code="InvalidClientTokenId"):
        assert not probe(config).ok
    after = counted()
    assert after["refused"] == before["refused"] + 1
    assert after["failed"] == before["failed"]


def test_a_good_connection_names_account_and_region(aws: AwsStandIn, config: AwsConfig) -> None:
    aws.add_function("f")
    machine = aws.add_machine("m")
    result = probe(config, targets=[Target("lambda", "f"), Target("stepfunctions", machine)])
    assert (result.ok, result.account, result.region) == (True, "123456789012", "us-east-1")
    assert [target.ok for target in result.targets] == [True, True]
    assert aws.starts() == []


def test_credentials_that_end_say_when_and_others_do_not(
    aws: AwsStandIn, config: AwsConfig
) -> None:
    role = from_connection(
        {**aws.settings(), "role_arn": "arn:aws:iam::123456789012:role/r"}, aws.secrets()
    )
    begun = clock.now()
    result = probe(role)
    assert result.ok
    assert result.expires_at is not None
    assert begun < result.expires_at <= clock.now() + timedelta(hours=12)
    assert probe(config).expires_at is None


def test_each_target_that_is_missing_is_named(aws: AwsStandIn, config: AwsConfig) -> None:
    aws.add_function("f")
    result = probe(config, targets=[Target("lambda", "f"), Target("lambda", "gone")])
    assert not result.ok
    assert "gone does not exist in us-east-1" in result.cause
    assert result.advice


def test_refused_credentials_have_cause_and_advice(aws: AwsStandIn, config: AwsConfig) -> None:
    with aws.faults.inject(operation="GetCallerIdentity", status=403, code="InvalidClientTokenId"):
        result = probe(config)
    assert not result.ok
    assert "credentials were refused" in result.cause
    assert "keys and role" in result.advice


def test_an_unreachable_endpoint_is_a_result_and_no_error() -> None:
    config = from_connection(
        {"region": "us-east-1", "endpoint_url": "http://127.0.0.1:9", "access_key_id": "a"},
        {"secret_access_key": "b"},
    )
    result = probe(config)
    assert not result.ok
    assert "nothing listens" in result.cause


@pytest.mark.parametrize("page", ["<html><body>Sign in</body></html>", "<!doctype html><p>", "{}"])
def test_what_answers_without_being_aws_is_said(page: str) -> None:
    with BadServer() as server:
        server.behave = answer("200 OK", page, kind="text/html")
        config = from_connection(
            {"region": "us-east-1", "endpoint_url": server.url, "access_key_id": "a"},
            {"secret_access_key": "b"},
        )
        result = probe(config)
    assert not result.ok
    assert "what answered is not AWS" in result.cause
    assert "endpoint_url" in result.advice


def test_no_time_left_is_said(aws: AwsStandIn, config: AwsConfig) -> None:
    result = probe(config, targets=[Target("lambda", "f")], deadline=0.0)
    assert "no time was left" in result.cause


def test_the_region_order_is_connection_then_environment() -> None:
    assert from_connection({"region": "a"}, {}, default_region="b").region == "a"
    assert from_connection({}, {}, default_region="b").region == "b"
    assert "s3cret" not in repr(from_connection({}, {"secret_access_key": "s3cret"}))
