"""Marked secrets in every field of every kind, then every place is searched for them.

The servers that answer are the worst case: they repeat the request, token and all, in their error.
"""

import base64
import json
import logging
import socket
import sys
import threading
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from urllib.parse import quote

import pytest

from backend.cli import common, main
from backend.connections import client_info, environments, kinds, service, testing
from backend.core import log
from backend.core.access import SYSTEM
from backend.core.database import Database
from tests.backend.connections.bad_server import BadServer
from tests.backend.connections.conftest import VALID
from tests.fixtures.pages import OpenPage

MARK = "pl4nted"


def echo(connection: socket.socket, _ended: threading.Event) -> None:
    """Answer with what was asked, headers included."""
    request = connection.recv(65536)
    body = json.dumps({"message": request.decode("latin-1"), "errors": [request.decode("latin-1")]})
    head = f"HTTP/1.1 401 No\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    connection.sendall((head + "Connection: close\r\n\r\n" + body).encode("latin-1"))


def secret(kind: str, field: str) -> str:
    """A marked value for one field, with characters that URLs encode."""
    if kind == "tokenization":
        return base64.b64encode(f"{MARK}-{'k' * 24}".encode()).decode()
    value = f"{MARK}@{kind}/{field}+x"
    return f"x-api-key: {value}" if field == "secret_headers" else value


SPELLINGS = sorted(
    {
        spelling
        for kind in kinds.KINDS.values()
        for field in kind.secrets
        for value in [secret(kind.name, field.name)]
        for spelling in (value, quote(value, safe=""), base64.b64encode(value.encode()).decode())
    }
    | {MARK}
)


def search(text: str, where: str) -> None:
    found = [spelling for spelling in SPELLINGS if spelling in text]
    assert not found, f"{where}: {found} in …{text[max(0, text.find(found[0]) - 200) :][:400]}"


@pytest.fixture
def logged() -> Iterator[StringIO]:
    """Everything that the process logs at DEBUG, through the portal's own handler."""
    root, stream = logging.getLogger(), StringIO()
    before, level = list(root.handlers), root.level
    original, sys.stderr = sys.stderr, stream
    log.configure("DEBUG")
    yield stream
    sys.stderr = original
    root.handlers[:] = before
    root.setLevel(level)


@pytest.fixture
def planted(database: Database) -> Iterator[BadServer]:
    """An environment with a marked secret in every field; HTTP kinds lead to the echo server."""
    with BadServer() as server:
        server.behave = echo
        with database.write() as session:
            environments.add(session, SYSTEM, name="Prod")
            for kind in kinds.KINDS.values():
                settings = {
                    name: value.replace("127.0.0.1:1", f"127.0.0.1:{server.port}")
                    for name, value in VALID[kind.name].items()
                }
                if kind.name == "postgres":
                    settings["port"] = str(server.port)
                service.save(
                    session,
                    SYSTEM,
                    environment="Prod",
                    kind=kind.name,
                    settings=settings,
                    secrets_in={f.name: secret(kind.name, f.name) for f in kind.secrets},
                )
        yield server


def test_secrets_are_in_no_log_page_answer_row_or_file(
    planted: BadServer,
    logged: StringIO,
    database: Database,
    data_dir: Path,
    open_page: OpenPage,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    results = testing.run_all(database, SYSTEM, environment=None)
    assert {item.kind for item in results if not item.ok} >= {"datahub", "postgres", "directory"}
    search(str(results), "test results")
    search(json.dumps(testing.document("Prod", results)), "the REST answer")
    search(str(client_info.refresh_all(database)), "client info")

    for arguments in (
        ("connections", "show", "Prod", "--json"),
        ("connections", "show", "Prod"),
        ("connections", "test", "Prod", "--json"),
        ("connections", "history", "Prod", "datahub"),
        ("refresh_client_info", "--all", "--verbose"),
        ("environments", "list", "--json"),
    ):
        common.database.cache_clear()
        monkeypatch.setattr(sys, "argv", ["backend", *arguments])
        main.main()
        captured = capsys.readouterr()
        search(captured.out + captured.err, " ".join(arguments))

    for kind in kinds.KINDS:
        app = open_page("connections/page.py", kind=kind)
        assert not app.exception
        search(str(app.main) + repr(app.session_state), f"the page of {kind}")

    assert "A probe" in logged.getvalue() or "datahub" in logged.getvalue()
    search(logged.getvalue(), "the log")
    for path in data_dir.rglob("*"):
        if path.is_file():
            search(path.read_bytes().decode("latin-1"), path.name)


def test_the_search_itself_would_find_a_leak() -> None:
    with pytest.raises(AssertionError, match="somewhere"):
        search(f"Authorization: Bearer {secret('datahub', 'token')}", "somewhere")
