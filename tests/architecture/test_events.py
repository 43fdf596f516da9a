"""Every kind of event that people can subscribe to is raised by some code."""

import ast
from pathlib import Path

from backend.core import events

ROOT = Path(__file__).resolve().parents[2]


def test_no_kind_is_one_that_nothing_raises() -> None:
    said = {
        node.value
        for path in (ROOT / "backend").rglob("*.py")
        if path.name != "event_kinds.py" and "sandbox" not in path.parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert {kind for kind in events.kinds() if kind not in said} == set()
