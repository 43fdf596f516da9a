"""What the portal makes of the logs that AWS's own runtime clients print: runtime × case → verdict.

The table stands in docs/ingestion.md; `WRITE_DOCS=1` writes each runtime's column there anew.
"""

import os
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from backend.core import clock
from backend.integrations.aws import clients as aws_clients
from backend.integrations.aws import logs
from backend.integrations.aws.config import AwsConfig, from_connection
from backend.integrations.aws.logs import CallLog
from backend.sandbox.aws import AwsStandIn
from tests.fixtures.processes import ServerUnavailable, missing
from tests.integration.lambda_runtimes import clients
from tests.integration.lambda_runtimes.clients import Client
from tests.integration.lambda_runtimes.streams import Stream, record

pytestmark = [pytest.mark.slow, pytest.mark.counterpart, pytest.mark.timeout(900)]

DOCS = Path(__file__).resolve().parents[3] / "docs" / "ingestion.md"
GROUP = "/aws/lambda/f"
#: Heading in the documentation → (how its client is had, Runtime as AWS names it, whether it
#: always leaves a record of a failure).
RUNTIMES: dict[str, tuple[Callable[[], Client], str, bool]] = {
    "Python": (clients.python, "python3.13", True),
    "Node": (clients.node, "nodejs22.x", True),
    "Node 24": (clients.node24, "nodejs24.x", True),
    "Java": (clients.java, "java21", True),
    "Go": (clients.go, "provided.al2023", False),
    "Go, log flags set": (clients.go_with_its_own_logger, "provided.al2023", False),
}
CASES = {
    "ok": "returns",
    "lookalike": "prints words of a failure, returns",
    "raise": "raises",
    "own": "raises an exception of its own",
    "exit": "ends its process",
    "timeout": "runs out of time",
    "init": "cannot be loaded",
}
_WORDS = {"succeeded": "succeeded", "failed": "failed", "ended": "unknown: its log does not tell"}


@pytest.fixture
def config() -> Iterator[AwsConfig]:
    with AwsStandIn() as server:
        yield from_connection(server.settings(), server.secrets())
    aws_clients.forget()


@pytest.mark.parametrize("name", list(RUNTIMES))
def test_the_verdict_of_each_case(name: str, config: AwsConfig, tmp_path: Path) -> None:
    made, runtime, tells = RUNTIMES[name]
    try:
        client = made()
    except ServerUnavailable as exc:
        missing(f"the runtime client of {name}", str(exc))
    verdicts: dict[str, list[str]] = {case: [] for case in CASES}
    for json_format in (False, True):
        streams = list(record(client, tmp_path, json_format=json_format))
        group = f"{GROUP}-{'json' if json_format else 'text'}"
        _write(config, group, streams)
        for stream in streams:
            told = _read(config, group, stream, runtime)
            _check(stream, told, tells)
            verdicts[stream.case].append(_WORDS[told.state])
    _documented(name, {case: " / ".join(dict.fromkeys(said)) for case, said in verdicts.items()})


def _check(stream: Stream, told: CallLog, tells: bool) -> None:
    shown = "\n".join(stream.events)
    if stream.failed:
        assert told.state == "failed" or (told.state == "ended" and not tells), shown
        assert told.error or told.state == "ended", shown
    else:
        assert told.state == ("succeeded" if tells else "ended"), shown
    if stream.case == "raise" and told.state == "failed":
        assert "no such table" in told.error
    if stream.case == "init" and told.state == "failed" and tells:
        assert "no table" in told.error, shown
    if stream.case == "own" and told.state == "failed":
        assert "order 7 refused" in told.error


def _write(config: AwsConfig, group: str, streams: list[Stream]) -> None:
    """One log stream with all calls, one after the other, as a warm function leaves it."""
    # A write that is sent again after a slow answer meets what it has made itself.
    client = aws_clients.client(config, "logs", region="us-east-1", once=True, read_timeout=60)
    client.create_log_group(logGroupName=group)
    client.create_log_stream(logGroupName=group, logStreamName="s")
    now = int(time.time() * 1000)
    events = [event for stream in streams for event in stream.events]
    client.put_log_events(
        logGroupName=group,
        logStreamName="s",
        logEvents=[{"timestamp": now + i, "message": event} for i, event in enumerate(events)],
    )


def _read(config: AwsConfig, group: str, stream: Stream, runtime: str) -> CallLog:
    return logs.read_call(
        config,
        log_group=group,
        region="us-east-1",
        request_id=stream.request_id,
        since=clock.now() - timedelta(minutes=5),
        runtime=runtime,
    )


def _documented(name: str, verdicts: dict[str, str]) -> None:
    """The runtime's column is that of the documentation."""
    before, rest = DOCS.read_text(encoding="utf-8").split("<!-- verdicts -->\n")
    stored, after = rest.split("<!-- end of verdicts -->")
    table = _parsed(stored)
    if os.environ.get("WRITE_DOCS"):
        table[name] = verdicts
        text = f"{before}<!-- verdicts -->\n{_table(table)}<!-- end of verdicts -->{after}"
        DOCS.write_text(text, encoding="utf-8")
        return
    assert table.get(name) == verdicts, "WRITE_DOCS=1 writes docs/ingestion.md anew"


def _parsed(text: str) -> dict[str, dict[str, str]]:
    rows = [
        [cell.strip() for cell in line.strip("| \n").split(" | ")] for line in text.splitlines()
    ]
    if not rows:
        return {}
    cases = {words: case for case, words in CASES.items()}
    return {
        heading: {cases[row[0]]: row[place] for row in rows[2:]}
        for place, heading in enumerate(rows[0])
        if place
    }


def _table(columns: dict[str, dict[str, str]]) -> str:
    names = [name for name in RUNTIMES if name in columns]
    lines = ["| the function | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for case, words in CASES.items():
        lines.append(f"| {words} | " + " | ".join(columns[name][case] for name in names) + " |")
    return "\n".join(lines) + "\n"
