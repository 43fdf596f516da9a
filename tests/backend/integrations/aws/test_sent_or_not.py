"""A start over TLS that broke: before it was sent nothing was started; after it, nobody knows."""

from collections.abc import Callable

import pytest

from backend.core.errors import OutcomeUnknown, UpstreamUnavailable
from backend.integrations.aws.config import AwsConfig
from backend.integrations.aws.gateway import Gateway
from tests.fixtures.breaking_tls import BEGUN, BROKEN_RECORD, PLAIN, Breaking, BreaksTls


def _gateway(server: BreaksTls) -> Gateway:
    there = AwsConfig("eu-west-1", server.url, "A", secret_access_key="s", trust=server.trust)
    return Gateway(there)


def _start(gateway: Gateway) -> object:
    return gateway.start_lambda("f", b'{"hello": 1}')


def _hold(gateway: Gateway) -> object:
    return gateway.call_lambda("f", b'{"hello": 1}', seconds=60)


@pytest.mark.parametrize("call", [_start, _hold])
@pytest.mark.parametrize("then", [BROKEN_RECORD, PLAIN, b""])
def test_tls_that_breaks_after_the_request_is_unknown(
    breaking_tls: Breaking, call: Callable[[Gateway], object], then: bytes
) -> None:
    server = breaking_tls(then=then)
    with pytest.raises(OutcomeUnknown, match="no readable answer came for the function f"):
        call(_gateway(server))
    assert b"/2015-03-31/functions/f/invocations" in server.received


def test_tls_that_breaks_in_the_midst_of_the_answer_is_unknown(breaking_tls: Breaking) -> None:
    server = breaking_tls(within=BEGUN, then=BROKEN_RECORD)
    with pytest.raises(OutcomeUnknown, match="the connection broke"):
        _hold(_gateway(server))


@pytest.mark.parametrize("call", [_start, _hold])
def test_a_handshake_that_fails_started_nothing(
    breaking_tls: Breaking, call: Callable[[Gateway], object]
) -> None:
    server = breaking_tls(read=False, then=PLAIN)
    with pytest.raises(UpstreamUnavailable, match=r"does not speak TLS.*Nothing was started"):
        call(_gateway(server))
