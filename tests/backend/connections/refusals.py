"""Provokes refusals and holds docs/connections.md to what the tests say."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backend.connections import kinds, probing, rules
from backend.connections.schemas import ConnectionConfig, EnvironmentView
from tests.backend.connections import bad_server as bad
from tests.backend.connections.bad_server import BadServer

DOCS = Path(__file__).resolve().parents[3] / "docs" / "connections.md"
PASSWORD = "right-Passw0rd"
UNFORESEEN = re.compile(r"unexpected|Error\b.*\(|Exception|SQLSTATE|reference [0-9A-F]{8}")

#: Kinds whose driver says itself that no answer came.
OWN_DEADLINE = frozenset(("postgres", "mysql", "ledger", "rabbitmq", "databricks"))
CONTAINED = "nothing listens on localhost, the portal in a container"
#: What was done → what the test says. A name in capitals stands for what differs each time.
Said = dict[str, str]


class Ask:
    """Runs one probe with these settings and keeps what it said under the name of the case."""

    def __init__(self, environment: EnvironmentView, kind: str) -> None:
        self.said: Said = {}
        self.trust = environment.trust
        self.deadline = 60.0
        self.contained = False
        self._environment, self._kind = environment, kind

    def __call__(
        self, case: str, settings: dict[str, str], secrets: dict[str, str] | None = None
    ) -> None:
        # Long enough for a busy machine; only who never answers is waited for in full.
        deadline = 4.0 if case.startswith("no answer") else self.deadline
        self.said[case] = self.says(settings, secrets, deadline=deadline)
        if case == "nothing listens":
            self.contained = True
            self.said[CONTAINED] = self.says(settings, secrets)
            self.contained = False
            assert "localhost is the container itself" in self.said[CONTAINED]

    def says(
        self,
        settings: dict[str, str],
        secrets: dict[str, str] | None = None,
        *,
        deadline: float | None = None,
    ) -> str:
        """Cause and advice of a test that must fail, without the port that differs each time."""
        known = kinds.get_kind(self._kind)
        config = ConnectionConfig(
            environment=self._environment,
            kind=self._kind,
            settings=rules.with_defaults(known, settings) | self.trust.as_settings(),
            secrets=secrets or {},
            version=1,
        )
        result = probing.run(config, deadline=deadline or self.deadline)
        # A driver gives up a tenth earlier than the connection's test itself, which may be first
        # all the same when the machine is busy: then once more, with more time between the two.
        for longer in (10.0, 40.0):
            if self._kind in OWN_DEADLINE and result.cause.startswith("No answer within"):
                result = probing.run(config, deadline=longer)
        sentence = f"{result.cause} {result.advice}"
        assert not result.ok, (settings, sentence)
        assert result.advice, (settings, sentence)
        assert not UNFORESEEN.search(sentence), (settings, sentence)
        return re.sub(r"127\.0\.0\.1:\d+", "HOST:PORT", sentence)


@contextlib.contextmanager
def behaving(behave: bad.Behaviour, certificate: Any = None) -> Iterator[BadServer]:
    with BadServer(certificate) as server:
        server.behave = behave
        yield server


def greeting(data: bytes) -> bad.Behaviour:
    """A server of another kind: it speaks first."""

    def behave(connection: Any, _ended: Any) -> None:
        connection.sendall(data)
        connection.recv(100)

    return behave


def documented(kind: str, said: Said) -> None:
    """The sentences are those of the documentation."""
    assert len(said) >= 12, f"only {len(said)} refusals of {kind} are provoked"
    rows = [f"| {case} | {sentence} |" for case, sentence in said.items()]
    block = "\n".join(["| what is wrong | what the test says |", "|---|---|", *rows])
    text = DOCS.read_text(encoding="utf-8")
    marks = f"<!-- refusals of {kind} -->", f"<!-- end of {kind} -->"
    before, rest = text.split(marks[0])
    stored, after = rest.split(marks[1])
    if os.environ.get("WRITE_DOCS"):
        DOCS.write_text(f"{before}{marks[0]}\n{block}\n{marks[1]}{after}", encoding="utf-8")
        return
    told = [line for line in block.splitlines() if line not in stored.splitlines()]
    assert stored.strip() == block, f"WRITE_DOCS=1 writes docs/connections.md anew ({kind}): {told}"
