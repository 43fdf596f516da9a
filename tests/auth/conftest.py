"""The sign-in routes behind a real HTTP server, as app.py mounts them."""

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Mount, Route

from auth.headers import SecurityHeaders
from auth.routes import routes
from backend.accounts import service, tickets
from backend.core.access import SYSTEM, Role
from backend.core.database import Database
from backend.core.settings import get_settings
from tests.auth import trips
from tests.auth.oidc_provider import Provider

PUBLIC = "https://portal.example.org"
Configure = Callable[..., None]


async def _page(_request: object) -> HTMLResponse:
    return HTMLResponse("<h1>page</h1>")


async def _api(_request: object) -> JSONResponse:
    return JSONResponse({"status": "ok"})


@pytest.fixture
def site(database: Database) -> Iterator[str]:
    """Address of a server with the sign-in routes, a page at / and an API below /api."""
    app = Starlette(
        routes=[*routes, Mount("/api", routes=[Route("/{rest:path}", _api)]), Route("/", _page)],
        middleware=[Middleware(SecurityHeaders)],
    )
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started:
        assert time.monotonic() < deadline, "the test server did not start"
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(60)


@pytest.fixture
def https_site(monkeypatch: pytest.MonkeyPatch, site: str) -> str:
    """The same server, for a portal that people reach through an https proxy."""
    monkeypatch.setenv("PORTAL_PUBLIC_URL", PUBLIC)
    get_settings.cache_clear()
    return site


@pytest.fixture
def account_id(database: Database) -> int:
    with database.write() as session:
        return service.add_account(
            session, SYSTEM, name="ann", role=Role.STEWARD, stored="no password"
        ).id


@pytest.fixture
def ticket(database: Database, account_id: int) -> str:
    """A ticket for the browser whose nonce cookie is `nonce`."""
    with database.write() as session:
        return tickets.issue(session, account_id=account_id, browser="nonce")


@pytest.fixture
def visitor(site: str) -> Iterator[httpx.Client]:
    """A browser with the nonce cookie `nonce` that does not follow redirects."""
    with httpx.Client(base_url=site, follow_redirects=False) as client:
        client.cookies.set("portal_browser", "nonce", domain="127.0.0.1")
        yield client


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    with Provider() as one:
        yield one


@pytest.fixture
def provider(running: Provider, site: str, monkeypatch: pytest.MonkeyPatch) -> Provider:
    """The provider, configured in the portal with the role operator for its group operators."""
    running.person = {"sub": "1", "preferred_username": "ann", "groups": ["operators"]}
    running.reset()
    trips.configure(monkeypatch, site, running)
    return running


@pytest.fixture
def configure(provider: Provider, site: str, monkeypatch: pytest.MonkeyPatch) -> Configure:
    """configure(max_age=60): the same, with these options."""
    return partial(trips.configure, monkeypatch, site, provider)
