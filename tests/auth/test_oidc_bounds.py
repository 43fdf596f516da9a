"""What strangers, or a provider, can make the portal fetch, read and keep is bounded."""

import gzip
import re
import time
from collections.abc import AsyncIterator, Callable

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp

from auth import oidc
from backend.accounts import provider_flows, provider_sessions
from backend.core import clock
from backend.core.buckets import Buckets
from backend.core.database import Database
from backend.integrations.oidc import client, transport
from backend.models.accounts import ProviderFlow, ProviderLogout
from tests.auth.oidc_provider import Provider
from tests.auth.trips import come_back, leave, live, told

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


class TestLogoutToken:
    def test_ends_nothing_a_second_time(
        self, visitor: httpx.Client, provider: Provider, database: Database
    ) -> None:
        come_back(visitor)
        token = provider.signed({**CLAIMS, "jti": "1"})
        assert log_out(visitor, token).status_code == 200
        come_back(visitor)
        again = log_out(visitor, token)
        said = again.json()["error_description"]
        assert (again.status_code, said) == (400, "This logout token was obeyed before.")
        assert live(database) == 1
        assert log_out(visitor, provider.signed({**CLAIMS, "jti": "2"})).status_code == 200
        assert live(database) == 0

    def test_is_remembered_for_as_long_as_it_would_be_obeyed(
        self, visitor: httpx.Client, provider: Provider, database: Database
    ) -> None:
        now = int(time.time())
        for jti, age in (("old", client.LOGOUT_SECONDS + 5), ("new", client.LOGOUT_SECONDS - 60)):
            claims = {**CLAIMS, "jti": jti, "iat": now - age, "exp": now + 86_400}
            answer = log_out(visitor, provider.signed(claims))
            assert (answer.status_code == 200) == (jti == "new"), answer.text
        assert _logouts(database) == 1
        with database.write() as session:
            provider_sessions.forget_logouts(session)
        assert _logouts(database) == 1
        with database.write() as session:
            session.query(ProviderLogout).update({"expires_at": clock.now()})
            provider_sessions.forget_logouts(session)
        assert _logouts(database) == 0

    def test_that_is_forged_is_not_remembered(
        self, visitor: httpx.Client, provider: Provider, database: Database
    ) -> None:
        log_out(visitor, forged(provider, 1))
        assert _logouts(database) == 0


def _logouts(database: Database) -> int:
    with database.read() as session:
        return session.query(ProviderLogout).count()


class TestTrips:
    """Rows for trips that nobody made up."""

    def test_of_answers_that_nobody_asked_for_are_not_kept(
        self, visitor: httpx.Client, provider: Provider, database: Database
    ) -> None:
        for number in range(20):
            visitor.cookies.clear()
            cookie = {"cookie": f"portal_browser=made-up-{number}"}
            for query in (f"state={number}&code=x", f"state={number}&error=x", ""):
                answer = visitor.get(f"/oauth2callback?{query}", headers=cookie)
                assert answer.headers["location"] == "/?refused=answer"
        assert _trips(database) == 0

    def test_to_made_up_providers_or_without_a_cookie_are_not_kept(
        self, visitor: httpx.Client, provider: Provider, database: Database
    ) -> None:
        form = {"provider": "made up", "next": "/jobs"}
        answer = visitor.post("/auth/provider", data=form)
        assert answer.headers["location"] == "/jobs?refused=provider"
        visitor.cookies.clear()
        answer = visitor.post("/auth/provider", data={**form, "provider": ""})
        assert answer.headers["location"] == "/jobs?refused=cookie"
        assert _trips(database) == 0

    def test_that_one_address_begins_are_so_many_a_minute(
        self,
        visitor: httpx.Client,
        provider: Provider,
        database: Database,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(oidc, "_TRIPS", Buckets(at_once=3, per_minute=1, now=lambda: 0.0))
        for _ in range(3):
            leave(visitor)
        answer = visitor.post("/auth/provider", data={"provider": "", "next": "/"})
        assert answer.headers["location"] == "/?refused=crowd"
        assert _trips(database) == 3

    def test_make_room_for_newer_ones(
        self,
        visitor: httpx.Client,
        provider: Provider,
        database: Database,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(provider_flows, "MOST", 2)
        first, *_, last = (leave(visitor) for _ in range(4))
        assert _trips(database) == 2
        back = visitor.get(httpx.get(first).headers["location"])
        assert back.headers["location"] == "/?refused=answer"
        back = visitor.get(httpx.get(last).headers["location"])
        assert "portal_session" in back.headers["set-cookie"]

    def test_that_expired_go_with_the_next(
        self, visitor: httpx.Client, provider: Provider, database: Database
    ) -> None:
        leave(visitor)
        with database.write() as session:
            session.query(ProviderFlow).update({"expires_at": clock.now()})
        leave(visitor)
        assert _trips(database) == 1


def _trips(database: Database) -> int:
    with database.read() as session:
        return session.query(ProviderFlow).count()


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
