"""What is added to Streamlit's index page, and that nothing else is touched."""

import base64
import hashlib
import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from auth import cookies, inline
from auth.first_frame import FIRST, KINDS, STYLE, FirstFrame
from auth.headers import page_policy

OWN = "<style>h1 {color: teal}</style>"
HTML = {"accept": "text/html,application/xhtml+xml"}


def static() -> Path:
    spec = find_spec("streamlit")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "static"


async def index(_request: Request) -> Response:
    return FileResponse(static() / "index.html")


async def other(_request: Request) -> Response:
    return HTMLResponse("<head></head><h1>other</h1>")


async def echo(request: Request) -> Response:
    return PlainTextResponse(request.headers.get("range", "no range"))


@pytest.fixture
def client() -> TestClient:
    routes = [Route("/", index), Route("/other", other), Route("/{rest:path}", echo)]
    return TestClient(FirstFrame(Starlette(routes=routes), style=OWN))


def files_of(page: str) -> set[str]:
    return set(re.findall(r'\./static/js/([\w.-]+)">', page))


class TestIndexPage:
    def test_shows_nothing_before_there_is_a_menu_and_fetches_what_pages_are_made_of(
        self, client: TestClient
    ) -> None:
        page = client.get("/", headers=HTML).text
        head = page[: page.index("</head>")]
        assert STYLE in head
        assert 'fetchpriority="low"' in head
        names = files_of(head)
        for kind in KINDS:
            assert any(name.startswith(f"{kind}.") for name in names), kind
        assert all((static() / "static/js" / name).is_file() for name in names)

    def test_has_the_pages_own_style_before_anything_is_drawn(self, client: TestClient) -> None:
        page = client.get("/", headers=HTML).text
        assert OWN in page[: page.index("</head>")]
        assert OWN not in client.get("/other", headers=HTML).text

    def test_adds_no_script_that_the_policy_would_not_run(self, client: TestClient) -> None:
        cookie = {"cookie": f"{cookies.session_name()}=any"}
        for headers in (HTML, {**HTML, **cookie}):
            page = client.get("/", headers=headers).text
            scripts = re.findall(r"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", page, re.DOTALL)
            assert inline.WIDTH_SCRIPT in scripts
            for script in scripts:
                digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
                assert f"'sha256-{digest}'" in page_policy(), script
        assert "script-src 'self'" in page_policy()

    def test_makes_the_tables_code_ready_for_who_is_signed_in(self, client: TestClient) -> None:
        ready = re.compile(rf'<script type="module" async src="[./a-z]*/{FIRST}\.')
        assert not ready.search(client.get("/", headers=HTML).text)
        cookie = {"cookie": f"{cookies.session_name()}=any"}
        assert ready.search(client.get("/", headers={**HTML, **cookie}).text)

    def test_is_not_answered_with_an_old_copy(self, client: TestClient) -> None:
        old = {**HTML, "if-modified-since": "Fri, 01 Jan 2100 00:00:00 GMT"}
        answer = client.get("/", headers=old)
        assert answer.status_code == 200
        assert "etag" not in answer.headers
        assert int(answer.headers["content-length"]) == len(answer.content)


class TestWhatElseIsAsked:
    def test_another_page_stays_as_it_is(self, client: TestClient) -> None:
        assert client.get("/other", headers=HTML).text == "<head></head><h1>other</h1>"

    @pytest.mark.parametrize("path", ["/api/things", "/media/file.csv", "/_stcore/health"])
    def test_files_and_calls_are_passed_on_whole(self, client: TestClient, path: str) -> None:
        assert client.get(path, headers={**HTML, "range": "bytes=0-1"}).text == "bytes=0-1"

    def test_what_no_browser_shows_as_a_page_is_untouched(self, client: TestClient) -> None:
        assert STYLE not in client.get("/", headers={"accept": "*/*"}).text
