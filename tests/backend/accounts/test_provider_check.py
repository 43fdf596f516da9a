"""`doctor` on identity providers, against a provider on this machine, and what a token gives."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from backend.accounts import provider_check, providers
from backend.cli.main import app
from backend.core.errors import InvalidInput
from backend.core.settings import get_settings
from tests.auth.oidc_provider import CLIENT_ID, CLIENT_SECRET, Provider

#: Deeper than a parser goes, as claims and in a token.
NESTED = '{"a":' * 100_000
TOKEN = f"a.{base64.urlsafe_b64encode(NESTED.encode()).decode()}.c"


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    with Provider() as one:
        yield one


@pytest.fixture
def provider(running: Provider, monkeypatch: pytest.MonkeyPatch) -> Provider:
    running.reset()
    monkeypatch.setenv("PORTAL_PUBLIC_URL", "https://portal.example.org")
    get_settings.cache_clear()
    configure(monkeypatch, running)
    return running


def configure(monkeypatch: pytest.MonkeyPatch, running: Provider, **options: Any) -> None:
    section = {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "redirect_uri": "https://portal.example.org/oauth2callback",
        "server_metadata_url": f"{running.url}/.well-known/openid-configuration",
        "roles": {"operator": ["group:Operators"], "viewer": ["ann@example.org"]},
        **options,
    }
    found = providers.parse({"auth": section})
    assert not found.problems
    monkeypatch.setattr(providers, "load", lambda: found)


class TestCheck:
    def test_a_provider_in_good_health_has_no_problem(self, provider: Provider) -> None:
        assert provider_check.check(get_settings()) == ()

    @pytest.mark.parametrize(
        ("options", "sentence"),
        [
            ({"client_secret": "wrong"}, "refuses the portal's client id or secret"),
            ({"client_id": "wrong"}, "refuses the portal's client id or secret"),
            ({"server_metadata_url": "http://127.0.0.1:9/x"}, "it cannot be reached"),
            (
                {"server_metadata_url": "http://idp.example.invalid/x"},
                "server_metadata_url is http",
            ),
            ({"scope": "openid groups"}, "does not offer the scope groups"),
            ({"acr_values": ["gold"]}, "does not offer the acr_values gold; it offers 1"),
        ],
    )
    def test_what_the_file_says_is_held_against_the_provider(
        self,
        provider: Provider,
        monkeypatch: pytest.MonkeyPatch,
        options: dict[str, Any],
        sentence: str,
    ) -> None:
        provider.document = {"scopes_supported": ["openid", "profile", "email"]}
        provider.document["acr_values_supported"] = ["1"]
        configure(monkeypatch, provider, **options)
        problem, *_ = provider_check.check(get_settings())
        assert problem.startswith("Identity provider single sign-on: ")
        assert sentence in problem

    @pytest.mark.parametrize(
        ("document", "sentence"),
        [
            ({"jwks_uri": None, "issuer": ""}, "names no issuer, jwks_uri"),
            ({"issuer": "https://idp/{tenantid}/v2.0"}, "stands for every tenant"),
            ({"id_token_signing_alg_values_supported": ["HS256"]}, "signs with HS256 only"),
        ],
    )
    def test_what_the_discovery_document_lacks_is_said(
        self, provider: Provider, document: dict[str, Any], sentence: str
    ) -> None:
        provider.document = document
        (problem,) = provider_check.check(get_settings())
        assert sentence in problem

    def test_a_provider_without_keys_is_said(self, provider: Provider) -> None:
        provider.keys = [{"kty": "nonsense"}]
        (problem,) = provider_check.check(get_settings())
        assert "is no OpenID Connect" in problem

    def test_an_address_that_is_not_the_portals_is_said(
        self, provider: Provider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PORTAL_PUBLIC_URL", "https://data.example.org")
        get_settings.cache_clear()
        (problem,) = provider_check.check(get_settings())
        assert "leads to https://portal.example.org, but the portal is at" in problem


PERSON = {"sub": "1", "preferred_username": "ann", "email": "ann@example.org"}


class TestToken:
    def test_says_which_claim_gave_which_role(self, provider: Provider) -> None:
        claims = PERSON | {"email_verified": True, "groups": ["/operators"]}
        report = provider_check.explain(provider.signed(claims))
        assert (report.role, report.name, report.signature) == ("operator", "ann", "holds")
        assert report.grants == [
            "operator: claim groups, entry group:Operators",
            "viewer: claim email, entry ann@example.org",
        ]

    def test_says_what_stands_there_when_no_claim_gives_one(self, provider: Provider) -> None:
        report = provider_check.explain(json.dumps(PERSON))
        assert report.role is None
        assert report.error == ("No claim gives a role. It holds: email, preferred_username, sub.")
        assert report.signature == "none: JSON was pasted"

    def test_a_token_of_somebody_else_and_one_that_is_over(self, provider: Provider) -> None:
        with Provider() as other:
            forged = other.signed(PERSON | {"iss": provider.url})
        report = provider_check.explain(forged)
        assert report.signature == "does not hold: no key of this provider made it"
        over = provider_check.explain(provider.signed(PERSON | {"exp": 1}))
        assert over.signature == "holds"

    def test_a_claim_of_a_wrong_type_is_its_sentence(self, provider: Provider) -> None:
        report = provider_check.explain(json.dumps(PERSON | {"groups": 5}))
        assert "groups is no list of names" in report.error

    def test_the_issuer_names_the_provider(
        self, provider: Provider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (one,) = providers.load().providers
        down = one.model_copy(update={"name": "down", "server_metadata_url": "http://127.0.0.1:9"})
        here = one.model_copy(update={"name": "here"})
        monkeypatch.setattr(providers, "load", lambda: providers.Configuration((down, here)))
        assert provider_check.explain(provider.signed(PERSON)).provider == "here"
        with pytest.raises(InvalidInput, match="No configured provider has this token's issuer"):
            provider_check.explain(json.dumps({"iss": "x"}))

    @pytest.mark.parametrize(
        "text",
        ["", "x", "a.b.c", "[1]", "{", NESTED, TOKEN],
        ids=["nothing", "a letter", "dots", "a list", "a brace", "nested", "nested in a token"],
    )
    def test_what_is_no_token_is_said(self, provider: Provider, text: str) -> None:
        with pytest.raises(InvalidInput, match="This is no token"):
            provider_check.explain(text)


class TestCommand:
    def test_reads_the_token_from_stdin_or_a_file(self, provider: Provider, tmp_path: Path) -> None:
        token = provider.signed(PERSON | {"groups": ["operators"]})
        file = tmp_path / "token"
        file.write_text(token + "\n")
        for args, given in (["-"], token), ([str(file)], None):
            done = CliRunner().invoke(app, ["doctor", "--token-file", *args, "--json"], input=given)
            assert done.exit_code == 0, done.output
            assert json.loads(done.stdout)["role"] == "operator"

    def test_fails_when_nobody_is_let_in(self, provider: Provider) -> None:
        done = CliRunner().invoke(
            app, ["doctor", "--token-file", "-"], input=provider.signed(PERSON)
        )
        assert done.exit_code != 0
        assert "No claim gives a role" in done.stdout
