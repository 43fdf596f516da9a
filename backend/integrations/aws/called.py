"""What a synchronous call of a Lambda function ended with."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: Letters of an answer that are kept.
MAX_ANSWER = 500
#: From here on a statusCode is a failure, in the form that API Gateway gave to handlers.
_BAD_STATUS = 400


@dataclass(frozen=True)
class Called:
    """failed: the function ended with an error, did not end in its time, or answered with the
    statusCode of a failure. error: `errorType: errorMessage`, or that answer. answer: the first
    letters of a good one, "" for none. log: its last 4 KB of log."""

    request_id: str
    failed: bool
    error: str = ""
    log: str = ""
    answer: str = ""


def called(answer: Mapping[str, Any], body: bytes) -> Called:
    """The end that Invoke's answer, with its payload read, tells of."""
    kind, told = str(answer.get("FunctionError") or ""), _document(body)
    text = body[: 4 * MAX_ANSWER].decode(errors="replace")[:MAX_ANSWER]
    bad = not kind and _is_bad(told)
    return Called(
        request_id=answer["ResponseMetadata"].get("RequestId", ""),
        failed=bool(kind) or bad,
        error=_said(told, text, kind) if kind else f"It answered {text}" if bad else "",
        log=_log(answer.get("LogResult") or ""),
        answer="" if kind or bad or text in ("", "null", '""', "{}") else text,
    )


def _document(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _is_bad(told: Any) -> bool:
    """Whether a handler says, as behind API Gateway, that it failed and caught its own error."""
    status = told.get("statusCode") if isinstance(told, dict) else None
    return type(status) is int and status >= _BAD_STATUS


def _said(told: Any, text: str, kind: str) -> str:
    """The function's own words about its error; `kind` (Handled, Unhandled) when it has none."""
    if not isinstance(told, dict) or not (told.get("errorType") or told.get("errorMessage")):
        return f"{kind}: {text}".rstrip(": ")
    parts = (str(told.get("errorType") or ""), str(told.get("errorMessage") or ""))
    return ": ".join(part for part in parts if part)[:2000]


def _log(encoded: str) -> str:
    try:
        return base64.b64decode(encoded).decode(errors="replace")
    except ValueError:
        return ""  # how the call ended is known all the same
