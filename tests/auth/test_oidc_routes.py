"""The trip to an identity provider and back over real HTTP: what is let in, and what is told."""

import re
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from backend.accounts import service
from backend.core import log
from backend.core.access import SYSTEM, Role
from backend.core.database import Database
from backend.integrations.oidc import client
from tests.auth.conftest import Configure
from tests.auth.oidc_provider import Provider
from tests.auth.trips import come_back, due_now, leave, live, told


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

    @pytest.mark.parametrize("ahead", [-110, 110])
    def test_clocks_may_be_two_minutes_apart_and_the_log_says_so(
        self,
        visitor: httpx.Client,
        provider: Provider,
        database: Database,
        capsys: pytest.CaptureFixture[str],
        ahead: int,
    ) -> None:
        log.configure("INFO")
        now = int(time.time()) + ahead
        provider.forged = {"iat": now, "nbf": now, "exp": now + 60}
        assert "set-cookie" in come_back(visitor).headers
        assert live(database) == 1
        found = re.search(r'"provider_ahead_seconds": (-?\d+)', capsys.readouterr().err)
        assert found
        assert abs(int(found[1]) - ahead) < 45  # what a machine may stand still meanwhile

    def test_a_name_that_somebody_has_gets_a_number(
        self, visitor: httpx.Client, provider: Provider, database: Database
    ) -> None:
        with database.write() as session:
            service.add_account(session, SYSTEM, name="Ann", role=Role.ADMIN, stored="local")
        for subject in ("1", "2", "1"):
            provider.person["sub"] = subject
            come_back(visitor)
        with database.read() as session:
            views = service.list_accounts(session, SYSTEM).items
        names = {view.name: (view.role, view.live_sessions) for view in views}
        assert names == {
            "Ann": ("admin", 0),
            "ann (2)": ("operator", 2),
            "ann (3)": ("operator", 1),
        }

    def test_two_browsers_in_the_same_second_are_one_account(
        self, provider: Provider, site: str, database: Database
    ) -> None:
        together, answers = threading.Barrier(4), []

        def sign_in(number: int) -> None:
            cookies = {"portal_browser": f"browser-{number}"}
            with httpx.Client(base_url=site, cookies=cookies, timeout=60) as visitor:
                address = httpx.get(leave(visitor)).headers["location"]
                together.wait(60)
                answers.append(visitor.get(address, follow_redirects=False))

        threads = [threading.Thread(target=sign_in, args=[number]) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert ["set-cookie" in answer.headers for answer in answers] == [True] * 4
        with database.read() as session:
            (view,) = service.list_accounts(session, SYSTEM).items
        assert (view.name, view.live_sessions) == ("ann", 4)

    def test_skip_role_sync_counts_the_first_role_only(
        self,
        visitor: httpx.Client,
        provider: Provider,
        configure: Configure,
        database: Database,
    ) -> None:
        configure(skip_role_sync=True)
        come_back(visitor)
        provider.person["groups"] = ["everyone"]
        come_back(visitor)
        due_now(database, 2)
        with database.read() as session:
            (view,) = service.list_accounts(session, SYSTEM).items
        assert (view.role, view.live_sessions) == ("operator", 2)

    def test_asks_for_the_level_and_age_that_the_file_names(
        self,
        visitor: httpx.Client,
        provider: Provider,
        configure: Configure,
        database: Database,
    ) -> None:
        configure(acr_values=["gold", "x"], max_age=60, prompt="none")
        asked = parse_qs(urlsplit(leave(visitor)).query)
        assert (asked["acr_values"], asked["max_age"], asked["prompt"]) == (
            ["gold x"],
            ["60"],
            ["none"],
        )
        provider.forged = {"acr": "1", "auth_time": int(time.time())}
        come_back(visitor)
        assert "confirmed the level 1" in told(database)
        provider.forged = {"acr": "gold", "auth_time": int(time.time()) - 3600}
        come_back(visitor)
        assert "too long ago" in told(database)
        provider.forged = {"acr": "gold", "auth_time": int(time.time())}
        assert "set-cookie" in come_back(visitor).headers

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
            ({"forged": {"exp": 1}}, r"is not of now \(The token is expired\)"),
            (
                lambda: {"forged": {"iat": int(time.time()) + 600, "exp": int(time.time()) + 900}},
                r"differ by \d+ seconds; 120 are",
            ),
            (
                lambda: {"forged": {"iat": int(time.time()) - 900, "exp": int(time.time()) - 600}},
                r"differ by \d+ seconds; 120 are",
            ),
            (lambda: {"forged": {"nbf": int(time.time()) + 600}}, "is not of now"),
            ({"forged": {"sub": ""}}, "names nobody"),
            ({"forged": {"sub": 5}}, "names nobody"),
            ({"person": {"sub": "a\0b"}}, "names nobody"),
            ({"person": {"sub": "x" * 5_000}}, "names nobody"),
            ({"forged": {"iat": float("inf")}}, "is not of now"),
            ({"forged": {"iat": 10**400}}, "is not of now"),
            ({"token_status": 503}, "it answered 503"),
            ({"forged": {"nonce": "other"}}, "belongs to another sign-in"),
            ({"forged": {"azp": "other"}}, "meant for another program"),
            ({"userinfo": {"sub": "2"}}, "name two people"),
            ({"refuses": "access_denied"}, "cancelled or you may not"),
            ({"token_error": "invalid_client"}, "client id or secret"),
            ({"token_error": "server_error"}, "server_error"),
            ({"forged": {"groups": 5}}, "is no list of names"),
            ({"forged": {"groups": ["strangers"]}}, "has no role"),
        ],
    )
    def test_is_told_and_written_down(
        self,
        visitor: httpx.Client,
        provider: Provider,
        database: Database,
        change: dict[str, Any] | Callable[[], dict[str, Any]],
        sentence: str,
    ) -> None:
        for name, value in (change() if callable(change) else change).items():
            setattr(provider, name, value)
        back = come_back(visitor)
        assert (back.status_code, back.headers["location"]) == (303, "/jobs")
        assert "set-cookie" not in back.headers
        assert re.search(sentence, told(database))
        assert live(database) == 0

    def test_an_answer_serves_once_and_in_its_own_browser(
        self, visitor: httpx.Client, provider: Provider, site: str, database: Database
    ) -> None:
        answer = httpx.get(leave(visitor)).headers["location"]
        with httpx.Client(base_url=site, cookies={"portal_browser": "other"}) as other:
            turned_away = other.get(answer)
        assert "set-cookie" not in turned_away.headers
        assert turned_away.headers["location"] == "/?refused=answer"
        assert "set-cookie" in visitor.get(answer).headers
        assert "set-cookie" not in visitor.get(answer).headers

    def test_a_provider_that_is_down_or_slow_is_told(
        self,
        visitor: httpx.Client,
        provider: Provider,
        database: Database,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        address = httpx.get(leave(visitor)).headers["location"]

        def fail(kind: type[Exception]) -> Any:
            async def post(*_args: object, **_kwargs: object) -> None:
                raise kind("no answer")

            return post

        for kind, sentence in (
            (client.httpx2.ReadTimeout, "no answer within 10 s"),
            (client.httpx2.ConnectError, "it cannot be reached"),
        ):
            with monkeypatch.context() as patch:
                patch.setattr(client.httpx2.AsyncClient, "send", fail(kind))
                visitor.get(address)
            assert sentence in told(database)
            address = httpx.get(leave(visitor)).headers["location"]
        assert live(database) == 0

    def test_a_trip_that_cannot_start_goes_back_to_the_page_it_was_for(
        self, visitor: httpx.Client, provider: Provider, database: Database
    ) -> None:
        back = visitor.post("/auth/provider", data={"provider": "gone", "next": "/jobs?a=1"})
        where = "/jobs?a=1&refused=provider"
        assert (back.status_code, back.headers["location"]) == (303, where)

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
