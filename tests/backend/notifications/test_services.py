"""E-mail to a real SMTP server, Slack to what answers as its webhooks do and personal channels."""

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP
from fastapi.testclient import TestClient

from backend.accounts import api_tokens
from backend.core import events
from backend.core.access import SYSTEM
from backend.core.errors import UpstreamError
from backend.core.events import About
from backend.core.settings import get_settings
from backend.integrations.apprise import client as apprise
from backend.notifications import channels
from tests.backend.changes.conftest import ONE, World
from tests.backend.cli.conftest import RunCli, run_cli  # noqa: F401 - a fixture
from tests.backend.notifications.conftest import Receiver, add, pump
from tests.fixtures.api import rest_app
from tests.fixtures.certificates import Authority


@dataclass
class Mailbox:
    """What the server took. answer: its word on a message."""

    port: int = 0
    answer: str = "250 OK"
    taken: list[Any] = field(default_factory=list)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        if self.answer.startswith("250"):
            self.taken.append(envelope)
        return self.answer

    @property
    def address(self) -> str:
        return (
            f"mailto://127.0.0.1:{self.port}?from=portal@example.org&to=ann@example.org"
            "&smtp=127.0.0.1&mode=insecure"
        )


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    found = Mailbox()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    listening = socket.create_server(("127.0.0.1", 0))
    found.port = listening.getsockname()[1]
    made = loop.create_server(lambda: SMTP(found), sock=listening)
    server = asyncio.run_coroutine_threadsafe(made, loop).result(timeout=60)
    yield found
    loop.call_soon_threadsafe(server.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(timeout=60)
    loop.close()


class TestMail:
    def test_a_real_server_takes_the_message(self, world: World, mailbox: Mailbox) -> None:
        add(world.database, mailbox.address, kinds=["changes.waiting"])
        world.rule(ONE)
        number = world.ask(text="a secret text")
        assert not pump(world.database)
        (envelope,) = mailbox.taken
        assert envelope.rcpt_tos == ["ann@example.org"]
        text = envelope.content.decode()
        assert f"/changes?change=3D{number}" in text or f"/changes?change={number}" in text
        assert "a secret text" not in text

    @pytest.mark.parametrize(
        "answer", ["451 4.3.0 try again later", "552 5.2.2 mailbox full", "550 5.7.1 refused"]
    )
    def test_what_it_does_not_take_is_a_failure(
        self, world: World, mailbox: Mailbox, answer: str
    ) -> None:
        add(world.database, mailbox.address)
        mailbox.answer = answer
        with pytest.raises(UpstreamError):
            channels.send_test(world.database, SYSTEM, name="ops")
        assert mailbox.taken == []
        mailbox.answer = "250 OK"
        channels.send_test(world.database, SYSTEM, name="ops")
        assert len(mailbox.taken) == 1


@dataclass
class Slack:
    """Answers as https://api.slack.com/messaging/webhooks says: a word in plain text."""

    status: int = 200
    word: str = "ok"
    bodies: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slack]:
    from apprise.plugins.slack import NotifySlack

    found = Slack()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.bodies.append(json.loads(body))
            self.send_response(found.status)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(found.word)))
            self.end_headers()
            self.wfile.write(found.word.encode())

        def log_message(self, *_: Any) -> None:
            """The test's output is not the server's log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    place = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setattr(NotifySlack, "webhook_url", place)
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/"


class TestSlack:
    def test_it_takes_the_message(self, world: World, slack: Slack) -> None:
        add(world.database, SLACK)
        channels.send_test(world.database, SYSTEM, name="ops")
        (body,) = slack.bodies
        assert "Steward Portal" in json.dumps(body)

    @pytest.mark.parametrize(
        ("status", "word"),
        [
            (400, "invalid_payload"),
            (403, "action_prohibited"),
            (404, "channel_not_found"),
            (404, "no_service"),
            (410, "channel_is_archived"),
            (429, "rate_limited"),
            (500, "rollup_error"),
        ],
    )
    def test_what_it_refuses_is_a_failure(
        self, world: World, slack: Slack, status: int, word: str
    ) -> None:
        add(world.database, SLACK)
        slack.status, slack.word = status, word
        with pytest.raises(UpstreamError) as caught:
            channels.send_test(world.database, SYSTEM, name="ops")
        assert "TIiajkdnlazkcOXrIdevi7FQ" not in caught.value.message


class TestOwnAuthority:
    """A service whose certificate is from a company's own authority."""

    @pytest.fixture
    def service(self, tmp_path: Path) -> Iterator[tuple[str, Authority]]:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """The test's output is not the server's log."""

        authority = Authority()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.issue(tmp_path, "127.0.0.1"))
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"jsons://127.0.0.1:{server.server_address[1]}/", authority
        server.shutdown()
        server.server_close()
        thread.join()

    def test_it_is_sent_to_where_the_portal_trusts_the_authority(
        self, service: tuple[str, Authority], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        address, authority = service
        with pytest.raises(UpstreamError):
            apprise.send(address, title="t", text="t", severity="info")
        (tmp_path / "ca.pem").write_text(authority.pem)
        monkeypatch.setenv("PORTAL_CA_BUNDLE", str(tmp_path / "ca.pem"))
        get_settings.cache_clear()
        apprise.send(address, title="t", text="t", severity="info")


class TestPersonal:
    def test_over_rest_it_is_the_account_s_that_made_the_token(self, world: World) -> None:
        with world.database.write() as session:
            made = api_tokens.add(session, world.in_browser("cat"), name="mine", role="admin")
        headers = {"Authorization": f"Bearer {made.raw}"}
        with TestClient(rest_app()) as client:
            added = client.post(
                "/api/notifications/channels",
                headers=headers,
                json={"name": "me", "address": SLACK, "personal": True},
            )
            assert added.status_code == 201, added.text
            listed = client.get("/api/notifications/channels?personal=true", headers=headers)
            portal = client.get("/api/notifications/channels", headers=headers)
            gone = client.delete("/api/notifications/channels/me?personal=true", headers=headers)
        assert [each["name"] for each in listed.json()["items"]] == ["me"]
        assert (portal.json()["items"], gone.status_code) == ([], 204)

    def test_a_token_of_the_command_line_has_no_person(self, world: World) -> None:
        with world.database.write() as session:
            made = api_tokens.add(session, SYSTEM, name="night", role="steward")
        with TestClient(rest_app()) as client:
            answer = client.get(
                "/api/notifications/channels?personal=true",
                headers={"Authorization": f"Bearer {made.raw}"},
            )
        assert (answer.status_code, "no person is behind it" in answer.json()["detail"]) == (
            400,
            True,
        )

    def test_at_the_command_line_an_account_is_named(
        self,
        world: World,
        run_cli: RunCli,  # noqa: F811 - as above
    ) -> None:
        added = run_cli("notifications", "add", "me", "--account", "ann", "--json", stdin=SLACK)
        assert added.status == 0, added.err
        with world.database.read() as session:
            (mine,) = channels.list_channels(session, world.people["ann"], personal=True)
        assert (mine.name, mine.personal) == ("me", True)
        assert json.loads(run_cli("notifications", "list", "--json").out)["items"] == []
        unknown = run_cli("notifications", "list", "--account", "nobody")
        assert (unknown.status, "no account named nobody" in unknown.err) == (1, True)
        assert run_cli("notifications", "remove", "me", "--account", "ann", "--yes").status == 0

    def test_it_is_told_of_nothing_that_the_role_is_not(
        self,
        world: World,
        run_cli: RunCli,  # noqa: F811 - as above
    ) -> None:
        kind = ("--event", "accounts.token_ends")
        done = run_cli("notifications", "add", "me", "--account", "ann", *kind, stdin=SLACK)
        assert (done.status, "is not told of accounts.token_ends" in done.err) == (1, True)


#: The issue's events → what is told of it. What raises each is in the domain's own tests.
ISSUE = {
    "request waiting": "changes.waiting",
    "request decided": "changes.decided",
    "request expired": "changes.expired",
    "run failed": "jobs.failed",
    "run unknown": "jobs.unknown",
    "run finished": "jobs.finished",
    "plan with changes waiting": "user_sync.plan_waiting",
    "connection failing or back": "connections.failing",
    "client info stale": "connections.client_info",
    "orphans found": "mounts.orphans",
    "mount older than its limit": "mounts.too_old",
    "token ends soon": "accounts.token_ends",
    "JWT or certificate ends soon": "connections.expiring",
    "audit check failed": "accounts.state_damaged",
    "leader lost": "jobs.leader_lost",
    "worker lost": "jobs.stuck",
}


@pytest.mark.parametrize("kind", ISSUE.values(), ids=ISSUE.keys())
def test_every_event_of_the_list_reaches_a_channel(
    world: World, receiver: Receiver, kind: str
) -> None:
    add(world.database, receiver.url, kinds=[kind])
    with world.database.write() as session:
        events.raised(session, kind, "1", About("a subject", "changes"))
    pump(world.database)
    assert receiver.told == [(kind, "raised", "a subject")]
