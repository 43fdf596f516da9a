"""docs/connections.md names every kind, setting and secret."""

from pathlib import Path

import pytest

from backend.connections import kinds

DOCS = Path(__file__).resolve().parents[3] / "docs" / "connections.md"


@pytest.mark.parametrize("kind", kinds.KINDS.values(), ids=lambda kind: kind.name)
def test_every_setting_and_secret_is_documented_in_its_kinds_row(kind: kinds.Kind) -> None:
    row = next(
        line for line in DOCS.read_text().splitlines() if line.startswith(f"| {kind.name} |")
    )
    for field in (*kind.settings, *kind.secrets):
        assert field.name in row, f"{kind.name}.{field.name}"
