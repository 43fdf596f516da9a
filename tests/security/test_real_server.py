"""The real process over real HTTP and websockets: origins, hosts, headers, and markup in data."""

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import insert, update
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from backend.core import clock
from backend.core.database import Database
from backend.models import Environment
from backend.models.jobs import Job
from tests.fixtures.browser import PATIENCE, settle
from tests.fixtures.portal import Portal, running_portal

MARKUP = '<img src=x onerror="window.planted=1">'
LINK = "[click](javascript:window.planted=2)"
PLANTED = f"{MARKUP} **bold** {LINK}"


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A portal that is told which host names are its own, and that its proxy is another machine."""
    folder = tmp_path_factory.mktemp("portal")
    told = {
        "STREAMLIT_SERVER_ALLOWED_HOSTS": "localhost",
        "PORTAL_TRUSTED_PROXIES": "192.0.2.1",
    }
    with running_portal(folder, **told) as portal:
        yield portal


class TestWebsocket:
    """Streamlit's websocket runs the pages; its Origin check is the defence against other sites."""

    def _open(self, portal: Portal, origin: str, host: str = "localhost") -> None:
        with (
            socket.create_connection(("localhost", portal.port)) as connection,
            connect(
                f"ws://{host}:{portal.port}/_stcore/stream",
                sock=connection,
                origin=Origin(origin),
                subprotocols=[Subprotocol("streamlit")],
                open_timeout=60,
            ),
        ):
            pass

    def test_opens_from_the_portals_own_pages(self, portal: Portal) -> None:
        self._open(portal, portal.url)

    @pytest.mark.parametrize(
        "origin",
        [
            "https://evil.example.org",
            "http://localhost.evil.example.org",
            "http://evil.example.org:{port}",
            "null",
        ],
    )
    def test_is_refused_to_other_sites(self, portal: Portal, origin: str) -> None:
        with pytest.raises(InvalidStatus) as refused:
            self._open(portal, origin.format(port=portal.port))
        assert refused.value.response.status_code == 403

    def test_is_refused_under_another_host_name(self, portal: Portal) -> None:
        """DNS rebinding: another site's name that leads here is its own origin."""
        evil = "evil.example.org"
        with pytest.raises(InvalidStatus) as refused:
            self._open(portal, f"http://{evil}:{portal.port}", host=evil)
        assert refused.value.response.status_code == 403


class TestAnswers:
    @pytest.mark.parametrize(
        "path",
        [
            "/",
            "/accounts",
            "/healthz",
            "/api/jobs",
            "/api/docs",
            "/api/openapi.json",
            "/trigger",
            "/auth/sign-in",
            "/_stcore/health",
            "/_stcore/host-config",
            "/media/none.png",
            "/not/there.js",
        ],
    )
    def test_every_surface_carries_the_security_headers(self, portal: Portal, path: str) -> None:
        headers = httpx.get(portal.url + path, headers={"accept": "text/html"}).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"
        policy = headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "object-src 'none'" in policy
        assert "https:" not in policy
        scripts = next(part for part in policy.split("; ") if part.startswith("script-src"))
        assert "unsafe" not in scripts

    @pytest.mark.parametrize(
        "path",
        ["/_stcore/metrics", "/_stcore/metrics/", "/_stcore/agent", "/_stcore/agent/threads"],
    )
    def test_strangers_read_no_figures_of_the_process(self, portal: Portal, path: str) -> None:
        assert httpx.get(portal.url + path, follow_redirects=True).status_code == 404

    @pytest.mark.parametrize(
        "path",
        ["/..%2f..%2fetc/passwd", "/static/..%2f..%2f..%2fapp.py", "/api/docs/static/..%2f..%2fx"],
    )
    def test_no_path_leads_out_of_the_served_folders(self, portal: Portal, path: str) -> None:
        answer = httpx.get(portal.url + path)
        assert "root:" not in answer.text
        assert "ASGI entry" not in answer.text

    def test_strangers_cannot_upload(self, portal: Portal) -> None:
        files = {"file": ("x.csv", b"x" * 100)}
        for method in ("PUT", "POST"):
            answer = httpx.request(
                method, portal.url + "/_stcore/upload_file/none/none", files=files
            )
            assert answer.status_code in (400, 403, 404, 405)


