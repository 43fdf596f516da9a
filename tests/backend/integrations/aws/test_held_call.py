"""A synchronous call: whatever the runtime, its answer says how it ended."""

import base64
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from urllib3.connection import HTTPConnection

from backend.core.errors import OutcomeUnknown
from backend.integrations.aws.config import AwsConfig
from backend.integrations.aws.errors import AwsThrottled
from backend.integrations.aws.gateway import Gateway


class Lambda(ThreadingHTTPServer):
    """Answers Invoke as Lambda's documentation has it. answer: status, headers, body."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer: tuple[int, dict[str, str], bytes] = (200, {}, b"null")
        self.cut = False
        self.asked: list[tuple[str, str]] = []

    @property
    def config(self) -> AwsConfig:
        host, port = self.server_address[:2]
        return AwsConfig("eu-west-1", f"http://{host!s}:{port}", "AKIA", secret_access_key="s")


class _Handler(BaseHTTPRequestHandler):
    server: Lambda

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        asked = (self.headers["X-Amz-Invocation-Type"], self.headers["X-Amz-Log-Type"])
        self.server.asked.append(asked)
        status, headers, body = self.server.answer
        self.send_response(status)
        for name, value in {"x-amzn-RequestId": "r-1", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) + (10 if self.server.cut else 0)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        pass


class Deep:
    """A body that is nested deeper than Python's parser goes."""


@pytest.fixture
def server() -> Iterator[Lambda]:
    with Lambda() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(timeout=60)


def test_a_good_end_with_its_last_lines(server: Lambda) -> None:
    tail = base64.b64encode("START RequestId: r-1\nrows: 7 ä\n".encode()).decode()
    server.answer = (200, {"X-Amz-Log-Result": tail}, b'{"rows": 7}')
    called = Gateway(server.config).call_lambda("f", b"{}", seconds=30)
    assert (called.failed, called.error, called.request_id) == (False, "", "r-1")
    assert called.log.endswith("rows: 7 ä\n")
    assert server.asked == [("RequestResponse", "Tail")]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"errorMessage": "no such key", "errorType": "errorString"}, "errorString: no such key"),
        ({"errorMessage": "2026-11-28 r-1 Task timed out after 3.00 seconds"},
         "2026-11-28 r-1 Task timed out after 3.00 seconds"),
        ({"errorType": "Runtime.ExitError"}, "Runtime.ExitError"),
        ("boom", 'Unhandled: "boom"'),
        ({}, "Unhandled: {}"),
        (Deep(), "Unhandled: " + "[" * 500),
    ],
)  # fmt: skip
def test_a_bad_end_of_any_runtime(server: Lambda, body: object, error: str) -> None:
    server.answer = (200, {"X-Amz-Function-Error": "Unhandled"}, _encoded(body))
    called = Gateway(server.config).call_lambda("f", b"{}", seconds=30)
    assert (called.failed, called.error) == (True, error)


@pytest.mark.parametrize(
    ("body", "failed"),
    [
        ({"statusCode": 500, "body": "no such key"}, True),
        ({"statusCode": 400}, True),
        ({"statusCode": 200, "body": "7 rows"}, False),
        ({"statusCode": "500"}, False),
        ({"statusCode": True}, False),
        ({"body": {"statusCode": 500}}, False),
        ({"status": "failed", "message": "no such key"}, False),
    ],
)
def test_a_status_code_of_a_failure_is_one_and_any_other_answer_is_shown(
    server: Lambda, body: dict[str, object], failed: bool
) -> None:
    """As a handler behind API Gateway answers that caught its own error."""
    server.answer = (200, {}, json.dumps(body).encode())
    called = Gateway(server.config).call_lambda("f", b"{}", seconds=30)
    told = json.dumps(body)
    assert (called.failed, called.error, called.answer) == (
        (True, f"It answered {told}", "") if failed else (False, "", told)
    )


def test_a_log_that_cannot_be_decoded_loses_no_outcome(server: Lambda) -> None:
    server.answer = (200, {"X-Amz-Log-Result": "a"}, b"null")
    called = Gateway(server.config).call_lambda("f", b"{}", seconds=30)
    assert (called.failed, called.log, called.answer) == (False, "", "")


def _encoded(body: object) -> bytes:
    return b"[" * 200_000 if isinstance(body, Deep) else json.dumps(body).encode()


def test_an_error_in_the_body_without_the_header_is_a_result(server: Lambda) -> None:
    server.answer = (200, {}, b'{"errorMessage": "a field of the result"}')
    assert not Gateway(server.config).call_lambda("f", b"{}", seconds=30).failed


def test_a_connection_that_breaks_is_unknown_and_nothing_is_sent_again(server: Lambda) -> None:
    server.cut = True
    with pytest.raises(OutcomeUnknown, match="not sent again"):
        Gateway(server.config).call_lambda("f", b"{}", seconds=30)
    assert len(server.asked) == 1


def test_a_connection_that_is_silent_for_minutes_is_kept_alive(
    server: Lambda, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A NAT gateway forgets one after 350 seconds; Linux's first probe comes after two hours."""
    alive = []
    connect = HTTPConnection.connect

    def noted(self: HTTPConnection) -> None:
        connect(self)
        options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL)
        alive.append(self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
        alive.extend(self.sock.getsockopt(socket.IPPROTO_TCP, option) for option in options)

    monkeypatch.setattr(HTTPConnection, "connect", noted)
    Gateway(server.config).call_lambda("f", b"{}", seconds=30)
    assert alive == [1, 60, 60]


def test_what_was_only_accepted_is_no_answer(server: Lambda) -> None:
    server.answer = (202, {}, b"")
    with pytest.raises(OutcomeUnknown, match="instead of 200"):
        Gateway(server.config).call_lambda("f", b"{}", seconds=30)


def test_a_refusal_started_nothing_and_is_sent_once(server: Lambda) -> None:
    server.answer = (429, {"x-amzn-errortype": "TooManyRequestsException"}, b"{}")
    with pytest.raises(AwsThrottled, match="Nothing was started"):
        Gateway(server.config).call_lambda("f", b"{}", seconds=30)
    assert len(server.asked) == 1
