"""Durable functions: what botocore's model of this age leaves out, on the wire as AWS has it.

The form is that of the API reference of Invoke, GetFunctionConfiguration and GetDurableExecution;
no real service was asked.
"""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from backend.integrations.aws import durable
from backend.integrations.aws.config import AwsConfig
from backend.integrations.aws.errors import AwsDenied, AwsNotFound
from backend.integrations.aws.gateway import DURABLE, Execution, Gateway

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:f:$LATEST/durable-execution/n-1/0a1b"
FACTS = {"FunctionArn": "arn", "Runtime": "python3.14", "Timeout": 60, "LoggingConfig": {}}


class Lambda(ThreadingHTTPServer):
    """told: (status, error type, document) of a durable execution. durable: of the function."""

    told: tuple[int, str, dict[str, object]] = (200, "", {})
    durable = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []

    @property
    def config(self) -> AwsConfig:
        host, port = self.server_address[:2]
        return AwsConfig("eu-west-1", f"http://{host!s}:{port}", "AKIA", secret_access_key="s")


class _Handler(BaseHTTPRequestHandler):
    server: Lambda

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        kind = self.headers["X-Amz-Invocation-Type"]
        status = {"Event": 202, "DryRun": 204}[kind]
        self._answer(status, b"", **({"X-Amz-Durable-Execution-Arn": ARN} if status == 202 else {}))

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if "durable-executions" in self.path:
            status, error, document = self.server.told
            headers = {"x-amzn-ErrorType": error} if error else {}
            self._answer(status, json.dumps(document).encode(), **headers)
        elif self.path.endswith("/configuration"):
            config = {"ExecutionTimeout": 86_400, "RetentionPeriodInDays": 7}
            more = {"DurableConfig": config} if self.server.durable else {}
            self._answer(200, json.dumps(FACTS | more).encode())
        else:
            self._answer(404, b"{}", **{"x-amzn-ErrorType": "ResourceNotFoundException"})

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"x-amzn-RequestId": "r-1", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Lambda]:
    with Lambda() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(timeout=60)


def test_a_start_names_the_execution(server: Lambda) -> None:
    accepted = Gateway(server.config).start_lambda("f", b"{}")
    assert (accepted.request_id, accepted.execution_arn) == ("r-1", ARN)


@pytest.mark.parametrize(
    ("is_durable", "runtime", "seconds"), [(True, DURABLE, 86_400), (False, "python3.14", 60)]
)
def test_the_function_is_known_as_one(
    server: Lambda, is_durable: bool, runtime: str, seconds: int
) -> None:
    server.durable = is_durable
    assert Gateway(server.config).runtime("f") == runtime
    assert Gateway(server.config).check_target("lambda", "f").timeout_seconds == seconds


def test_how_its_execution_stands(server: Lambda) -> None:
    error = {"ErrorType": "NoTable", "ErrorMessage": "prices", "StackTrace": ["f.py"]}
    times = {"StartTimestamp": 1_790_000_000.5, "EndTimestamp": 1_790_000_060.0}
    server.told = (200, "", {"Status": "FAILED", "Error": error, "Result": None, **times})
    assert durable.execution(server.config, ARN) == Execution(
        ARN, "FAILED", datetime.fromtimestamp(1_790_000_000.5, UTC),
        datetime.fromtimestamp(1_790_000_060, UTC), "NoTable", "prices",
    )  # fmt: skip
    [asked] = server.asked
    assert asked.startswith("/2025-12-01/durable-executions/arn%3Aaws%3Alambda%3A")
    assert asked.count("/") == 3  # those of the ARN are written otherwise


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [(404, "ResourceNotFoundException", AwsNotFound), (403, "AccessDeniedException", AwsDenied)],
)
def test_a_refusal_has_its_error(
    server: Lambda, status: int, code: str, kind: type[Exception]
) -> None:
    server.told = (status, code, {"message": "no"})
    with pytest.raises(kind):
        durable.execution(server.config, ARN)
