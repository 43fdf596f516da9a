"""What Lambda's own last line of a call says of its time and memory."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from backend.integrations.aws.outcome import json_record

_TEXT = {
    "duration_ms": re.compile(r"\tDuration: ([\d.]+) ms"),
    "billed_ms": re.compile(r"\tBilled Duration: ([\d.]+) ms"),
    "memory_mb": re.compile(r"\tMemory Size: (\d+) MB"),
    "max_memory_mb": re.compile(r"\tMax Memory Used: (\d+) MB"),
    "init_ms": re.compile(r"\tInit Duration: ([\d.]+) ms"),
}
_JSON = {
    "duration_ms": "durationMs",
    "billed_ms": "billedDurationMs",
    "memory_mb": "memorySizeMB",
    "max_memory_mb": "maxMemoryUsedMB",
    "init_ms": "initDurationMs",
}


@dataclass(frozen=True)
class Report:
    """One try of a call. Times in milliseconds, memory in MB. None: the line does not say.

    init_ms: how long the function took to load; a try that found it loaded has none.
    """

    duration_ms: float
    billed_ms: float | None = None
    memory_mb: float | None = None
    max_memory_mb: float | None = None
    init_ms: float | None = None


def last(lines: Sequence[str]) -> Report | None:
    """The report of the last try in these lines; None without one."""
    found = (_read(line) for line in reversed(lines))
    return next((report for report in found if report is not None), None)


def _read(line: str) -> Report | None:
    if line.startswith("REPORT RequestId: "):
        matches = {name: pattern.search(line) for name, pattern in _TEXT.items()}
        return _report({name: match[1] for name, match in matches.items() if match})
    record = json_record(line)
    if record is None or record.get("type") != "platform.report":
        return None
    told = record.get("record")
    metrics = told.get("metrics") if isinstance(told, dict) else None
    if not isinstance(metrics, dict):
        return None
    return _report({name: metrics[key] for name, key in _JSON.items() if key in metrics})


def _report(values: dict[str, Any]) -> Report | None:
    try:
        numbers = {name: float(value) for name, value in values.items()}
    except (TypeError, ValueError):
        return None
    return Report(**numbers) if "duration_ms" in numbers else None
