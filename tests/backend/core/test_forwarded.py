"""What an admin is told of a request: each sentence for its cause, and none without one."""

import pytest

from backend.core import forwarded
from backend.core.settings import get_settings

PUBLIC = "https://portal.example.org"


@pytest.fixture(autouse=True)
def _https(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTAL_PUBLIC_URL", PUBLIC)
    get_settings.cache_clear()


def told(peer: str = "127.0.0.1", **headers: str) -> forwarded.RequestView:
    usual = {"host": "portal.example.org", "x_forwarded_proto": "https"}
    said = {**usual, **headers}
    given = {name.replace("_", "-"): value for name, value in said.items() if value}
    return forwarded.describe(peer=peer, scheme="http", headers=given)


def test_a_proxy_that_is_set_up_well_gets_no_warning() -> None:
    view = told("::ffff:127.0.0.1", x_forwarded_for="203.0.113.9")
    assert (view.client_address, view.scheme, view.peer) == ("203.0.113.9", "https", "127.0.0.1")
    assert view.warnings == []
    assert "no trusted proxy has" in view.why


@pytest.mark.parametrize(
    ("peer", "headers", "warning"),
    [
        ("10.0.0.2", {"x_forwarded_for": "203.0.113.9"}, "shares its address now"),
        ("127.0.0.1", {"x_forwarded_proto": ""}, "believed to be http"),
        ("127.0.0.1", {"host": "10.0.0.5:8501"}, "passes Host on as it came"),
    ],
)
def test_what_does_not_fit_is_said(peer: str, headers: dict[str, str], warning: str) -> None:
    assert any(warning in text for text in told(peer, **headers).warnings)


@pytest.mark.parametrize(
    ("peer", "said", "why"),
    [
        ("10.0.0.2", "", "is no trusted proxy"),
        ("127.0.0.1", "", "passed no address on"),
        ("127.0.0.1", "nonsense", "is no address"),
        ("127.0.0.1", "127.0.0.1", "names trusted proxies only"),
    ],
)
def test_why_the_peer_itself_is_the_client(peer: str, said: str, why: str) -> None:
    view = told(peer, x_forwarded_for=said)
    assert view.client_address == peer
    assert why in view.why
