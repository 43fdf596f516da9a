"""Sessions that a provider vouches for: asked about again, proven anew, ended with it."""

import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from backend.accounts import service
from backend.accounts import step_up as approval_step
from backend.accounts.audit_log import AuditFilter, list_events
from backend.core.access import SYSTEM, Actor
from backend.core.database import Database
from backend.models.accounts import AccountSession
from tests.auth.conftest import Configure
from tests.auth.oidc_provider import Provider
from tests.auth.trips import come_back, due_now, leave, live, told

EVENT = "http://schemas.openid.net/event/backchannel-logout"


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

    def test_without_refresh_tokens_userinfo_is_asked(
        self, visitor: httpx.Client, provider: Provider, database: Database
    ) -> None:
        provider.refreshes, provider.userinfo = False, {"groups": ["operators"]}
        come_back(visitor)
        provider.userinfo = {"groups": ["everyone"]}
        due_now(database)
        with database.read() as session:
            assert service.list_accounts(session, SYSTEM).items[0].role == "viewer"
        due_now(database)
        assert live(database) == 1
        provider.userinfo_status = 500
        due_now(database)
        assert live(database) == 1
        provider.userinfo_status = 401
        due_now(database)
        assert live(database) == 0

    def test_ends_when_there_is_nothing_left_to_ask_with(
        self, visitor: httpx.Client, provider: Provider, database: Database
    ) -> None:
        provider.refreshes, provider.expires_in = False, 0
        provider.userinfo = {"locale": "de"}
        come_back(visitor)
        due_now(database)
        assert live(database) == 0

    def test_groups_of_userinfo_that_went_away_give_no_role_any_more(
        self, visitor: httpx.Client, provider: Provider, database: Database
    ) -> None:
        provider.refreshes, provider.userinfo = False, {"groups": ["operators"]}
        come_back(visitor)
        provider.userinfo = {"locale": "de"}
        due_now(database)
        assert live(database) == 0

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

    def test_sign_out_of_somebody_in_500_groups_goes_there_without_the_long_hint(
        self, visitor: httpx.Client, provider: Provider, database: Database
    ) -> None:
        provider.person["groups"] = ["operators", *(str(uuid.uuid4()) for _ in range(500))]
        come_back(visitor)
        page = visitor.post("/auth/sign-out", content=b"")
        assert f"{provider.url}/end?post_logout_redirect_uri=" in page.text
        assert "client_id=portal" in page.text
        assert "id_token_hint" not in page.text

    def test_more_groups_than_the_state_holds_are_told(
        self, visitor: httpx.Client, provider: Provider, database: Database
    ) -> None:
        provider.person["groups"] = ["operators", *(str(uuid.uuid4()) for _ in range(2_000))]
        come_back(visitor)
        assert "you are in too many groups" in told(database)

    def test_sign_out_ends_the_providers_session_too(
        self, visitor: httpx.Client, provider: Provider, database: Database
    ) -> None:
        come_back(visitor)
        page = visitor.post("/auth/sign-out", content=b"")
        assert f"{provider.url}/end?id_token_hint=" in page.text
        assert live(database) == 0


def step_up(visitor: httpx.Client) -> httpx.Response:
    """Prove anew who is signed in; the portal's answer to the provider's."""
    address = leave(visitor, fresh=True)
    # The session's cookie is SameSite=Strict: a browser does not send it with what comes back.
    with httpx.Client(base_url=visitor.base_url, cookies={"portal_browser": "nonce"}) as back:
        return back.get(httpx.get(address).headers["location"])


class TestStepUp:
    @pytest.fixture(autouse=True)
    def signed_in(self, visitor: httpx.Client, provider: Provider, database: Database) -> None:
        provider.forged = {"auth_time": int(time.time()) - 7200}
        come_back(visitor)
        assert not self.proven(database)

    def proven(self, database: Database) -> bool:
        with database.read() as session:
            row = session.query(AccountSession).one()
            account = service.list_accounts(session, SYSTEM).items[0]
            actor = Actor(account.id, account.name, account.role, "user", session_id=row.id)
            return approval_step.is_proven(session, actor)

    def test_counts_in_the_session_that_asked(
        self, visitor: httpx.Client, provider: Provider, database: Database
    ) -> None:
        provider.forged = {"auth_time": int(time.time())}
        back = step_up(visitor)
        assert (back.status_code, back.headers["location"]) == (303, "/jobs")
        assert "set-cookie" not in back.headers
        assert self.proven(database)
        with database.read() as session:
            filters = AuditFilter(action=approval_step.ACTION)
            (row,) = list_events(session, SYSTEM, filters=filters).items
        assert (row.outcome, row.details["way"]) == ("succeeded", "identity provider")

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ({"forged": {}}, "does not say when"),
            (lambda: {"forged": {"auth_time": int(time.time()) - 7200}}, "did not ask you again"),
            (
                lambda: {
                    "forged": {"auth_time": int(time.time()) + 9, "sub": "2"},
                    "person": {},
                },
                "Somebody else signed in",
            ),
            ({"refuses": "access_denied"}, "cancelled or you may not"),
        ],
    )
    def test_that_proves_nothing_is_told_and_changes_nothing(
        self,
        visitor: httpx.Client,
        provider: Provider,
        database: Database,
        change: dict[str, Any] | Callable[[], dict[str, Any]],
        sentence: str,
    ) -> None:
        for name, value in (change() if callable(change) else change).items():
            setattr(provider, name, value)
        if not provider.person:
            provider.person = {"sub": "2", "groups": ["operators"]}
        assert step_up(visitor).headers["location"] == "/jobs"
        assert sentence in told(database)
        assert not self.proven(database)
        assert live(database) == 1

    def test_asks_for_its_own_level(
        self,
        visitor: httpx.Client,
        provider: Provider,
        configure: Configure,
        database: Database,
    ) -> None:
        configure(step_up_acr_values=["gold"])
        provider.forged = {"auth_time": int(time.time()), "acr": "silver"}
        step_up(visitor)
        assert "confirmed the level silver; this portal asks for gold" in told(database)
        provider.forged["acr"] = "gold"
        step_up(visitor)
        assert self.proven(database)

    def test_of_a_provider_that_never_says_when_is_believed_where_the_file_says_so(
        self,
        visitor: httpx.Client,
        provider: Provider,
        configure: Configure,
        database: Database,
    ) -> None:
        configure(auth_time_required=False)
        provider.forged = {}
        step_up(visitor)
        assert self.proven(database)

    def test_takes_the_role_of_now_and_ends_without_one(
        self, visitor: httpx.Client, provider: Provider, database: Database
    ) -> None:
        provider.forged = {"auth_time": int(time.time())}
        provider.person["groups"] = ["everyone"]
        step_up(visitor)
        with database.read() as session:
            assert service.list_accounts(session, SYSTEM).items[0].role == "viewer"
        provider.person["groups"] = []
        step_up(visitor)
        assert "no role in this portal any more" in told(database)
        assert live(database) == 0
