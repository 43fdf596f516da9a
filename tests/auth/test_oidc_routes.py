"""The trip to an identity provider and back over real HTTP: what is let in, and what is told."""

import re
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from backend.accounts import provider_sessions, providers, service, sessions
from backend.accounts.audit_log import AuditFilter, list_events
from backend.core import clock
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.models.accounts import ProviderFlow, ProviderSession
from tests.auth.oidc_provider import CLIENT_ID, CLIENT_SECRET, Provider

EVENT = "http://schemas.openid.net/event/backchannel-logout"


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    with Provider() as one:
        yield one


@pytest.fixture
def provider(running: Provider, site: str, monkeypatch: pytest.MonkeyPatch) -> Provider:
    """The provider, configured in the portal with the role operator for its group operators."""
    running.person = {"sub": "1", "preferred_username": "ann", "groups": ["operators"]}
    running.refuses, running.token_error, running.forged, running.userinfo = "", "", {}, {}
    section = {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "redirect_uri": f"{site}/oauth2callback",
        "server_metadata_url": f"{running.url}/.well-known/openid-configuration",
        "roles": {"operator": ["group:operators"], "viewer": ["group:everyone"]},
    }
    found = providers.parse({"auth": section})
    assert not found.problems
    monkeypatch.setattr(providers, "load", lambda: found)
    return running


def leave(visitor: httpx.Client, next_path: str = "/jobs") -> str:
    """Start a trip; the address of the provider that the browser is sent to."""
    page = visitor.post("/auth/provider", data={"provider": "", "next": next_path})
    found = re.search(r'url=([^"]+)"', page.text)
    assert found, page.text
    return found.group(1).replace("&amp;", "&")


def come_back(visitor: httpx.Client, next_path: str = "/jobs") -> httpx.Response:
    """A whole trip; the portal's answer to the provider's."""
    there = httpx.get(leave(visitor, next_path))
    return visitor.get(there.headers["location"])


def told(database: Database) -> str:
    """The newest sentence for the browser; it is in the audit log, too."""
    with database.read() as session:
        error = session.query(ProviderFlow.error).order_by(ProviderFlow.id.desc()).first()
        events = list_events(session, SYSTEM, filters=AuditFilter(outcome="refused")).items
    assert error is not None
    assert events[0].details["reason"] == error[0]
    return str(error[0])


def live(database: Database) -> int:
    with database.read() as session:
        return len(sessions.list_live(session, SYSTEM))


class TestTrip:
    def test_signs_in_with_one_cookie_and_back_to_the_page(
        self, visitor: httpx.Client, provider: Provider, database: Database
    ) -> None:
        provider.person["groups"] = ["operators", *(str(uuid.uuid4()) for _ in range(200))]
        back = come_back(visitor, "/jobs?state=failed")
        assert (back.status_code, back.headers["location"]) == (303, "/jobs?state=failed")
        assert sum(len(value) for value in back.headers.get_list("set-cookie")) < 300
        with database.read() as session:
            (view,) = service.list_accounts(session, SYSTEM).items
        assert (view.name, view.role, view.live_sessions) == ("ann", "operator", 1)

    def test_asks_with_pkce_and_state_that_only_the_server_holds(
        self, visitor: httpx.Client, provider: Provider
    ) -> None:
        query = parse_qs(urlsplit(leave(visitor)).query)
        assert query["code_challenge_method"] == ["S256"]
        assert {"state", "nonce", "code_challenge"} <= set(query)
        assert set(visitor.cookies) == {"portal_browser"}

    def test_an_unverified_address_is_nobodys_name(
        self, visitor: httpx.Client, provider: Provider, database: Database
    ) -> None:
        provider.person |= {"preferred_username": "Boss@x.org", "email": "boss@x.org"}
        come_back(visitor)
        with database.read() as session:
            assert service.list_accounts(session, SYSTEM).items[0].name == "1"

    def test_groups_of_userinfo_count(
        self, visitor: httpx.Client, provider: Provider, database: Database
    ) -> None:
        del provider.person["groups"]
        provider.userinfo = {"groups": ["everyone"]}
        come_back(visitor)
        with database.read() as session:
            assert service.list_accounts(session, SYSTEM).items[0].role == "viewer"


