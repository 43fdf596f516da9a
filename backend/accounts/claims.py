"""What a provider's claims mean here: the name, the role, how the person proved who they are."""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

from backend.accounts.names import mixes_alphabets
from backend.accounts.providers import Provider
from backend.core import clock
from backend.core.access import Role
from backend.core.errors import NotPermitted
from backend.integrations.oidc import overage
from backend.integrations.oidc.client import LEEWAY_SECONDS

#: The first that fits.
ORDER = (Role.ADMIN, Role.OPERATOR, Role.STEWARD, Role.AUDITOR, Role.VIEWER)
GROUP = "group:"
Claims = Mapping[str, Any]


def name_of(provider: Provider, claims: Claims) -> str:
    """The first usable claim of name_claims, else the subject. Unverified addresses are none, nor
    are names that look like somebody else's."""
    unverified = "" if _vouched(provider, claims) else _text(claims.get("email")).casefold()
    for claim in provider.name_claims:
        value = _text(_find(claims, claim))
        alike = mixes_alphabets(unicodedata.normalize("NFKC", value))
        if value and value.isprintable() and not alike and value.casefold() != unverified:
            return value[:140]
    return _text(claims.get("sub"))[:140]


def role_of(provider: Provider, claims: Claims) -> Role | None:
    """The role that the provider's own mapping gives; None: nobody here.

    Raises NotPermitted for a claim of a wrong type, and for groups that the provider left out
    (Entra's overage) when nothing else gave a role.
    """
    found = grants(provider, claims)
    if not found and _left_out(provider, claims):
        raise NotPermitted(
            f"You are in more groups than the identity provider puts into its answer "
            f"({provider.groups_claim}), and it does not tell the portal which. An admin adds "
            "User.Read to scope, or limits the claim to the portal's groups."
        )
    return found[0].role if found else None


@dataclass(frozen=True)
class Grant:
    """A role, and what gave it in words."""

    role: Role
    why: str


def grants(provider: Provider, claims: Claims) -> list[Grant]:
    """Every role that the mapping gives, the one that counts first; raises as `role_of` does."""
    groups, email = groups_of(provider, claims), _email(provider, claims)
    _check_allowed(provider, groups, email)
    found = [Grant(role, "role_attribute_path") for role in _by_path(provider, claims)]
    mine = {f"{GROUP}{group}": f"claim {provider.groups_claim}" for group in groups}
    mine |= {email: "claim email"} if email else {}
    for role, entries in provider.roles.items():
        found += [
            Grant(role, f"{mine[_entry(entry)]}, entry {entry}")
            for entry in entries
            if _entry(entry) in mine
        ]
    return sorted(found, key=lambda grant: ORDER.index(grant.role))


def groups_of(provider: Provider, claims: Claims) -> set[str]:
    """Groups as they are compared: NFC, lower case, without a leading slash."""
    value = _find(claims, provider.groups_claim)
    if value is None:
        return set()
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
        raise NotPermitted(
            f"The identity provider's claim {provider.groups_claim} is no list of names. "
            "An admin corrects groups_claim or the provider's mapper."
        )
    return {_folded(one).lstrip("/") for one in values} - {""}


def check_context(provider: Provider, claims: Claims) -> None:
    """Raise NotPermitted unless acr, amr and auth_time are what a sign-in asks for."""
    _check_level(provider.acr_values, provider.required_amr, claims)
    if provider.max_age is not None:
        oldest = clock.now() - timedelta(seconds=provider.max_age)
        _check_age(claims, oldest, "Sign in there again.")


def check_step_up(provider: Provider, claims: Claims, *, since: datetime) -> None:
    """Raise NotPermitted unless the person signed in at the provider after `since`, and so well."""
    levels = provider.step_up_acr_values or provider.acr_values
    _check_level(levels, provider.step_up_required_amr or provider.required_amr, claims)
    if provider.auth_time_required or "auth_time" in claims:
        _check_age(claims, since, "It did not ask you again; tell an admin.")


def _check_level(acr: tuple[str, ...], amr: tuple[str, ...], claims: Claims) -> None:
    if acr and claims.get("acr") not in acr:
        raise NotPermitted(
            f"The identity provider confirmed the level {_text(claims.get('acr')) or 'none'}; "
            f"this portal asks for {' or '.join(acr)}."
        )
    used = claims.get("amr")
    # of the provider's list no more is asked than whether it holds these: anything may stand in it
    missing = [each for each in amr if not isinstance(used, list) or each not in used]
    if missing:
        raise NotPermitted(
            f"This portal asks for a sign-in with {', '.join(sorted(missing))}, which the "
            "identity provider did not confirm."
        )


def _check_age(claims: Claims, oldest: datetime, what_to_do: str) -> None:
    at = proven_at(claims)
    if at is None or at < oldest - timedelta(seconds=LEEWAY_SECONDS):
        raise NotPermitted(
            "The sign-in at the identity provider is too long ago, or it does not say when it "
            f"was. {what_to_do}"
        )


def proven_at(claims: Claims) -> datetime | None:
    """When the person last signed in at the provider; None when it does not say."""
    at = claims.get("auth_time")
    if isinstance(at, bool) or not isinstance(at, int | float) or not 0 < at < 2**33:
        return None
    return datetime.fromtimestamp(at, UTC)


def _by_path(provider: Provider, claims: Claims) -> Iterable[Role]:
    if not provider.role_attribute_path:
        return
    try:
        value = jmespath.search(provider.role_attribute_path, claims)
    except JMESPathError as exc:
        raise NotPermitted(
            f"role_attribute_path does not fit the identity provider's claims: {exc}. "
            "An admin corrects it."
        ) from exc
    for one in value if isinstance(value, list) else [value]:
        # "contains(…) && 'admin'" is false where it gives nothing.
        if one is not None and one is not False and not isinstance(one, str):
            raise NotPermitted("role_attribute_path gives no name of a role. An admin corrects it.")
        if one and one.strip().casefold() in set(Role):
            yield Role(one.strip().casefold())


def _check_allowed(provider: Provider, groups: set[str], email: str) -> None:
    _, at, domain = email.rpartition("@")
    domains = {_folded(one).removeprefix("@") for one in provider.allowed_domains}
    if domains and not (at and domain in domains):
        raise NotPermitted("Your verified e-mail address is not of a domain that may sign in.")
    allowed = {_folded(group).lstrip("/") for group in provider.allowed_groups}
    if allowed and not allowed & groups:
        raise NotPermitted("You are in none of the groups that may sign in.")


def _left_out(provider: Provider, claims: Claims) -> bool:
    return provider.groups_claim == overage.CLAIM and overage.left_out(claims)


def _entry(entry: str) -> str:
    entry = _folded(entry)
    if not entry.startswith(GROUP):
        return entry
    return GROUP + entry.removeprefix(GROUP).strip().lstrip("/")


def _email(provider: Provider, claims: Claims) -> str:
    email = _folded(_text(claims.get("email")))
    return email if _vouched(provider, claims) and not email.startswith(GROUP) else ""


def _vouched(provider: Provider, claims: Claims) -> bool:
    return claims.get("email_verified") is True or provider.trust_email


def _find(claims: Claims, path: str) -> object:
    """A claim by its very name (Auth0's are addresses), else by JMESPath (realm_access.roles)."""
    if path in claims:
        return claims[path]
    try:
        return jmespath.search(path, claims)
    except JMESPathError:
        return None


def _folded(text: str) -> str:
    """In lower case. `casefold` makes ſ an s and ß ss: a group or an address that somebody chose so
    would be another one's."""
    return unicodedata.normalize("NFC", text).strip().lower()


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""
