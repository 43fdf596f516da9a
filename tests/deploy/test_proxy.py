"""docs/deploy.md behind a real nginx: TLS, WebSocket, Secure cookies, HSTS."""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright
from sqlalchemy import select

from backend.core.database import Database
from backend.core.settings import Settings, variable_names
from backend.models.accounts import AccountSession
from tests.architecture.source import ROOT
from tests.fixtures import processes
from tests.fixtures.browser import CHROMIUM_FLAGS, PATIENCE
from tests.fixtures.certificates import self_signed
from tests.fixtures.portal import PASSWORD, Portal, running_portal

PAGE = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
NAME = "portal.example.org"
#: What a page that is only looked at needs from nginx besides the addresses.
NEEDED = {
    "proxy_http_version 1.1",
    "proxy_set_header Upgrade $http_upgrade",
    "proxy_set_header Connection $portal_connection",
    "proxy_set_header Host $host",
    "proxy_set_header X-Forwarded-For $remote_addr",
    "proxy_read_timeout 1h",
}


def _block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


def _environment() -> dict[str, str]:
    lines = re.findall(r"^(\w+)=(.*)$", PAGE, re.MULTILINE)
    return {name: value for name, value in lines if name.startswith(("PORTAL_", "STREAMLIT_"))}


class TestTheText:
    def test_nginx_is_told_what_the_portal_needs(self) -> None:
        said = {line.split(";")[0].strip() for line in _block("nginx").splitlines()}
        assert not NEEDED - said

    def test_the_portals_variables_exist(self) -> None:
        known = {name for field in Settings.model_fields for name in variable_names(field)}
        ours = {name for name in _environment() if name.startswith("PORTAL_")}
        assert ours
        assert ours <= known

    def test_the_service_starts_what_make_run_starts(self) -> None:
        assert "python -m auth.serve" in _block("ini")
        assert "-m auth.serve" in (ROOT / "Makefile").read_text()


@dataclass
class Behind:
    portal: Portal
    http: int
    https: int


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    """A portal with the page's environment, and nginx with the page's configuration before it."""
    try:
        nginx = processes.program("nginx", package="nginx-light")
    except processes.ServerUnavailable as exc:
        processes.missing("nginx", str(exc))
    folder = tmp_path_factory.mktemp("proxy")
    environment = {**_environment(), "STREAMLIT_SERVER_ADDRESS": "localhost"}
    with running_portal(folder, **environment) as portal:
        ports = processes.free_port(), processes.free_port()
        (folder / "nginx.conf").write_text(_configuration(folder, portal.port, *ports))
        proxy = processes.Process(
            [nginx, "-p", str(folder), "-e", "stderr", "-c", "nginx.conf"],
            log=folder / "nginx.log",
        )
        try:
            proxy.wait_until(lambda: processes.listens("127.0.0.1", ports[1]))
            yield Behind(portal, *ports)
        finally:
            proxy.stop()


def _configuration(folder: Path, portal: int, http: int, https: int) -> str:
    """The page's text, with free ports, a certificate made here, and nothing outside `folder`."""
    certificate, key = self_signed(folder, NAME)
    text = _block("nginx").replace("127.0.0.1:8501", f"localhost:{portal}")
    text = text.replace("listen 80;", f"listen 127.0.0.1:{http};")
    text = text.replace("listen 443 ssl", f"listen 127.0.0.1:{https} ssl")
    text = text.replace("/etc/ssl/portal.pem", str(certificate))
    text = text.replace("/etc/ssl/portal.key", str(key))
    assert str(https) in text
    assert str(portal) in text
    private = "".join(
        f"{kind}_temp_path {folder}/temp;\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return (
        f"daemon off;\nmaster_process off;\npid {folder}/nginx.pid;\nerror_log stderr;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{private}{text}}}\n"
    )


@pytest.fixture
def visitor(behind: Behind, chromium: Path) -> Iterator[Page]:
    """A browser for which the page's example name is this nginx; it lies about its address."""
    rules = f"MAP {NAME}:443 127.0.0.1:{behind.https}, MAP {NAME}:80 127.0.0.1:{behind.http}"
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=str(chromium),
            args=[*CHROMIUM_FLAGS, f"--host-resolver-rules={rules}"],
        )
        context = launched.new_context(
            ignore_https_errors=True, extra_http_headers={"X-Forwarded-For": "203.0.113.9"}
        )
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        yield page
        launched.close()


@pytest.mark.slow
@pytest.mark.browser
def test_a_person_signs_in_through_nginx(behind: Behind, visitor: Page) -> None:
    sockets: list[str] = []
    visitor.on("websocket", lambda opened: sockets.append(opened.url))
    expect.set_options(timeout=PATIENCE)
    answer = visitor.goto(f"http://{NAME}/jobs")
    assert answer is not None
    assert answer.url == f"https://{NAME}/jobs"
    assert "max-age=31536000" in answer.headers["strict-transport-security"]
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]

    visitor.get_by_label("Username", exact=True).fill("admin")
    visitor.get_by_label("Password", exact=True).fill(PASSWORD)
    visitor.get_by_role("button", name="Sign in").click()
    visitor.get_by_role("button", name="Sign out").wait_for()
    expect(visitor.get_by_role("heading", name="Runs", exact=True)).to_be_visible()
    assert f"wss://{NAME}/_stcore/stream" in sockets

    cookies = {cookie["name"]: cookie for cookie in visitor.context.cookies()}
    session = cookies["__Host-portal_session"]
    assert session["secure"]
    assert session["httpOnly"]
    api = visitor.goto(f"https://{NAME}/api/docs")
    assert api is not None
    assert api.status == 200
    assert _addresses(behind.portal) == ["127.0.0.1"]


def _addresses(portal: Portal) -> list[str]:
    """Where the sessions came from, as the portal saw it."""
    database = Database(f"sqlite:///{portal.folder / 'state' / 'portal.sqlite'}")
    with contextlib.closing(database.engine.connect()) as connection:
        found = list(connection.scalars(select(AccountSession.address)))
    database.dispose()
    return found
