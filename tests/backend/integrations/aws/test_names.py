"""Names and limits are AWS's own: what the model of botocore says, and no more."""

import re

import pytest
from botocore.session import get_session

from backend.integrations.aws import names

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:f"
MACHINE = "arn:aws:states:eu-west-1:123456789012:stateMachine:"


@pytest.mark.parametrize(
    "text",
    ["f", "function", "f:live", "f:7", "f:$LATEST", "f:$LATEST.PUBLISHED", "f:v1.2", ARN,
     f"{ARN}:v1.2", "123456789012:function:f", "123456789012:function:f:live", "x" * 64,
     "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:f"],
)  # fmt: skip
def test_functions(text: str) -> None:
    assert names.is_function(text)


@pytest.mark.parametrize(
    "text",
    ["", "function:f", "f:", "f g", "f:a:b", "x" * 65, "f:v1..2", f"{ARN}:", f"{ARN} ",
     "arn:aws:lambda:eu-west-1:12:function:f", "arn:aws:s3:::bucket", MACHINE + "m", "f/g", "ä"],
)  # fmt: skip
def test_no_functions(text: str) -> None:
    assert not names.is_function(text)


@pytest.mark.parametrize(
    "name", ["m", "Daily+Load@eu", "Täglich", "m:3", "m:prod.1", "x" * 80, "a=b!(c)'"]
)
def test_machines(name: str) -> None:
    assert names.is_machine(MACHINE + name)


@pytest.mark.parametrize(
    "name", ["", "a b", "a*", "a?", "a<b", "a/b", "a,b", "a%20b", "x" * 81, "m:", "m:a:b", 'a"']
)
def test_no_machines(name: str) -> None:
    assert not names.is_machine(MACHINE + name)


def test_the_limits_are_those_of_the_installed_model() -> None:
    session = get_session()
    invoke = session.get_service_model("lambda").operation_model("Invoke").input_shape.members
    told = re.findall(r"(\d+) MB for (a?synchronous)", invoke["Payload"].documentation)
    assert {(int(mb) * 1_048_576, kind) for mb, kind in told} == {
        (names.payload_limit("lambda"), "asynchronous"),
        (names.payload_limit("lambda", waits=True), "synchronous"),
    }
    assert names.payload_limit("stepfunctions") == 262_144
