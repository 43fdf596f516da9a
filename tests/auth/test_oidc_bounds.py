"""What strangers, or a provider, can make the portal fetch, read and keep is bounded."""

import gzip
import re
from collections.abc import AsyncIterator, Callable

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp

from backend.core.database import Database
from backend.integrations.oidc import client, transport
from tests.auth.oidc_provider import Provider
from tests.auth.trips import come_back, live, told

OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EVENT = "http://schemas.openid.net/event/backchannel-logout"
CLAIMS = {"sub": "1", "events": {EVENT: {}}}


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The portal has asked no provider yet."""
    monkeypatch.setattr(client, "_apps", {})


def log_out(visitor: httpx.Client, token: str) -> httpx.Response:
    return visitor.post("/auth/provider-logout/-", data={"logout_token": token})


def forged(provider: Provider, number: int) -> str:
    claims = jwt.decode(provider.signed(CLAIMS), options={"verify_signature": False})
    return jwt.encode(claims, OTHER, algorithm="RS256", headers={"kid": f"made up {number}"})


class TestKeys:
    def test_of_forged_logout_tokens_are_not_fetched_each_time(
        self, visitor: httpx.Client, provider: Provider
    ) -> None:
        for number in range(10):
            answer = log_out(visitor, forged(provider, number))
            assert answer.status_code == 400
            assert "No key for kid" in answer.json()["error_description"]
        assert provider.asked["/jwks"] == 1

    def test_that_rotated_sign_in_at_once_whatever_strangers_post(
        self, visitor: httpx.Client, provider: Provider, database: Database
    ) -> None:
        come_back(visitor)
        provider.rotate()
        log_out(visitor, forged(provider, 1))
        assert "portal_session" in come_back(visitor).headers["set-cookie"]
        provider.rotate()
        assert "portal_session" in come_back(visitor).headers["set-cookie"]

    def test_that_rotated_end_sessions_after_a_pause(
        self,
        visitor: httpx.Client,
        provider: Provider,
        database: Database,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        come_back(visitor)
        provider.rotate()
        token = provider.signed({**CLAIMS, "jti": "1"})
        assert log_out(visitor, token).status_code == 400
        monkeypatch.setattr(transport, "KEYS_PAUSE", 0)
        assert log_out(visitor, token).status_code == 200
        assert live(database) == 0


def long() -> ASGIApp:
    """8 MiB that no header announces."""

    async def spaces() -> AsyncIterator[bytes]:
        for _ in range(128):
            yield b" " * 65_536

    return StreamingResponse(spaces(), media_type="application/json")


def bomb() -> ASGIApp:
    """64 MiB as 64 kB."""
    packed = gzip.compress(b" " * (64 * 1024 * 1024))
    return Response(packed, headers={"content-encoding": "gzip"}, media_type="application/json")


@pytest.mark.parametrize("answer", [long, bomb])
@pytest.mark.parametrize(
    "path", ["/.well-known/openid-configuration", "/jwks", "/token", "/userinfo"]
)
def test_an_answer_beyond_all_size_is_one_sentence(
    visitor: httpx.Client,
    provider: Provider,
    database: Database,
    path: str,
    answer: Callable[[], ASGIApp],
) -> None:
    provider.instead[path] = answer()
    if path.startswith("/.well-known"):
        visitor.post("/auth/provider", data={"provider": "", "next": "/"})
    else:
        come_back(visitor)
    assert re.search("its answer is larger than 1 MiB", told(database)), told(database)
    assert live(database) == 0


def test_a_packed_answer_of_usual_size_is_read(
    visitor: httpx.Client, provider: Provider, database: Database
) -> None:
    packed = gzip.compress(b'{"sub": "1"}')
    provider.instead["/userinfo"] = Response(
        packed, headers={"content-encoding": "gzip"}, media_type="application/json"
    )
    assert "portal_session" in come_back(visitor).headers["set-cookie"]
