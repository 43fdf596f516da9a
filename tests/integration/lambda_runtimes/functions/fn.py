# ruff: noqa: T201 - what a function prints is its log
"""The function of the cases, in Python."""

import logging
import os
import sys
import time
from typing import Any

if os.environ.get("CASE_AT_INIT"):
    raise RuntimeError("cannot start: no table")


class OrderRefused(Exception):
    pass


def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    case = event["case"]
    print("begun", case)
    if case == "lookalike":
        print("[ERROR] could not parse row 5, skipped")
        print("Task timed out after 30 s, trying again")
        print(f"REPORT RequestId: {context.aws_request_id}\tDuration: 1.00 ms\tStatus: error")
        logging.getLogger().error("only logged")
    elif case == "raise":
        raise ValueError("no such table")
    elif case == "own":
        raise OrderRefused("order 7 refused")
    elif case == "exit":
        sys.exit(1)
    elif case == "timeout":
        time.sleep(600)
    return {"loaded": 5}
