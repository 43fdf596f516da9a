"""The stand-in's server: a WSGI layer around moto's application."""

import io
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import unquote

from backend.integrations.aws.standin.afterlife import Afterlife, Behaviour
from backend.integrations.aws.standin.faults import Fault, Faults

ACCOUNT = "123456789012"
_INVOKE = re.compile(r"/2015-03-31/functions/([^/]+)/invocations$")
_SCOPE = re.compile(r"Credential=[^/]+/\d+/([a-z0-9-]+)/([a-z-]+)/aws4_request")

Outcome = Literal["succeed", "fail", "timeout", "silent"]


@dataclass(frozen=True)
class Start:
    """One thing that really began: an asynchronous call or an execution."""

    operation: str
    name: str
    payload: Any
    region: str
    request_id: str = ""


@dataclass
class _Call:
    operation: str
    invocation: str
    region: str
    name: str = ""
    body: bytes = b""
    status: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)

    def header(self, wanted: str) -> str:
        return next((v for k, v in self.headers if k.lower() == wanted), "")


class AwsStandIn:
    """moto's server in a daemon thread of this process.

    port: 0 takes a free one. region: where `add_function` and `add_machine` create things.
    """

    def __init__(self, port: int = 0, *, region: str = "us-east-1") -> None:
        self.region = region
        self.faults = Faults()
        self._port = port
        self._server: Any = None
        self._thread: threading.Thread | None = None
        self._afterlife = Afterlife(ACCOUNT)
        self._starts: list[Start] = []
        self._lock = threading.Lock()

    # -- life ------------------------------------------------------------------------------------

    def __enter__(self) -> "AwsStandIn":
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def start(self) -> None:
        """Serve until `stop`. Raises OSError when the port is taken."""
        from moto.core.config import default_user_config
        from moto.moto_server.werkzeug_app import (
            DomainDispatcherApplication,
            MotoRequestHandler,
            create_backend_app,
        )
        from werkzeug.serving import make_server

        class Quiet(MotoRequestHandler):
            def log(self, *_args: object) -> None:
                """Requests of the sandbox are not news."""

        default_user_config["lambda"] = {"use_docker": False}
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server = make_server(
            "127.0.0.1", self._port, self._application, threaded=True, request_handler=Quiet
        )
        self._afterlife.start()
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="aws-stand-in", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and forget everything that was created."""
        self._afterlife.stop()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        if self._thread is not None:
            self._thread.join(timeout=5)
        self.reset()

    def reset(self) -> None:
        """Empty AWS: no functions, machines, log groups, faults, starts."""
        from moto.awslambda_simple.models import lambda_simple_backends
        from moto.iam.models import iam_backends
        from moto.logs.models import logs_backends
        from moto.stepfunctions.models import stepfunctions_backends

        self.faults.clear()
        self._afterlife.clear()
        for backends in (
            lambda_simple_backends,
            stepfunctions_backends,
            logs_backends,
            iam_backends,
        ):
            backends.reset()
        with self._lock:
            self._starts.clear()

    @property
    def url(self) -> str:
        host, port = self._server.server_address[:2]
        return f"http://{host}:{port}"

    def settings(self) -> dict[str, str]:
        """The settings of an aws connection to this server."""
        return {
            "region": self.region,
            "endpoint_url": self.url,
            "access_key_id": "AKIAIOSFODNN7EXAMPLE",
        }

    def secrets(self) -> dict[str, str]:
        return {"secret_access_key": "sandbox"}

    # -- seeds -----------------------------------------------------------------------------------

    def add_function(
        self, name: str, *, seconds: float = 1.0, outcome: Outcome = "succeed", timeout: int = 60
    ) -> str:
        """Create a function; its calls take `seconds` and end as `outcome` says. Returns its ARN.

        outcome "silent" writes no log lines at all, as a function without logs rights does.
        """
        self._afterlife.behaviours[name] = Behaviour(seconds, outcome)
        lambda_ = self._client("lambda")
        created = lambda_.create_function(
            FunctionName=name,
            Runtime="python3.11",
            Role=self._role(),
            Handler="handler.handle",
            Code={"ZipFile": _empty_zip()},
            Timeout=timeout,
        )
        return str(created["FunctionArn"])

    def add_machine(
        self,
        name: str,
        *,
        seconds: float = 1.0,
        outcome: Outcome = "succeed",
        kind: Literal["STANDARD", "EXPRESS"] = "STANDARD",
    ) -> str:
        """Create a state machine and return its ARN."""
        self._afterlife.behaviours[name] = Behaviour(seconds, outcome)
        states = self._client("stepfunctions")
        definition = {"StartAt": "Ingest", "States": {"Ingest": {"Type": "Pass", "End": True}}}
        created = states.create_state_machine(
            name=name, definition=json.dumps(definition), roleArn=self._role(), type=kind
        )
        return str(created["stateMachineArn"])

    def hurry(self) -> None:
        """Let every call and execution that is still going end now."""
        self._afterlife.hurry()

    def starts(self, operation: str = "") -> list[Start]:
        """What was really started, in order, whether or not the caller was told."""
        with self._lock:
            return [start for start in self._starts if operation in ("", start.operation)]

    def _client(self, service: str) -> Any:
        import boto3

        return boto3.client(
            service,
            region_name=self.region,
            endpoint_url=self.url,
            aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
            aws_secret_access_key="sandbox",  # noqa: S106 - the stand-in takes any
        )

    def _role(self) -> str:
        iam = self._client("iam")
        try:
            return str(iam.get_role(RoleName="ingest")["Role"]["Arn"])
        except iam.exceptions.NoSuchEntityException:
            trust = json.dumps({"Version": "2012-10-17", "Statement": []})
            made = iam.create_role(RoleName="ingest", AssumeRolePolicyDocument=trust)
            return str(made["Role"]["Arn"])

    # -- WSGI ------------------------------------------------------------------------------------

    def _application(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        call = _read(environ)
        fault = self.faults.take(call.operation, call.invocation)
        if fault is not None:
            early = _early(fault, environ, start_response)
            if early is not None:
                return early
        if call.operation == "Invoke" and not self._function_exists(call):
            return _missing_function(call, start_response)

        def remember(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            call.status, call.headers = status, headers
            return start_response(status, headers, *rest)

        answer = list(self._moto(environ, remember))
        self._note(call, answer)
        if fault is not None and fault.drop == "after":
            _cut(environ)
        return answer

    def _function_exists(self, call: _Call) -> bool:
        from moto.awslambda_simple.models import lambda_simple_backends

        functions = lambda_simple_backends[ACCOUNT][call.region].list_functions()
        return any(call.name in (fn.function_name, fn.function_arn) for fn in functions)

    def _note(self, call: _Call, answer: list[bytes]) -> None:
        """Remember what began, and let it live on as AWS would."""
        if call.operation == "Invoke" and call.invocation == "Event" and "202" in call.status:
            request_id = call.header("x-amzn-requestid")
            self._remember("Invoke", call.name, _json(call.body), call.region, request_id)
            self._afterlife.function(call.name, call.region, request_id, call.body.decode())
        if call.operation == "StartExecution" and call.status.startswith("200"):
            asked = _json(call.body) or {}
            arn = (_json(b"".join(answer)) or {}).get("executionArn", "")
            machine = str(asked.get("stateMachineArn", ""))
            self._remember("StartExecution", machine, asked, call.region, arn)
            self._afterlife.execution(machine.split(":")[-1], call.region, arn)

    def _remember(self, *parts: Any) -> None:
        with self._lock:
            self._starts.append(Start(*parts))


def _read(environ: dict[str, Any]) -> _Call:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(length) if length else b""
    environ["wsgi.input"] = io.BytesIO(body)
    scope = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    call = _Call(
        operation=environ.get("HTTP_X_AMZ_TARGET", "").split(".")[-1],
        invocation=environ.get("HTTP_X_AMZ_INVOCATION_TYPE", ""),
        region=scope.group(1) if scope else "us-east-1",
        body=body,
    )
    invoked = _INVOKE.search(environ.get("PATH_INFO", ""))
    if invoked:
        call.operation = "Invoke"
        call.name = unquote(invoked.group(1)).split(":function:")[-1].split(":")[0]
    elif environ.get("PATH_INFO", "").endswith("/configuration"):
        call.operation = "GetFunctionConfiguration"
    elif scope and scope.group(2) == "sts":
        call.operation = dict(
            part.split("=", 1) for part in body.decode().split("&") if "=" in part
        ).get("Action", "")
    return call


def _early(
    fault: Fault, environ: dict[str, Any], start_response: Callable[..., Any]
) -> list[bytes] | None:
    """The fault's own answer, or None to let moto answer."""
    if fault.latency:
        time.sleep(fault.latency)
    if fault.drop == "before":
        _cut(environ)
    if fault.html:
        start_response("200 OK", [("Content-Type", "text/html")])
        return [b"<!doctype html><title>Sign in</title>"]
    if not fault.status:
        return None
    headers = [("Content-Type", "application/json")]
    document = {"message": fault.message}
    if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        start_response(f"{fault.status} Injected", [("Content-Type", "text/xml")])
        error = f"<Code>{fault.code}</Code><Message>{fault.message}</Message>"
        return [f"<ErrorResponse><Error>{error}</Error></ErrorResponse>".encode()]
    if fault.code:
        headers.append(("x-amzn-ErrorType", fault.code))
        document["__type"] = fault.code
    start_response(f"{fault.status} Injected", headers)
    return [json.dumps(document).encode()]


def _missing_function(call: _Call, start_response: Callable[..., Any]) -> list[bytes]:
    start_response(
        "404 Not Found",
        [("Content-Type", "application/json"), ("x-amzn-ErrorType", "ResourceNotFoundException")],
    )
    arn = f"arn:aws:lambda:{call.region}:{ACCOUNT}:function:{call.name}"
    return [json.dumps({"Type": "User", "Message": f"Function not found: {arn}"}).encode()]


def _cut(environ: dict[str, Any]) -> None:
    """End the connection without a word, as a broken network does."""
    connection = environ["werkzeug.socket"]
    connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _empty_zip() -> bytes:
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("handler.py", "def handle(event, context): return event\n")
    return buffer.getvalue()
