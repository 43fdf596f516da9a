"""Which address the portal believes, behind a proxy and without one."""

import asyncio
from typing import Any

import pytest

from auth.forwarded import Forwarded
from backend.core.settings import get_settings


def believed(peer: str, headers: list[tuple[str, str]], kind: str = "http") -> tuple[str, str]:
    seen: list[Any] = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(scope)

    scope = {
        "type": kind,
        "client": (peer, 5000),
        "scheme": "ws" if kind == "websocket" else "http",
        "headers": [(name.encode(), value.encode()) for name, value in headers],
    }
    asyncio.run(Forwarded(app)(scope, None, None))  # type: ignore[arg-type]
    return seen[0]["client"][0], seen[0]["scheme"]


@pytest.mark.usefixtures("data_dir")
class TestForwarded:
    def test_the_proxy_on_this_machine_is_believed_on_the_default_bind(self) -> None:
        """`::` shows IPv4 peers as IPv4-mapped addresses."""
        said = [("x-forwarded-for", "203.0.113.9"), ("x-forwarded-proto", "https")]
        assert believed("::ffff:127.0.0.1", said) == ("203.0.113.9", "https")
        assert believed("::1", said, "websocket") == ("203.0.113.9", "wss")

    def test_a_stranger_is_not_believed(self) -> None:
        said = [("x-forwarded-for", "203.0.113.9"), ("x-forwarded-proto", "https")]
        assert believed("::ffff:198.51.100.7", said) == ("198.51.100.7", "http")

    @pytest.mark.parametrize(
        ("lines", "address"),
        [
            (["6.6.6.6, 203.0.113.9"], "203.0.113.9"),
            (["6.6.6.6", "203.0.113.9"], "203.0.113.9"),
            (["6.6.6.6, nonsense, 127.0.0.1"], "127.0.0.1"),
            (["[2001:db8::7]:443"], "2001:db8::7"),
            (["203.0.113.9:4711"], "203.0.113.9"),
            ([""], "127.0.0.1"),
        ],
    )
    def test_what_the_client_wrote_itself_does_not_count(
        self, lines: list[str], address: str
    ) -> None:
        said = [("x-forwarded-for", line) for line in lines]
        assert believed("127.0.0.1", said)[0] == address

    def test_a_peer_that_the_client_makes_up_is_thrown_away(self) -> None:
        seen: list[Any] = []

        async def app(scope: Any, _receive: Any, _send: Any) -> None:
            seen.append(scope)

        made_up = [(b"X-Portal-Peer", b"6.6.6.6")]
        scope = {"type": "http", "client": ("10.9.9.9", 1), "scheme": "http", "headers": made_up}
        asyncio.run(Forwarded(app)(scope, None, None))  # type: ignore[arg-type]
        assert seen[0]["headers"] == [(b"x-portal-peer", b"10.9.9.9")]

    def test_the_setting_names_networks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PORTAL_TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.1")
        get_settings.cache_clear()
        said = [("x-forwarded-for", "203.0.113.9, 10.1.1.1")]
        assert believed("::ffff:10.2.3.4", said)[0] == "203.0.113.9"
        assert believed("127.0.0.1", said)[0] == "127.0.0.1"
        get_settings.cache_clear()

    def test_a_setting_that_is_none_stops_the_start(self) -> None:
        from backend.core.errors import SettingsError
        from backend.core.settings import load_settings

        with pytest.raises(SettingsError, match="neither an address nor a network"):
            load_settings({"PORTAL_TRUSTED_PROXIES": "proxy.example"})
