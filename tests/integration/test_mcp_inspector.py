"""MCP's official inspector lists and calls the tools, over stdin and stdout and over HTTP.

It is installed once into a folder of the user's cache.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backend.accounts import api_tokens
from backend.core.access import SYSTEM, Role
from backend.core.database import Database
from tests.backend.api.test_mcp import url  # noqa: F401 - a fixture
from tests.fixtures import processes
from tests.fixtures.processes import ServerUnavailable, missing
from tests.integration.test_directories import INSTALL_SECONDS, cache

ROOT = Path(__file__).resolve().parents[2]
#: The first whose command line sends headers; later ones want a newer Node than most machines have.
PACKAGE = "@modelcontextprotocol/inspector@0.16.8"
#: Its command line has no deadline of its own.
ANSWER_SECONDS = 120

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def inspector() -> list[str]:
    """The command that asks."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if not npm or not node:
        missing("MCP's inspector", "Node and npm are not installed")
    folder = cache("mcp-inspector-0.16.8")
    program = folder / "node_modules" / ".bin" / "mcp-inspector"
    if not program.exists():
        command = [npm, "install", "--no-audit", "--no-fund", "--silent", PACKAGE]
        try:
            processes.run(command, cwd=folder, seconds=INSTALL_SECONDS)
        except ServerUnavailable as exc:
            missing("MCP's inspector", str(exc))
    return [node, str(program.resolve()), "--cli"]


def _asked(command: list[str]) -> Any:
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def _names(found: Any) -> set[str]:
    return {tool["name"] for tool in found["tools"]}


def test_over_stdin_and_stdout(inspector: list[str], tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    subprocess.run(
        [sys.executable, "-m", "backend", "init"],
        cwd=ROOT,
        env={**os.environ, "PORTAL_DATA_DIR": state},
        check=True,
        timeout=ANSWER_SECONDS,
        capture_output=True,
    )
    server = [sys.executable, "-m", "backend", "mcp"]
    passed_on = ["-e", f"PORTAL_DATA_DIR={state}"]
    listed = _asked([*inspector, *passed_on, *server, "--method", "tools/list"])
    assert {"list_environments", "ask_to_apply_user_plan", "show_change"} <= _names(listed)
    call = ["--method", "tools/call", "--tool-name", "list_changes"]
    called = _asked([*inspector, *passed_on, *server, *call])
    assert json.loads(called["content"][0]["text"]) == {"items": [], "next_cursor": None}


def test_over_http_with_a_token(
    inspector: list[str],
    database: Database,
    url: str,  # noqa: F811 - as above
) -> None:
    with database.write() as session:
        raw = api_tokens.add(session, SYSTEM, name="inspector", role=Role.STEWARD).raw
    ask = [*inspector, url, "--transport", "http"]
    token = ["--header", f"Authorization: Bearer {raw}"]
    assert "ask_to_tokenize" in _names(_asked([*ask, "--method", "tools/list", *token]))
    call = ["--method", "tools/call", "--tool-name", "list_environments"]
    called = _asked([*ask, *call, *token])
    assert json.loads(called["content"][0]["text"])["items"] == []
