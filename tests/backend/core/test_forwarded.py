"""What an admin is told of a request: each sentence for its cause, and none without one."""

import sys
from pathlib import Path

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


ROUTES = """Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT
eth0\t{network}\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
{default}"""
DEFAULT = "eth0\t00000000\t{gateway}\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"


def _hex(address: str) -> str:
    """As Linux writes an address there."""
    number = int.from_bytes(bytes(map(int, address.split("."))), sys.byteorder)
    return f"{number:08X}"


@pytest.fixture
def behind_gateway(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    routes = tmp_path / "route"
    monkeypatch.setattr(forwarded, "_ROUTES", routes)
    monkeypatch.setenv("PORTAL_TRUSTED_PROXIES", "127.0.0.1,gateway")
    get_settings.cache_clear()
    forwarded._networks.cache_clear()
    return routes


def test_the_gateway_is_trusted_by_its_word(behind_gateway: Path) -> None:
    default = DEFAULT.format(gateway=_hex("10.89.0.1"))
    behind_gateway.write_text(ROUTES.format(network=_hex("10.89.0.0"), default=default))
    view = told("10.89.0.1", x_forwarded_for="203.0.113.9")
    assert (view.client_address, view.scheme, view.warnings) == ("203.0.113.9", "https", [])
    assert view.trusted_proxies == ["127.0.0.1", "10.89.0.1"]
    other = told("10.89.0.2", x_forwarded_for="203.0.113.9")
    assert (other.client_address, other.peer_trusted) == ("10.89.0.2", False)


@pytest.mark.parametrize("routes", [ROUTES.format(network=_hex("10.89.0.0"), default=""), None])
def test_without_a_gateway_its_word_trusts_nobody(behind_gateway: Path, routes: str | None) -> None:
    if routes is not None:
        behind_gateway.write_text(routes)
    view = told("10.89.0.1", x_forwarded_for="203.0.113.9")
    assert (view.peer_trusted, view.trusted_proxies) == (False, ["127.0.0.1"])


@pytest.mark.parametrize(
    ("published", "trusted"),
    [
        ("127.0.0.1:8501", True),
        ("[::1]:8501", True),
        ("0.0.0.0:8501", False),
        ("192.0.2.7:80", False),
        ("8501", False),
        ("localhost:8501", False),
    ],
)
def test_the_gateway_is_trusted_only_if_no_other_machine_reaches_the_port(
    behind_gateway: Path, monkeypatch: pytest.MonkeyPatch, published: str, trusted: bool
) -> None:
    default = DEFAULT.format(gateway=_hex("10.89.0.1"))
    behind_gateway.write_text(ROUTES.format(network=_hex("10.89.0.0"), default=default))
    monkeypatch.setenv("PORTAL_PUBLISH", published)
    get_settings.cache_clear()
    assert told("10.89.0.1", x_forwarded_for="203.0.113.9").peer_trusted is trusted
