"""Counted words, and commands that run when they are copied."""

import re
from pathlib import Path

import pytest

from backend.core.words import counted

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 mounts"), (1, "1 mount"), (2, "2 mounts"), (1_000, "1,000 mounts")]
)
def test_an_s_is_added(count: int, text: str) -> None:
    assert counted(count, "mount") == text


@pytest.mark.parametrize(("count", "text"), [(1, "1 entry is"), (3, "3 entries are")])
def test_other_forms_are_given(count: int, text: str) -> None:
    assert counted(count, "entry is", "entries are") == text


def test_no_sentence_tells_to_run_a_python_that_has_none_of_the_portals_packages() -> None:
    bare = re.compile(r"(?<!`)python -m backend [a-z]")
    files = [path for room in ("backend", "pages", "auth") for path in (ROOT / room).rglob("*.py")]
    assert len(files) > 200
    assert [path.name for path in files if bare.search(path.read_text())] == []