class TestConnections:
    def test_uvicorn_believes_no_local_program_that_the_setting_does_not_name(
        self, portal: Portal
    ) -> None:
        token = portal.cli("tokens", "add", "looks", "--role", "admin").stdout.split()[-1]
        said = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
        answer = httpx.get(
            portal.url + "/api/request",
            headers={**said, "Authorization": f"Bearer {token}"},
        )
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert (found["client_address"], found["scheme"]) == (found["peer"], "http")
        assert "is no trusted proxy" in found["why"]

    def test_a_head_that_does_not_end_is_ended(self, portal: Portal) -> None:
        with socket.create_connection(("localhost", portal.port), PATIENCE / 1000) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
            with connection.makefile("rb") as answer:
                assert answer.read().endswith(
                    b"The request's head did not come in time. Send it again."
                )


@pytest.fixture(scope="module")
def planted(portal: Portal, tmp_path_factory: pytest.TempPathFactory) -> Portal:
    """Markup in an account's name, a job's words, and the ledger's hosts and targets."""
    from backend.dms import schema
    from backend.dms.ledger import Ledger

    url = f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'ledger.sqlite'}"
    now = clock.now().replace(tzinfo=None)
    row = {
        "created_at": now,
        "updated_at": now,
        "deleted": False,
        "version": "1",
        "backup_target_id": PLANTED,
        "jobid": 5,
        "host": PLANTED,
        "mounted": True,
    }
    ledger = Ledger(url)
    ledger.ensure_operations()
    ledger.write(lambda connection: connection.execute(insert(schema.ledger), [row]))
    ledger.close()
    portal.cli("environments", "add", "prod", "--default")
    _as_the_sandboxs(portal.folder / "state")  # only its ledger may be a file
    portal.cli("connections", "set", "prod", "ledger", f"url={url}")
    portal.cli("accounts", "add", PLANTED, "--role", "viewer", stdin="a long pass phrase here\n")
    _add_job(portal.folder / "state")
    return portal


def _as_the_sandboxs(state: Path) -> None:
    database = Database(f"sqlite:///{state / 'portal.sqlite'}")
    with database.write() as session:
        session.execute(update(Environment).values(is_sandbox=True))
    database.dispose()


def _add_job(state: Path) -> None:
    database = Database(f"sqlite:///{state / 'portal.sqlite'}")
    with database.write() as session:
        session.add(
            Job(
                kind="jobs.sweep",
                title=PLANTED,
                subject=PLANTED,
                arguments={},
                state="failed",
                resumable=False,
                actor_id=0,
                actor_name=PLANTED,
                actor_role="admin",
                actor_kind="system",
                created_at=clock.now(),
                finished_at=clock.now(),
                heartbeat_at=clock.now(),
                attempt=1,
                cancel_requested=False,
                progress_done=0,
                note=PLANTED,
                error=PLANTED,
            )
        )
    database.dispose()


@pytest.mark.browser
def test_the_api_page_works_under_that_policy(portal: Portal, browser_page: Page) -> None:
    refused: list[str] = []
    browser_page.on("console", lambda message: refused.append(message.text))
    browser_page.goto(portal.url + "/api/docs")
    expect(browser_page.get_by_text("/api/ingestion/run", exact=True).first).to_be_visible()
    assert not [text for text in refused if "Content Security Policy" in text]


@pytest.mark.browser
class TestMarkupInData:
    """Names come from directories, catalogs and other people's tables; they are shown as text."""

    @pytest.mark.parametrize("path", ["/accounts", "/jobs", "/mounts", "/audit", "/"])
    def test_is_shown_as_text(self, planted: Portal, browser_page: Page, path: str) -> None:
        asked: list[str] = []
        browser_page.on("request", lambda request: asked.append(request.url))
        planted.open(browser_page, path=path)
        settle(browser_page)
        assert browser_page.evaluate("window.planted") is None
        assert browser_page.locator("img[onerror], img[src='x']").count() == 0
        assert browser_page.locator("a[href^='javascript']").count() == 0
        assert not [url for url in asked if url.endswith("/x")]
        if path in ("/accounts", "/jobs"):
            expect(browser_page.get_by_text("onerror").first).to_be_attached()