class TestRefused:
    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ({"forged": {"aud": "another"}}, "does not hold"),
            ({"forged": {"iss": "https://evil.example"}}, "does not hold"),
            ({"forged": {"exp": 1}}, "does not hold"),
            ({"forged": {"nonce": "other"}}, "belongs to another sign-in"),
            ({"forged": {"azp": "other"}}, "meant for another program"),
            ({"userinfo": {"sub": "2"}}, "name two people"),
            ({"refuses": "access_denied"}, "cancelled or you may not"),
            ({"token_error": "invalid_client"}, "client id or secret"),
            ({"token_error": "server_error"}, "server_error"),
            ({"forged": {"groups": 5}}, "is no list of names"),
            ({"forged": {"groups": ["strangers"]}}, "has no role"),
            ({"forged": {"groups": [], "_claim_names": {"groups": "s"}}}, "more groups than"),
        ],
    )
    def test_is_told_and_written_down(
        self,
        visitor: httpx.Client,
        provider: Provider,
        database: Database,
        change: dict[str, Any],
        sentence: str,
    ) -> None:
        for name, value in change.items():
            setattr(provider, name, value)
        back = come_back(visitor)
        assert (back.status_code, back.headers["location"]) == (303, "/jobs")
        assert "set-cookie" not in back.headers
        assert sentence in told(database)
        assert live(database) == 0

    def test_an_answer_serves_once_and_in_its_own_browser(
        self, visitor: httpx.Client, provider: Provider, site: str, database: Database
    ) -> None:
        answer = httpx.get(leave(visitor)).headers["location"]
        with httpx.Client(base_url=site, cookies={"portal_browser": "other"}) as other:
            assert "set-cookie" not in other.get(answer).headers
            assert "belongs to another browser" in told(database)
        assert "set-cookie" in visitor.get(answer).headers
        assert "set-cookie" not in visitor.get(answer).headers

    def test_a_disabled_account_is_told(
        self, visitor: httpx.Client, provider: Provider, database: Database
    ) -> None:
        come_back(visitor)
        with database.write() as session:
            (view,) = service.list_accounts(session, SYSTEM).items
            service.set_disabled(
                session, SYSTEM, account_id=view.id, disabled=True, version=view.version
            )
        come_back(visitor)
        assert "is disabled" in told(database)


def due_now(database: Database) -> None:
    with database.write() as session:
        session.query(ProviderSession).update({"check_at": clock.now()})
    assert provider_sessions.check_due(database) == 1


class TestLiveSession:
    def test_follows_the_role_and_ends_without_one(
        self, visitor: httpx.Client, provider: Provider, database: Database
    ) -> None:
        come_back(visitor)
        provider.person["groups"] = ["everyone"]
        due_now(database)
        with database.read() as session:
            assert service.list_accounts(session, SYSTEM).items[0].role == "viewer"
        provider.person["groups"] = []
        due_now(database)
        assert live(database) == 0

    @pytest.mark.parametrize(("error", "left"), [("invalid_grant", 0), ("server_error", 1)])
    def test_ends_when_the_provider_says_no_and_not_when_it_is_down(
        self, visitor: httpx.Client, provider: Provider, database: Database, error: str, left: int
    ) -> None:
        come_back(visitor)
        provider.token_error = error
        due_now(database)
        assert live(database) == left

    def test_ends_by_a_signed_logout_token_only(
        self, visitor: httpx.Client, provider: Provider, database: Database
    ) -> None:
        provider.person["sid"] = "s-1"
        come_back(visitor)
        good = {"sid": "s-1", "sub": "1", "jti": "j", "events": {EVENT: {}}}
        bad = ({**good, "events": {}}, {**good, "nonce": "n"}, {**good, "aud": "x"})
        for claims in bad:
            body = {"logout_token": provider.signed(claims)}
            assert visitor.post("/auth/provider-logout/-", data=body).status_code == 400
        assert (
            visitor.post("/auth/provider-logout/-", data={"logout_token": "x"}).status_code == 400
        )
        assert live(database) == 1
        body = {"logout_token": provider.signed(good)}
        assert visitor.post("/auth/provider-logout/-", data=body).status_code == 200
        assert live(database) == 0

    def test_sign_out_ends_the_providers_session_too(
        self, visitor: httpx.Client, provider: Provider, database: Database
    ) -> None:
        come_back(visitor)
        page = visitor.post("/auth/sign-out", content=b"")
        assert f"{provider.url}/end?id_token_hint=" in page.text
        assert live(database) == 0
