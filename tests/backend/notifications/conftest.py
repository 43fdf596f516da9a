"""A real HTTP receiver, and the world of change requests (ann, bob, cat, dan) to tell of."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.notifications import channels, delivery, dispatch
from backend.notifications.schemas import NewChannel
from tests.backend.changes.conftest import World, world  # noqa: F401 - a fixture


@dataclass
class Receiver:
    """answer: the status of the next answers; a Location goes with a redirect."""

    url: str = ""
    answer: int = 204
    location: str = ""
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def documents(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.requests]

    @property
    def told(self) -> list[tuple[str, str, str]]:
        """(kind, phase, subject) of every event that came, in order."""
        return [
            (event["kind"], event["phase"], event["subject"])
            for document in self.documents
            for event in document["events"]
        ]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.requests.append(({k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(found.answer)
            if found.location:
                self.send_header("Location", found.location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """The test's output is not the server's log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


def add(database: Database, address: str, name: str = "ops", **more: Any) -> NewChannel:
    """A channel of the portal."""
    with database.write() as session:
        return channels.add(session, SYSTEM, name=name, address=address, **more)


def pump(database: Database) -> list[str]:
    """What the leader and the workers do, once; returns the reasons of what was not taken."""
    dispatch.fan_out(database)
    with database.read() as session:
        numbers = dispatch.repository.due_channels(session)
    return [error for number in numbers if (error := delivery.deliver(database, number)[1])]
