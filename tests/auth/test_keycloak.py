"""Sign-in against Keycloak itself: the trip, and what happens there reaching a live session."""

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import Page, expect
from pydantic import SecretStr

from backend.accounts import provider_check, providers, service
from backend.accounts.audit_log import AuditFilter, list_events
from backend.core import clock
from backend.core.access import SYSTEM, Role
from backend.core.database import Database
from backend.core.settings import get_settings
from backend.models.accounts import AccountSession
from tests.auth.trips import due_now, leave, sent_to
from tests.fixtures import shared
from tests.fixtures.browser import press
from tests.fixtures.keycloak import (
    CLIENT_ID,
    CLIENT_SECRET,
    MANY,
    PASSWORD,
    Keycloak,
    KeycloakServer,
    browser,
    installed,
)
from tests.fixtures.portal import running_portal
from tests.fixtures.processes import ServerUnavailable, missing

STEWARD = "contains(realm_access.roles || `[]`, 'portal-steward') && 'steward' || ''"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="session")
def keycloak(pytestconfig: pytest.Config) -> Iterator[Keycloak]:
    server = None
    try:
        installed()
        server = shared.ask(pytestconfig, KeycloakServer) or KeycloakServer.launch()
        with server.realm() as realm:
            yield realm
    except ServerUnavailable as exc:
        missing("Keycloak", str(exc))
    finally:
        if server is not None:
            server.close()


@pytest.fixture(autouse=True)
def configured(keycloak: Keycloak, site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The portal as the realm's client: groups are paths there, roles are nested."""
    section = {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "redirect_uri": f"{site}/oauth2callback",
        "server_metadata_url": f"{keycloak.url}/.well-known/openid-configuration",
        "roles": {"operator": ["group:operators"], "viewer": ["group:everyone"]},
        "role_attribute_path": STEWARD,
    }
    found = providers.parse({"auth": section})
    assert not found.problems
    monkeypatch.setattr(providers, "load", lambda: found)
    keycloak.tell_of_logouts_at(f"{site}/auth/provider-logout/-")


@dataclass(frozen=True)
class At:
    """One browser at the portal (visitor) and at Keycloak (there), and an operator whom no other
    test knows: name, and number in Keycloak."""

    keycloak: Keycloak
    visitor: httpx.Client
    there: httpx.Client
    database: Database
    name: str
    number: str

    def trip(self, name: str = "", there: httpx.Client | None = None) -> httpx.Response:
        """Sign in; the portal's answer to Keycloak's."""
        return self.visitor.get(self.enter(leave(self.visitor), name, there))

    def enter(self, address: str, name: str = "", there: httpx.Client | None = None) -> str:
        """Sign in at Keycloak; where it sends the browser."""
        back = self.keycloak.enter(there or self.there, address, name or self.name)
        return back.headers["location"]

    def account(self) -> tuple[str, str, int]:
        """Name, role and live sessions of the only account."""
        with self.database.read() as session:
            (view,) = service.list_accounts(session, SYSTEM).items
        return view.name, view.role.value, view.live_sessions


@pytest.fixture
def person(keycloak: Keycloak) -> tuple[str, str]:
    name = f"ann-{uuid.uuid4().hex[:8]}"
    return name, keycloak.add_person(name, ("operators",))


@pytest.fixture
def at(
    keycloak: Keycloak, visitor: httpx.Client, person: tuple[str, str], database: Database
) -> Iterator[At]:
    with browser() as there:  # its cookies, and no redirect followed
        yield At(keycloak, visitor, there, database, *person)


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.1)


def test_a_person_in_45_groups_with_random_names_signs_in(at: At) -> None:
    name = f"eve-{uuid.uuid4().hex[:8]}"
    at.keycloak.add_person(name, ("operators", *MANY))
    back = at.trip(name)
    assert (back.status_code, back.headers["location"]) == (303, "/jobs")
    assert sum(len(value) for value in back.headers.get_list("set-cookie")) < 300
    assert at.account() == (name, "operator", 1)


def test_a_nested_claim_gives_the_role_by_jmespath(at: At) -> None:
    name = f"sue-{uuid.uuid4().hex[:8]}"
    at.keycloak.give_role(at.keycloak.add_person(name), "portal-steward")
    at.trip(name)
    assert at.account() == (name, "steward", 1)


def test_a_role_that_changes_there_reaches_the_live_session_and_none_ends_it(at: At) -> None:
    at.trip()
    at.keycloak.join_group(at.number, "everyone")
    at.keycloak.leave_group(at.number, "operators")
    due_now(at.database)
    assert at.account() == (at.name, "viewer", 1)
    at.keycloak.leave_group(at.number, "everyone")
    due_now(at.database)
    assert at.account()[2] == 0


@pytest.mark.parametrize("what", ["disable", "delete"])
def test_a_person_disabled_or_deleted_there_is_out(at: At, what: str) -> None:
    at.trip()
    getattr(at.keycloak, what)(at.number)
    due_now(at.database)
    assert at.account()[2] == 0


def test_a_local_account_of_the_same_name_is_not_taken_over(at: At) -> None:
    with at.database.write() as session:
        service.add_account(session, SYSTEM, name=at.name, role=Role.ADMIN, stored="local")
    at.trip()
    with at.database.read() as session:
        views = service.list_accounts(session, SYSTEM).items
    assert {(view.name, view.role.value, view.live_sessions) for view in views} == {
        (at.name, "admin", 0),
        (f"{at.name} (2)", "operator", 1),
    }


