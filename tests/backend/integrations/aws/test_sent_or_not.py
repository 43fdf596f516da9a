"""A start over TLS that broke: before it was sent nothing was started; after it, nobody knows."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from backend.core.errors import OutcomeUnknown, UpstreamUnavailable
from backend.integrations.aws.config import AwsConfig
from backend.integrations.aws.gateway import Gateway
from tests.fixtures.breaking_tls import BEGUN, BROKEN_RECORD, PLAIN, Breaking, BreaksTls

MACHINE = "arn:aws:states:eu-west-1:123456789012:stateMachine:m"


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


class _OneAnswerAConnection(BaseHTTPRequestHandler):
    """Closes a kept connection at the moment in which another request comes on it."""

    protocol_version = "HTTP/1.1"
    answered = False

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.close_connection = self.answered  # whatever the request says of it
        if self.answered:
            return
        self.answered = True
        self.send_response(200)
        answer = b'{"executionArn": "arn:of:it"}'
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@contextmanager
def _serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_start_is_not_sent_on_a_connection_that_is_just_being_closed() -> None:
    with _serving(_OneAnswerAConnection) as url:
        gateway = Gateway(AwsConfig("eu-west-1", url, "A", secret_access_key="s"))
        for name in ("one", "two", "three"):  # OutcomeUnknown otherwise
            assert not gateway.start_execution(MACHINE, name, "{}").existed
