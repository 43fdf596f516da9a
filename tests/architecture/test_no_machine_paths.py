"""Nothing tracked knows the machine it was written on."""

import re
from pathlib import Path

import pytest

from tests.architecture.source import ROOT, tracked_files

#: Places where a checkout commonly lies; their names alone say nothing.
_COMMON = {"/", "/app", "/tmp", "/home", "/srv", "/opt", "/usr/src", "/workspace", "/builds"}
_HOMES = re.compile(r"(?<![\w.])/(?:root|home/[a-z][\w-]*|Users/[A-Za-z][\w-]*)/")
_INDEX = re.compile(
    r"--(?:extra-)?index-url|--find-links|--trusted-host|://(?![\w.]*\.example/)[^\s]*/simple\b"
)


def _texts():
    for path in tracked_files():
        if path == Path(__file__):
            continue
        try:
            yield path.relative_to(ROOT), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def _wrong(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path}:{text[: match.start()].count(chr(10)) + 1} {match[0]}"
        for path, text in _texts()
        for match in pattern.finditer(text)
    ]


def test_no_file_names_the_folder_of_the_checkout():
    folders = [str(folder) for folder in (ROOT, ROOT.parent) if str(folder) not in _COMMON]
    if not folders:
        pytest.skip(f"{ROOT} is too common a name to look for")
    pattern = re.compile("|".join(rf"(?<![\w.]){re.escape(folder)}/" for folder in folders))
    assert not _wrong(pattern)


def test_no_file_names_somebodys_home():
    assert not _wrong(_HOMES)


def test_no_file_names_a_package_index():
    allowed = {".ci/environment.py", "Makefile"}  # pass on what pip was told
    assert not [line for line in _wrong(_INDEX) if line.split(":")[0] not in allowed]


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_is_pinned_with_its_hashes_and_comes_from_the_index(lock):
    text = (ROOT / lock).read_text().replace("\\\n", " ")
    lines = [line.split("#")[0].strip() for line in text.splitlines()]
    pinned = re.compile(
        r"[a-z0-9._-]+(\[[a-z0-9,_-]+\])?==[^\s;@]+( ;.+?)?(\s+--hash=sha256:[0-9a-f]{64})+"
    )
    wrong = [line for line in lines if line and not pinned.fullmatch(line)]
    assert not wrong
