"""An operator's own expressions may not hold up the portal."""

import subprocess
import sys
from pathlib import Path

import pytest

from backend.core.errors import InvalidInput
from backend.tokenization import patterns
from backend.tokenization.patterns import SlowExpression, guess

NAME = "a" * 60
FIELDS = {
    "columns": ('["(a|a)*$"]', f"{NAME}_b", (), ""),
    "values": ('["x"]\n    values: "(a|a)*$"', "x", (f"{NAME}b",), ""),
    "by value": ('["x"]\n    by_value: true\n    values: "(a|a)*$"', "y", (f"{NAME}b",), ""),
    "tables": ('["x"]\n    tables: ["(a|a)*$"]', "name", (), f"{NAME}_b"),
}


def _rules(folder: Path, kind: str) -> patterns.Patterns:
    text = f"field_tags: [pii]\nkinds:\n  own:\n    columns: {kind}\n"
    (folder / patterns.FILE_NAME).write_text(text, encoding="utf-8")
    return patterns.load()


@pytest.mark.parametrize("where", FIELDS)
def test_one_that_never_ends_is_stopped_and_named(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr(patterns, "SECONDS", 0.2)
    kind, column, values, table = FIELDS[where]
    with pytest.raises(SlowExpression, match=r"pii_patterns\.yaml takes too long") as refused:
        guess(_rules(data_dir, kind), column, values, table)
    assert NAME not in refused.value.message, "a value was shown"


def test_many_slow_matches_count_together(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them ends by itself, in a small part of the time."""
    monkeypatch.setattr(patterns, "SECONDS", 0.3)
    rules = _rules(data_dir, '["x"]\n    values: "(a|a)*$"')
    assert guess(rules, "x", ["a" * 14 + "b"])
    with pytest.raises(SlowExpression):
        guess(rules, "x", ["a" * 14 + "b"] * 500)


def test_each_column_has_the_whole_time(data_dir: Path) -> None:
    rules = _rules(data_dir, '["x"]\n    values: "(a|a)*$"')
    with pytest.raises(SlowExpression):
        guess(rules, "x", [f"{NAME}b"])
    assert guess(rules, "x", ["aa"]).convincing


@pytest.mark.parametrize("expression", ["(", "a{99999999999999999999}", "[b-a]"])
def test_what_is_no_expression_is_refused_in_a_sentence(data_dir: Path, expression: str) -> None:
    with pytest.raises(InvalidInput, match="is not a regular expression"):
        _rules(data_dir, f'["{expression}"]')


def test_the_engine_is_not_on_the_way_to_the_first_page() -> None:
    code = "import sys, backend.tokenization.patterns; print('regex' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"