def test_doctor_finds_nothing_wrong_and_a_wrong_secret(
    keycloak: Keycloak, site: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORTAL_PUBLIC_URL", site)
    get_settings.cache_clear()
    assert provider_check.check(get_settings()) == ()
    (known,) = providers.load().providers
    wrong = known.model_copy(update={"client_secret": SecretStr("another")})
    monkeypatch.setattr(providers, "load", lambda: providers.Configuration((wrong,)))
    (problem,) = provider_check.check(get_settings())
    assert "refuses the portal's client id or secret" in problem


def test_signed_out_there_ends_the_session_by_back_channel_logout(at: At) -> None:
    at.trip()
    assert at.account()[2] == 1
    at.keycloak.sign_out(at.number)
    until(lambda: at.account()[2] == 0)
    with at.database.read() as session:
        (row,) = list_events(
            session, SYSTEM, filters=AuditFilter(action="accounts:session:end")
        ).items
    assert row.details["reason"] == "signed out at the provider"


def test_keys_that_rotate_are_fetched(at: At) -> None:
    at.trip()
    at.keycloak.rotate_keys()
    with browser() as elsewhere:
        at.trip(there=elsewhere)
    assert at.account()[2] == 2


def test_sign_out_here_ends_keycloaks_session_too(at: At) -> None:
    at.trip()
    assert at.there.get(leave(at.visitor)).is_redirect, "Keycloak knows the browser"
    page = at.visitor.post("/auth/sign-out", content=b"")
    address = sent_to(page)
    back = at.there.get(address)
    assert back.is_redirect
    assert back.headers["location"].startswith(str(at.visitor.base_url))
    assert at.account()[2] == 0
    assert at.there.get(leave(at.visitor)).status_code == 200, (
        "Keycloak asks for the password again"
    )


def test_a_step_up_makes_keycloak_ask_again_and_its_time_counts(at: At) -> None:
    at.trip()
    address = leave(at.visitor, fresh=True)
    with at.database.write() as session:
        session.query(AccountSession).update({"proven_at": clock.now() - timedelta(hours=1)})
    assert at.visitor.get(at.enter(address)).headers["location"] == "/jobs"
    with at.database.read() as session:
        (row,) = session.query(AccountSession)
        assert clock.now() - row.proven_at < timedelta(minutes=10)


@pytest.mark.browser
def test_in_a_real_browser_there_and_back_and_out(
    keycloak: Keycloak, person: tuple[str, str], tmp_path: Path, browser_page: Page
) -> None:
    for group in MANY:
        keycloak.join_group(person[1], group)
    with running_portal(tmp_path, HOME=str(tmp_path)) as portal:
        secrets = tmp_path / ".streamlit" / "secrets.toml"
        secrets.parent.mkdir()
        secrets.write_text(
            f"""
[auth.keycloak]
label = "the company"
redirect_uri = "{portal.url}/oauth2callback"
client_id = "{CLIENT_ID}"
client_secret = "{CLIENT_SECRET}"
server_metadata_url = "{keycloak.url}/.well-known/openid-configuration"
roles.operator = ["group:operators"]
"""
        )
        browser_page.goto(portal.url + "/jobs?state=failed")
        press(browser_page, "Sign in with the company")
        browser_page.locator("#username").fill(person[0])
        browser_page.locator("#password").fill(PASSWORD)
        browser_page.locator("#kc-login").click()
        shown = browser_page.get_by_text(f"Signed in as {person[0]} (operator)")
        expect(shown).to_be_visible(timeout=60_000)
        expect(browser_page).to_have_url(portal.url + "/jobs?state=failed")
        press(browser_page, "Sign out")
        press(browser_page, "Sign in with the company")
        expect(browser_page.locator("#username")).to_be_visible(timeout=60_000)


class TestAttacks:
    def refused(self, database: Database) -> str:
        with database.read() as session:
            filters = AuditFilter(outcome="refused")
            return str(list_events(session, SYSTEM, filters=filters).items[0].details["reason"])

    def test_a_replayed_callback_opens_nothing(
        self,
        at: At,
    ) -> None:
        answer = at.enter(leave(at.visitor))
        assert "set-cookie" in at.visitor.get(answer).headers
        assert "set-cookie" not in at.visitor.get(answer).headers
        assert "was used" in self.refused(at.database)

    def test_a_code_of_another_trip_opens_nothing(
        self,
        at: At,
    ) -> None:
        """The attacker's own code under the victim's state: PKCE and the nonce do not fit."""
        stolen = parse_qs(urlsplit(at.enter(leave(at.visitor))).query)
        mine = parse_qs(urlsplit(leave(at.visitor)).query)
        swapped = {
            "state": mine["state"][0],
            "code": stolen["code"][0],
            "iss": at.keycloak.url,
        }
        assert "set-cookie" not in at.visitor.get("/oauth2callback", params=swapped).headers
        assert "refused the sign-in (invalid_grant)" in self.refused(at.database)

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ({"iss": "https://evil.example"}, "another identity provider"),
            ({"state": "made-up"}, "belongs to another browser"),
            ({"code": "made-up"}, "invalid_grant"),
        ],
    )
    def test_a_forged_callback_opens_nothing(
        self,
        at: At,
        change: dict[str, str],
        sentence: str,
    ) -> None:
        back = at.enter(leave(at.visitor))
        query = {k: v[0] for k, v in parse_qs(urlsplit(back).query).items()}
        answer = at.visitor.get("/oauth2callback", params={**query, **change})
        assert "set-cookie" not in answer.headers
        assert sentence in self.refused(at.database)
