"""What an AWS request asks for, and the answers that are not moto's: faults and a cut line."""

import io
import json
import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from backend.sandbox import faults

_INVOKE = re.compile(r"/2015-03-31/functions/([^/]+)/invocations$")
_SCOPE = re.compile(r"Credential=[^/]+/\d+/([a-z0-9-]+)/([a-z-]+)/aws4_request")


@dataclass
class Call:
    """One request, and what was answered."""

    operation: str
    invocation: str
    region: str
    name: str = ""
    body: bytes = b""
    status: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)

    @property
    def asked(self) -> faults.Call:
        return faults.Call(body=self.body, operation=self.operation, invocation=self.invocation)

    def header(self, wanted: str) -> str:
        return next((v for k, v in self.headers if k.lower() == wanted), "")


def read(environ: dict[str, Any]) -> Call:
    """What the request asks for; its body can be read again afterwards."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(length) if length else b""
    environ["wsgi.input"] = io.BytesIO(body)
    scope = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    call = Call(
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
    elif environ.get("PATH_INFO", "").endswith("/event-invoke-config"):
        call.operation = "GetFunctionEventInvokeConfig"
    elif scope and scope.group(2) in ("sts", "monitoring") and b"Action=" in body:
        call.operation = dict(
            part.split("=", 1) for part in body.decode().split("&") if "=" in part
        ).get("Action", "")
    return call


def early_answer(
    fault: faults.Fault, environ: dict[str, Any], start_response: Callable[..., Any]
) -> list[bytes] | None:
    """The fault's own answer, or None to let moto answer."""
    if fault.latency:
        fault.over.wait(fault.latency)
    if fault.drop == "before":
        cut(environ)
    if fault.html:
        start_response("200 OK", [("Content-Type", "text/html")])
        return [b"<!doctype html><title>Sign in</title>"]
    if fault.body is not None:
        start_response("200 OK", [("Content-Type", "application/x-amz-json-1.1")])
        return [fault.body]
    if not fault.status:
        return None
    headers = [("Content-Type", "application/json")]
    told = {"message": fault.message}
    if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        start_response(f"{fault.status} Injected", [("Content-Type", "text/xml")])
        error = f"<Code>{fault.code}</Code><Message>{fault.message}</Message>"
        return [f"<ErrorResponse><Error>{error}</Error></ErrorResponse>".encode()]
    if fault.code:
        headers.append(("x-amzn-ErrorType", fault.code))
        told["__type"] = fault.code
    start_response(f"{fault.status} Injected", headers)
    return [json.dumps(told).encode()]


def missing_function(call: Call, account: str, start_response: Callable[..., Any]) -> list[bytes]:
    """What AWS answers for a function that is not there; moto answers otherwise."""
    start_response(
        "404 Not Found",
        [("Content-Type", "application/json"), ("x-amzn-ErrorType", "ResourceNotFoundException")],
    )
    arn = f"arn:aws:lambda:{call.region}:{account}:function:{call.name}"
    return [json.dumps({"Type": "User", "Message": f"Function not found: {arn}"}).encode()]


def answer(document: Any, start_response: Callable[..., Any]) -> list[bytes]:
    """A JSON document as Step Functions answers it."""
    start_response("200 OK", [("Content-Type", "application/x-amz-json-1.0")])
    return [json.dumps(document).encode()]


def redriven(taken: bool, start_response: Callable[..., Any]) -> list[bytes]:
    """What AWS answers for a redrive, which moto does not know."""
    if taken:
        return answer({"redriveDate": time.time()}, start_response)
    start_response("400 Bad Request", [("Content-Type", "application/x-amz-json-1.0")])
    kind = "com.amazonaws.swf.service.v2.model#ExecutionNotRedrivable"
    return [json.dumps({"__type": kind, "message": "Execution is not redrivable"}).encode()]


def cut(environ: dict[str, Any]) -> None:
    """End the connection without a word, as a broken network does."""
    connection = environ["werkzeug.socket"]
    connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError


def document(body: bytes) -> Any:
    """The JSON in the body, None when it is none."""
    try:
        return json.loads(body)
    except ValueError:
        return None
