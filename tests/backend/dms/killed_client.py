"""A client process that dies (SIGKILL) at a named step of one mount or unmount.

usage: killed_client.py DB_URL BROKER_URL STEP REQUEST_JSON
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from backend.dms import operations
from backend.dms.client import DMSClient
from backend.dms.operations import Operations
from backend.dms.pika_channel import Request


def die(*_arguments: Any, **_named: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def before(step: Callable[..., Any]) -> Callable[..., Any]:
    def killed(*arguments: Any, **named: Any) -> Any:
        die()
        return step(*arguments, **named)

    return killed


def after(step: Callable[..., Any]) -> Callable[..., Any]:
    def killed(*arguments: Any, **named: Any) -> Any:
        step(*arguments, **named)
        die()

    return killed


def arrange(step: str) -> None:
    """Put the death where `step` says."""
    if step == "before the claim":
        Operations.claim = before(Operations.claim)  # type: ignore[method-assign]
    elif step == "while deciding":
        operations.decide = before(operations.decide)
    elif step == "after the claim":
        Operations.claim = after(Operations.claim)  # type: ignore[method-assign]
    elif step == "after the look":
        Request.publish = before(Request.publish)  # type: ignore[method-assign]
    elif step == "after the reply":
        Operations.confirm = before(Operations.confirm)  # type: ignore[method-assign]
    elif step == "inside the last transaction":
        Operations._confirm = after(Operations._confirm)  # type: ignore[method-assign]
    elif step == "after the commit":
        Operations.confirm = after(Operations.confirm)  # type: ignore[method-assign]
    elif step != "while the server works":  # then the test kills from outside
        raise SystemExit(f"no such step: {step}")


def main() -> None:
    db_url, broker_url, step, document = sys.argv[1:]
    request = json.loads(document)
    client = DMSClient(db_url, broker_url, 60, lease=1.0)
    arrange(step)
    getattr(client, request["action"])(request)


if __name__ == "__main__":
    main()
