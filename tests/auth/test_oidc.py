"""Identity providers: who gets which role, and the whole way round in a real browser."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from backend.accounts import claims as meaning
from backend.accounts import providers
from backend.accounts.providers import Provider
from backend.core.access import Role
from tests.auth.oidc_provider import CLIENT_ID, CLIENT_SECRET
from tests.auth.oidc_provider import Provider as IdentityProvider
from tests.fixtures.browser import press
from tests.fixtures.portal import Portal, running_portal

ROOT = Path(__file__).resolve().parents[2]
AUTH: dict[str, Any] = {
    "redirect_uri": "https://portal.example.org/oauth2callback",
    "client_id": "portal",
    "server_metadata_url": "https://idp.example.org/.well-known/openid-configuration",
}
MAPPING: dict[str, Any] = {
    "roles": {
        "admin": ["Root@example.org", "sales@example.org", "group:platform-admins"],
        "operator": ["group:operators"],
        "viewer": ["group:everyone"],
    }
}


def configured(portal: dict[str, Any]) -> Provider:
    (found,) = providers.parse({"auth": AUTH, "portal": portal}).providers
    return found


def role_for(claims: dict[str, Any], portal: dict[str, Any]) -> Role | None:
    return meaning.role_of(configured(portal), claims)


class TestRoleFor:
    @pytest.mark.parametrize(
        ("claims", "role"),
        [
            ({"email": "root@example.org", "email_verified": True}, Role.ADMIN),
            ({"email": "ROOT@EXAMPLE.ORG", "email_verified": True}, Role.ADMIN),
            ({"email": "root@example.org"}, None),
            ({"email": "root@example.org", "email_verified": False}, None),
            ({"email": "root@example.org", "email_verified": "true"}, None),
            ({"groups": ["everyone", "operators"]}, Role.OPERATOR),
            ({"groups": ["everyone", "platform-admins"]}, Role.ADMIN),
            ({"groups": "everyone"}, Role.VIEWER),
            ({"groups": ["strangers"]}, None),
            ({"groups": None}, None),
            ({"groups": ["/Everyone", "/platform-admins"]}, Role.ADMIN),
            ({"groups": ["platform-admin\u017f"]}, None),
            ({"groups": ["ｐlatform-admins"]}, None),
            ({"email": "\u017fales@example.org", "email_verified": True}, None),
            ({"groups": ["root@example.org"]}, None),
            ({"email": "group:platform-admins", "email_verified": False}, None),
            ({}, None),
        ],
    )
    def test_by_verified_address_or_group(self, claims: dict[str, Any], role: Role | None) -> None:
        assert role_for(claims, MAPPING) is role

    def test_without_a_mapping_nobody_gets_in(self) -> None:
        assert role_for({"email": "a@b.c", "email_verified": True}, {}) is None

    def test_unverified_addresses_and_other_claims_count_when_the_file_says_so(self) -> None:
        assert role_for({"email": "root@example.org"}, {**MAPPING, "trust_email": True})
        portal = {**MAPPING, "groups_claim": "roles"}
        assert role_for({"roles": ["operators"]}, portal) is Role.OPERATOR

    def test_an_address_that_looks_like_a_group_is_no_group(self) -> None:
        claims = {"email": "group:platform-admins", "email_verified": True}
        assert role_for(claims, MAPPING) is None

    def test_the_documented_file_does_what_its_page_says(self) -> None:
        page = (ROOT / "docs" / "accounts.md").read_text()
        (block,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
        portal = tomllib.loads(block)["portal"]
        assert not providers.parse(tomllib.loads(block)).problems
        assert role_for({"groups": ["data-stewards", "everyone"]}, portal) is Role.STEWARD
        assert role_for({"email": "ann@example.org"}, portal) is None
        verified = {"email": "Ann@example.org", "email_verified": True}
        assert role_for(verified, portal) is Role.ADMIN


@pytest.fixture(scope="module")
def provider() -> Iterator[IdentityProvider]:
    with IdentityProvider() as running:
        yield running


@pytest.fixture(scope="module")
def oidc_portal(
    provider: IdentityProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Portal]:
    """A portal whose secrets file names the provider."""
    folder: Path = tmp_path_factory.mktemp("oidc")
    with running_portal(folder, HOME=str(folder)) as portal:
        secrets = folder / ".streamlit" / "secrets.toml"
        secrets.parent.mkdir()
        secrets.write_text(
            f"""
[auth]
redirect_uri = "{portal.url}/oauth2callback"
cookie_secret = "a cookie secret that is long enough"
client_id = "{CLIENT_ID}"
client_secret = "{CLIENT_SECRET}"
server_metadata_url = "{provider.url}/.well-known/openid-configuration"
[portal.roles]
operator = ["group:operators"]
"""
        )
        portal.stop()
        portal.start()
        yield portal


@pytest.mark.browser
@pytest.mark.slow
class TestInABrowser:
    def test_round_trip_keeps_the_deep_link_and_sign_out_is_final(
        self, oidc_portal: Portal, provider: IdentityProvider, browser_page: Page
    ) -> None:
        provider.person = {
            "sub": "1",
            "preferred_username": "ann@example.org",
            "groups": ["operators"],
        }
        browser_page.goto(oidc_portal.url + "/jobs?state=failed")
        press(browser_page, "Sign in with single sign-on")
        expect(browser_page.get_by_text("Signed in as ann@example.org (operator)")).to_be_visible()
        expect(browser_page).to_have_url(oidc_portal.url + "/jobs?state=failed")
        press(browser_page, "Sign out")
        expect(browser_page.get_by_label("Password", exact=True).first).to_be_visible()
        browser_page.reload()
        expect(browser_page.get_by_label("Password", exact=True).first).to_be_visible()
        names = {cookie["name"] for cookie in browser_page.context.cookies()}
        assert not {name for name in names if name.startswith(("portal_session", "_streamlit_us"))}

    def test_a_session_ended_by_an_admin_does_not_come_back_by_itself(
        self, oidc_portal: Portal, provider: IdentityProvider, browser_page: Page
    ) -> None:
        provider.person = {
            "sub": "2",
            "preferred_username": "eve@example.org",
            "groups": ["operators"],
        }
        browser_page.goto(oidc_portal.url)
        press(browser_page, "Sign in with single sign-on")
        expect(browser_page.get_by_text("Signed in as eve@example.org")).to_be_visible()
        oidc_portal.cli("accounts", "disable", "eve@example.org")
        oidc_portal.cli("accounts", "enable", "eve@example.org")
        browser_page.reload()
        expect(browser_page.get_by_label("Password", exact=True).first).to_be_visible()

    def test_a_person_without_a_mapped_role_is_told_and_stays_out(
        self, oidc_portal: Portal, provider: IdentityProvider, browser_page: Page
    ) -> None:
        provider.person = {
            "sub": "3",
            "preferred_username": "mallory@example.org",
            "groups": ["strangers"],
        }
        browser_page.goto(oidc_portal.url)
        press(browser_page, "Sign in with single sign-on")
        expect(browser_page.get_by_text("has no role in this portal")).to_be_visible()
        expect(browser_page.get_by_label("Password", exact=True).first).to_be_visible()
