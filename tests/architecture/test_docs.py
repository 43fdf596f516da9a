"""README and docs/ tell commands and endpoints that are there, and leave no endpoint out."""

import re
from functools import lru_cache
from typing import Any

import pytest
import typer.main

from tests.architecture.source import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMAND = re.compile(r"python -m backend ([^\n`]+)")
ENDPOINT = re.compile(r"(?:\b(GET|POST|PUT|PATCH|DELETE)\s+)(/(?:api|trigger)[\w\-./{}\[\]]*)")
#: Told in running text for people, not as endpoints.
NOT_TOLD = {"/healthz", "/readyz"}


@lru_cache
def _root() -> Any:
    from backend.cli.main import app

    return typer.main.get_command(app)


def _lines() -> list[tuple[str, str]]:
    return [
        (page.name, line.split("#")[0].split("|")[0].split(">")[0].split("<")[0])
        for page in PAGES
        for line in COMMAND.findall(page.read_text(encoding="utf-8"))
    ]


def _shape(path: str) -> str:
    """Whatever the parameters are called."""
    return re.sub(r"\{\w+\}", "{}", path.split("?")[0]).rstrip("/.")


@lru_cache
def _endpoints() -> set[tuple[str, str]]:
    from backend.api.app import create_app

    paths = create_app().openapi()["paths"]
    return {(verb.upper(), _shape(path)) for path, verbs in paths.items() for verb in verbs}


@pytest.mark.parametrize(("page", "line"), _lines())
def test_every_command_and_option_exists(page: str, line: str) -> None:
    words = line.replace("[", " ").replace("]", " ").replace(")", " ").split()
    command = _root()
    while words and hasattr(command, "commands"):
        if command.invoke_without_command and words[0].startswith("--"):
            break  # a group that does something by itself takes options of its own
        name = words.pop(0)
        assert name in command.commands, f"{page}: {line}"
        command = command.commands[name]
    known = {
        option
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    told = {word.split("=")[0] for word in words if word.startswith("--")}
    assert not told - known, f"{page}: {line}"


def test_every_link_leads_somewhere() -> None:
    dead = []
    for page in [*PAGES, *(ROOT / "docs" / "adr").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
            if "://" not in link and not (page.parent / link).exists():
                dead.append(f"{page.name}: {link}")
    assert not dead


def test_every_decision_is_in_the_list() -> None:
    listed = (ROOT / "docs" / "adr" / "README.md").read_text(encoding="utf-8")
    decisions = [page.name for page in (ROOT / "docs" / "adr").glob("0*.md")]
    assert decisions
    assert not [name for name in decisions if f"({name})" not in listed]


def test_every_page_of_docs_is_reached_from_the_readme() -> None:
    readme = PAGES[0].read_text(encoding="utf-8")
    alone = [page.name for page in PAGES[1:] if f"(docs/{page.name})" not in readme]
    assert not alone


def test_every_endpoint_told_exists() -> None:
    wrong = [
        f"{page.name}: {verb} {path}"
        for page in PAGES
        for verb, path in ENDPOINT.findall(page.read_text(encoding="utf-8"))
        if (verb, _shape(path.replace("[/{id}]", ""))) not in _endpoints()
    ]
    assert not wrong


def test_every_endpoint_is_told() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    told = {_shape(path) for path in re.findall(r"/(?:api|trigger)[\w\-./{}]*", text)}
    told |= {_shape(path) for path in re.findall(r"(/api[\w\-/]+)\[/\{id\}\]", text)}
    told |= {_shape(f"{path}/{{id}}") for path in re.findall(r"(/api[\w\-/]+)\[/\{id\}\]", text)}
    missing = {path for _, path in _endpoints() if path not in told} - NOT_TOLD
    assert not missing
