"""The README leads somewhere: every file and every make command it names exists."""

import re

from tests.architecture.source import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_linked_file_exists():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    missing = [link for link in links if "://" not in link and not (ROOT / link).exists()]
    assert not missing


def test_every_make_command_exists():
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"make ([a-z]+)`", README))
    assert named
    assert not [name for name in named if not re.search(rf"^{name}:", makefile, re.MULTILINE)]


def test_every_room_is_on_the_map():
    rooms = [
        path.name
        for path in (ROOT / "backend").iterdir()
        if path.is_dir() and path.name != "__pycache__"
    ]
    assert not [room for room in rooms if f"{room}/`" not in README]
