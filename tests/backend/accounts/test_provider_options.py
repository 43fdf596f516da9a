"""Every option of a provider: what comes out of claims, and what a broken file is told."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backend.accounts import claims as meaning
from backend.accounts import providers
from backend.accounts.providers import Provider
from backend.core.access import Role
from backend.core.errors import NotPermitted

SECTION: dict[str, Any] = {
    "client_id": "portal",
    "client_secret": "s",
    "redirect_uri": "https://portal.example.org/oauth2callback",
    "server_metadata_url": "https://idp.example.org/.well-known/openid-configuration",
    "roles": {"operator": ["group:operators"]},
}
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def provider(**options: Any) -> Provider:
    found = providers.parse({"auth": SECTION | options})
    assert not found.problems
    return found.providers[0]


def role(claims: dict[str, Any], **options: Any) -> Role | None:
    return meaning.role_of(provider(**options), claims)


class TestRoles:
    @pytest.mark.parametrize(
        ("path", "claims", "expected"),
        [
            ("contains(roles, 'boss') && 'admin'", {"roles": ["boss"]}, Role.ADMIN),
            ("contains(roles, 'boss') && 'admin'", {"roles": ["x"]}, None),
            (
                "realm_access.roles",
                {"realm_access": {"roles": ["viewer", "steward"]}},
                Role.STEWARD,
            ),
            ("role", {"role": " Auditor "}, Role.AUDITOR),
            ("role", {"role": "GrafanaAdmin"}, None),
            ("role", {}, None),
        ],
    )
    def test_role_attribute_path(
        self, path: str, claims: dict[str, Any], expected: Role | None
    ) -> None:
        assert role(claims, role_attribute_path=path, roles={}) is expected

    @pytest.mark.parametrize(
        ("path", "claims", "sentence"),
        [
            ("role", {"role": 7}, "gives no name of a role"),
            ("role", {"role": [["admin"]]}, "gives no name of a role"),
            ("contains(roles, 'boss')", {"roles": 7}, "does not fit"),
        ],
    )
    def test_a_path_on_a_wrong_type_is_a_sentence(
        self, path: str, claims: dict[str, Any], sentence: str
    ) -> None:
        with pytest.raises(NotPermitted, match=sentence):
            role(claims, role_attribute_path=path, roles={})

    @pytest.mark.parametrize(
        ("claim", "entry"),
        [
            (["/operators"], "group:operators"),
            (["operators"], "group:/operators"),
            (["/it/data/operators"], "group:it/data/operators"),
            (["it/data/operators"], "group:/it/data/operators"),
            ("operators", "group:operators"),
            (["Ope\u0301rateurs"], "group:op\u00e9rateurs"),
            (["OPERATORS"], "group: operators"),
        ],
    )
    def test_groups_fit_with_or_without_slash_in_nfc_as_list_or_string(
        self, claim: object, entry: str
    ) -> None:
        assert role({"groups": claim}, roles={"operator": [entry]}) is Role.OPERATOR

    def test_a_sub_group_is_not_its_parent_nor_one_of_the_same_name(self) -> None:
        assert role({"groups": ["/operators/juniors"]}) is None
        assert role({"groups": ["/visitors/operators"]}) is None

    @pytest.mark.parametrize("claim", ["realm_access.roles", "https://example.org/roles"])
    def test_groups_claim_is_a_name_or_a_path(self, claim: str) -> None:
        claims = {
            "realm_access": {"roles": ["operators"]},
            "https://example.org/roles": "operators",
        }
        assert role(claims, groups_claim=claim) is Role.OPERATOR

    @pytest.mark.parametrize("claim", [5, {"operators": True}, ["operators", 5]])
    def test_groups_of_a_wrong_type_are_a_sentence(self, claim: object) -> None:
        with pytest.raises(NotPermitted, match="claim groups is no list of names"):
            role({"groups": claim})

    def test_entras_overage_is_said_unless_something_else_gives_a_role(self) -> None:
        left_out = {"_claim_names": {"groups": "src1"}, "roles": ["operator"]}
        with pytest.raises(NotPermitted, match="more groups than"):
            role(left_out)
        assert role(left_out, role_attribute_path="roles") is Role.OPERATOR

    def test_two_providers_have_their_own_tables(self) -> None:
        other = SECTION | {"roles": {"viewer": ["group:operators"]}}
        found = providers.parse({"auth": {"one": SECTION, "two": other}})
        given = {p.name: meaning.role_of(p, {"groups": ["operators"]}) for p in found.providers}
        assert given == {"one": Role.OPERATOR, "two": Role.VIEWER}
        assert not found.problems


def test_a_name_that_looks_like_another_ones_is_not_the_accounts() -> None:
    (found,) = providers.parse({"auth": SECTION}).providers
    claims = {"sub": "s-1", "preferred_username": "\u0430dmin", "name": "Ann"}
    assert meaning.name_of(found, claims) == "Ann"


class TestAllowed:
    @pytest.mark.parametrize(
        ("email", "verified", "let_in"),
        [
            ("ann@Example.ORG", True, True),
            ("ann@example.org", False, False),
            ("ann@sub.example.org", True, False),
            ("ann@evil-example.org", True, False),
            ("example.org", True, False),
        ],
    )
    def test_domains(self, email: str, verified: bool, let_in: bool) -> None:
        claims = {"groups": ["operators"], "email": email, "email_verified": verified}
        options = {"allowed_domains": ["@example.org"]}
        if let_in:
            assert role(claims, **options) is Role.OPERATOR
            return
        with pytest.raises(NotPermitted, match="not of a domain that may sign in"):
            role(claims, **options)

    def test_groups(self) -> None:
        options = {"allowed_groups": ["/staff"]}
        assert role({"groups": ["operators", "Staff"]}, **options) is Role.OPERATOR
        with pytest.raises(NotPermitted, match="none of the groups that may sign in"):
            role({"groups": ["operators"]}, **options)


class TestName:
    @pytest.mark.parametrize(
        ("options", "claims", "name"),
        [
            ({}, {"preferred_username": "ann", "name": "Ann A"}, "ann"),
            ({"name_claims": ["name"]}, {"preferred_username": "ann", "name": "Ann A"}, "Ann A"),
            ({"name_claims": ["ext.login"]}, {"ext": {"login": "aa"}}, "aa"),
            ({}, {"preferred_username": "boss@x.org", "email": "Boss@x.org"}, "1"),
            ({"trust_email": True}, {"email": "boss@x.org"}, "boss@x.org"),
            ({}, {"email": "boss@x.org", "email_verified": True}, "boss@x.org"),
            ({}, {"preferred_username": 5, "name": ["x"]}, "1"),
            ({}, {"preferred_username": "a\u202eb"}, "1"),
        ],
    )
    def test_is_the_first_usable_claim(
        self, options: dict[str, Any], claims: dict[str, Any], name: str
    ) -> None:
        assert meaning.name_of(provider(**options), {"sub": "1", **claims}) == name


@pytest.fixture
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meaning.clock, "now", lambda: NOW)


def ago(seconds: int) -> int:
    return int((NOW - timedelta(seconds=seconds)).timestamp())


@pytest.mark.usefixtures("noon")
class TestContext:
    @pytest.mark.parametrize(
        ("options", "good", "bad", "sentence"),
        [
            ({"acr_values": ["gold"]}, {"acr": "gold"}, {"acr": "1"}, "the level 1; .* gold"),
            ({"acr_values": ["gold"]}, {"acr": "gold"}, {}, "the level none"),
            ({"required_amr": ["mfa"]}, {"amr": ["pwd", "mfa"]}, {"amr": ["pwd"]}, "with mfa"),
            ({"required_amr": ["mfa"]}, {"amr": ["mfa"]}, {"amr": "mfa"}, "with mfa"),
            ({"required_amr": ["mfa"]}, {"amr": [{}, "mfa"]}, {"amr": [["mfa"]]}, "with mfa"),
            ({"acr_values": ["gold"]}, {"acr": "gold", "amr": [{}]}, {"acr": {}}, "level none"),
            ({"max_age": 60}, {"auth_time": ago(170)}, {"auth_time": ago(190)}, "too long ago"),
            ({"max_age": 60}, {"auth_time": ago(0)}, {}, "does not say when"),
            ({"max_age": 60}, {"auth_time": ago(0)}, {"auth_time": True}, "does not say when"),
        ],
    )
    def test_of_a_sign_in_is_checked_in_the_answer(
        self, options: dict[str, Any], good: dict[str, Any], bad: dict[str, Any], sentence: str
    ) -> None:
        asking = provider(**options)
        meaning.check_context(asking, good)
        with pytest.raises(NotPermitted, match=sentence):
            meaning.check_context(asking, bad)

    @pytest.mark.parametrize(
        ("options", "good", "bad", "sentence"),
        [
            ({}, {"auth_time": ago(130)}, {"auth_time": ago(150)}, "too long ago"),
            ({}, {"auth_time": ago(0)}, {}, "does not say when"),
            ({"auth_time_required": False}, {}, {"auth_time": ago(150)}, "too long ago"),
            ({"step_up_acr_values": ["gold"]}, {"acr": "gold"}, {"acr": "1"}, "the level 1"),
            ({"acr_values": ["gold"]}, {"acr": "gold"}, {"acr": "1"}, "the level 1"),
            ({"step_up_required_amr": ["hwk"]}, {"amr": ["hwk"]}, {"amr": ["pwd"]}, "with hwk"),
        ],
    )
    def test_of_a_step_up_is_checked_in_the_answer(
        self, options: dict[str, Any], good: dict[str, Any], bad: dict[str, Any], sentence: str
    ) -> None:
        asking, since = provider(**options), NOW - timedelta(seconds=20)
        usual = {} if "auth_time" in sentence + str(options) + str(good) else {"auth_time": ago(0)}
        meaning.check_step_up(asking, usual | good, since=since)
        with pytest.raises(NotPermitted, match=sentence):
            meaning.check_step_up(asking, usual | bad, since=since)


class TestBrokenFile:
    @pytest.mark.parametrize(
        ("document", "sentence"),
        [
            ({"auth": "x"}, "[auth] and [portal] are tables"),
            ({"auth": {"redirect_uri": "https://p/oauth2callback"}}, "names no client_id"),
            ({"auth": SECTION | {"client_id": ""}}, "client_id: it is empty."),
            (
                {"auth": {k: v for k, v in SECTION.items() if k != "client_id"}},
                "client_id: it is m",
            ),
            ({"auth": {"two": {"label": "x"}, "one": SECTION}}, "[auth.two] client_id: it is miss"),
            ({"auth": SECTION | {"redirect_uri": "https://p/callback"}}, "end in /oauth2callback"),
            ({"auth": SECTION | {"server_metadata_url": "idp"}}, "the provider's discovery docum"),
            ({"auth": SECTION | {"roles": {"boss": ["group:x"]}}}, "roles.boss: there is no such"),
            ({"auth": SECTION | {"roles": {"admin": "group:x"}}}, "roles.admin: it must be a list"),
            ({"auth": SECTION | {"roles": ["admin"]}}, "roles: it must be a table of roles"),
            ({"auth": SECTION | {"roles": {}}}, "maps nobody to a role"),
            ({"auth": SECTION | {"role_attribute_path": "contains("}}, "is no JMESPath"),
            ({"auth": SECTION | {"alowed_domains": ["x"]}}, "no setting; allowed_domains is."),
            ({"auth": SECTION | {"allowed_domains": "x"}}, "allowed_domains: it must be a list"),
            ({"auth": SECTION | {"max_age": -1}}, "max_age"),
            ({"auth": SECTION | {"scope": "email"}}, "openid is missing"),
            ({"auth": SECTION | {"client_kwargs": {"timeout": 5}}}, "client_kwargs.timeout is not"),
            ({"auth": SECTION, "portal": {"role": {}}}, "[portal] role: is no setting; roles is."),
            (
                {"auth": {"one": SECTION, "two": SECTION}, "portal": {"roles": {}}},
                "[portal] serves one provider only",
            ),
        ],
    )
    def test_has_its_sentence(self, document: dict[str, Any], sentence: str) -> None:
        problems = providers.parse(document).problems
        assert any(sentence in problem for problem in problems), problems
        assert not any("pydantic" in problem or "Input should" in problem for problem in problems)

    def test_a_misspelt_rule_lets_nobody_in(self) -> None:
        assert not providers.parse({"auth": SECTION | {"alowed_domains": ["x"]}}).providers

    def test_what_st_login_reads_may_stay(self) -> None:
        section = SECTION | {
            "cookie_secret": "x",
            "expose_tokens": "id",
            "client_kwargs": {"scope": "openid email", "prompt": "select_account"},
        }
        found = providers.parse({"auth": section})
        assert not found.problems
        assert (found.providers[0].scope, found.providers[0].prompt) == (
            "openid email",
            "select_account",
        )
