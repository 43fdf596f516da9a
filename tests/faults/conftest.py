"""What every cell is held to: the sentence a person sees, and a note of what was stored."""

import re
from collections.abc import Callable

import pytest

from tests.faults.matrix import Cell

#: Stored as password or token in every environment of these tests.
SECRET = "planted-s3cret"
#: What a person may be told to do.
ADVICE = re.compile(
    r"\b(check|try|again|set|look|wait|ask|plan|see|make|use|add|remove|free|re-check|"
    r"restart|correct|continue[d]?|retried|known|nothing was|must|needs|enter|create|save)\b",
    re.I,
)
NAMES = {
    "DataHub": "DataHub",
    "OpenMetadata": "OpenMetadata",
    "Directory": "Directory",
    "PostgreSQL": "PostgreSQL|Postgres",
    "Ledger": "ledger",
    "RabbitMQ": "RabbitMQ|broker",
    "AWS": "AWS|Lambda",
    "State database": "portal's own database",
}


def check_sentence(cell: Cell, sentence: str | None) -> None:
    """One clear sentence or two: which system, what to do; no traceback, no markup, no secret."""
    assert sentence, f"{cell}: nothing is said"
    assert re.sub(r" \(outcome: [a-z ]+\)$", "", sentence).endswith((".", "…")), sentence
    assert len(sentence) <= 500, sentence
    assert re.search(NAMES[cell.system], sentence, re.I), f"{cell}: names no system: {sentence}"
    assert ADVICE.search(sentence), f"{cell}: says nothing to do: {sentence}"
    raw = r'Traceback|File "|\w+(Error|Exception)\b|<html|</|0x[0-9a-f]{6}|\[Errno|Reference '
    assert not re.search(raw, sentence), f"{cell}: raw: {sentence}"
    assert "s3cret" not in sentence, f"{cell}: a secret"


Note = Callable[..., None]


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Note:
    """note(cell, sees="…" | None, stored="…"): check the sentence and keep the row of the table.

    sees None: the job succeeded, there is nothing to tell.
    """

    def keep(cell: Cell, *, sees: str | None, stored: str) -> None:
        if sees is not None:
            check_sentence(cell, sees)
        request.node.user_properties.append(
            ("cell", [cell.job, cell.system, cell.fault, sees or "(it succeeds)", stored])
        )

    return keep
