"""The stand-in's server: a WSGI layer around moto's application."""

import io
import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from backend.sandbox.aws import history, wire
from backend.sandbox.aws.outcome_simulator import Behaviour, OutcomeSimulator
from backend.sandbox.faults import Faults

ACCOUNT = "123456789012"
Outcome = Literal["succeed", "fail", "timeout", "silent"]


@dataclass(frozen=True)
class Start:
    """One thing that really began: an asynchronous call or an execution."""

    operation: str
    name: str
    payload: Any
    region: str
    request_id: str = ""


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
        self._simulator = OutcomeSimulator(ACCOUNT)
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
        self._simulator.start()
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="aws-stand-in", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and forget everything that was created."""
        self._simulator.stop()
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
        self._simulator.clear()
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
        self,
        name: str,
        *,
        seconds: float = 1.0,
        outcome: Outcome = "succeed",
        timeout: int = 60,
        chatter: int = 0,
        runtime: str = "python3.11",
    ) -> str:
        """Create a function; its calls take `seconds` and end as `outcome` says. Returns its ARN.

        outcome "silent" writes no log lines at all, as a function without logs rights does.
        chatter: how many lines of its own a call writes.
        """
        self._simulator.behaviours[name] = Behaviour(seconds, outcome, chatter)
        lambda_ = self._client("lambda")
        created = lambda_.create_function(
            FunctionName=name,
            Runtime=runtime,
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
        self._simulator.behaviours[name] = Behaviour(seconds, outcome)
        states = self._client("stepfunctions")
        created = states.create_state_machine(
            name=name, definition=json.dumps(history.DEFINITION), roleArn=self._role(), type=kind
        )
        return str(created["stateMachineArn"])

    def retry(self, name: str, request_id: str, *, begins: bool = True, ends: bool = True) -> None:
        """Write the lines of one more try of an asynchronous call, as Lambda makes after failures.

        begins, ends: only its first or last lines.
        """
        self._simulator.attempt(name, self.region, request_id, begins=begins, ends=ends)

    def hurry(self) -> None:
        """Let every call and execution that is still going end now."""
        self._simulator.hurry()

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
        call = wire.read(environ)
        fault = self.faults.take(call.asked)
        if fault is not None:
            early = wire.early_answer(fault, environ, start_response)
            if early is not None:
                return early
        if call.operation == "RedriveExecution":
            arn = json.loads(call.body)["executionArn"]
            return wire.redriven(self._simulator.redrive(call.region, arn), start_response)
        if call.operation == "GetExecutionHistory":
            found = self._simulator.find(call.region, json.loads(call.body)["executionArn"])
            if found is not None:
                return wire.answer({"events": history.events(found)}, start_response)
        if call.operation == "Invoke" and not self._function_exists(call):
            return wire.missing_function(call, ACCOUNT, start_response)

        def remember(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            call.status, call.headers = status, headers
            return start_response(status, headers, *rest)

        answer = list(self._moto(environ, remember))
        self._note(call, answer)
        if fault is not None and fault.drop == "after":
            wire.cut(environ)
        return answer

    def _function_exists(self, call: wire.Call) -> bool:
        from moto.awslambda_simple.models import lambda_simple_backends

        functions = lambda_simple_backends[ACCOUNT][call.region].list_functions()
        return any(call.name in (fn.function_name, fn.function_arn) for fn in functions)

    def _note(self, call: wire.Call, answer: list[bytes]) -> None:
        """Remember what began, and let it live on as AWS would."""
        if call.operation == "Invoke" and call.invocation == "Event" and "202" in call.status:
            request_id = call.header("x-amzn-requestid")
            self._remember("Invoke", call.name, wire.document(call.body), call.region, request_id)
            self._simulator.function(call.name, call.region, request_id, call.body.decode())
        if call.operation == "StartExecution" and call.status.startswith("200"):
            asked = wire.document(call.body) or {}
            arn = (wire.document(b"".join(answer)) or {}).get("executionArn", "")
            machine = str(asked.get("stateMachineArn", ""))
            self._remember("StartExecution", machine, asked, call.region, arn)
            self._simulator.execution(machine.split(":")[-1], call.region, arn)

    def _remember(self, *parts: Any) -> None:
        with self._lock:
            self._starts.append(Start(*parts))


def _empty_zip() -> bytes:
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("handler.py", "def handle(event, context): return event\n")
    return buffer.getvalue()
