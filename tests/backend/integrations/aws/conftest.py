"""One AWS stand-in per test module, emptied before each test."""

from collections.abc import Iterator

import pytest

from backend.integrations.aws import clients
from backend.integrations.aws.config import AwsConfig, from_connection
from backend.sandbox.aws import AwsStandIn


@pytest.fixture(scope="module")
def aws_server() -> Iterator[AwsStandIn]:
    with AwsStandIn() as server:
        yield server
    clients.forget()


@pytest.fixture
def aws(aws_server: AwsStandIn) -> AwsStandIn:
    aws_server.reset()
    return aws_server


@pytest.fixture
def config(aws: AwsStandIn) -> AwsConfig:
    return from_connection(aws.settings(), aws.secrets())
