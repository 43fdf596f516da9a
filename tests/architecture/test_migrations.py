"""Migrations follow each other in one line: two made side by side would stop every portal."""

import re

from tests.architecture.source import ROOT


def test_there_is_one_line_of_migrations():
    before = {}
    for path in sorted((ROOT / "backend" / "migrations" / "versions").glob("0*.py")):
        text = path.read_text(encoding="utf-8")
        names = [
            re.findall(rf"^{name}\b[^=\n]*= (.+)$", text, re.MULTILINE)
            for name in ("revision", "down_revision")
        ]
        assert [len(found) for found in names] == [1, 1], path.name
        before[names[0][0]] = names[1][0]
    assert len(set(before.values())) == len(before)
    assert set(before.values()) - set(before) == {"None"}
