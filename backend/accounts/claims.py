"""What a provider's claims mean here: the name, the role, how the person proved who they are."""

import unicodedata
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

from backend.accounts.providers import Provider
from backend.core import clock
from backend.core.access import Role
from backend.core.errors import NotPermitted
from backend.integrations.oidc.client import LEEWAY_SECONDS

#: The first that fits.
ORDER = (Role.ADMIN, Role.OPERATOR, Role.STEWARD, Role.AUDITOR, Role.VIEWER)
GROUP = "group:"
Claims = Mapping[str, Any]


def name_of(provider: Provider, claims: Claims) -> str:
    """The first usable claim of name_claims, else the subject. Unverified addresses are none."""
    unverified = "" if _vouched(provider, claims) else _text(claims.get("email")).casefold()
    for claim in provider.name_claims:
        value = _text(_find(claims, claim))
        if value and value.isprintable() and value.casefold() != unverified:
            return value[:140]
    return _text(claims.get("sub"))[:140]


def role_of(provider: Provider, claims: Claims) -> Role | None:
    """The role that the provider's own mapping gives; None: nobody here.

    Raises NotPermitted for a claim of a wrong type, and for groups that the provider left out
    (Entra's overage) when nothing else gave a role.
    """
    groups, email = groups_of(provider, claims), _email(provider, claims)
    _check_allowed(provider, groups, email)
    found = set(_by_path(provider, claims))
    mine = {f"{GROUP}{group}" for group in groups} | ({email} if email else set())
    for role, entries in provider.roles.items():
        if mine & {_entry(entry) for entry in entries}:
            found.add(role)
    if not found and _left_out(provider, claims):
        raise NotPermitted(
            f"You are in more groups than the identity provider puts into its answer "
            f"({provider.groups_claim}). An admin limits the claim to the portal's groups."
        )
    return next((role for role in ORDER if role in found), None)


def groups_of(provider: Provider, claims: Claims) -> set[str]:
    """Groups as they are compared: NFC, folded, without a leading slash."""
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
    """Raise NotPermitted unless acr, amr and auth_time are what the configuration asks for."""
    if provider.acr_values and claims.get("acr") not in provider.acr_values:
        raise NotPermitted(
            f"The identity provider confirmed the level {_text(claims.get('acr')) or 'none'}; "
            f"this portal asks for {' or '.join(provider.acr_values)}."
        )
    used = claims.get("amr")
    missing = set(provider.required_amr) - set(used if isinstance(used, list) else [])
    if missing:
        raise NotPermitted(
            f"This portal asks for a sign-in with {', '.join(sorted(missing))}, which the "
            "identity provider did not confirm."
        )
    if provider.max_age is not None:
        at = claims.get("auth_time")
        age = clock.now().timestamp() - at if isinstance(at, int | float) else None
        if age is None or age > provider.max_age + LEEWAY_SECONDS:
            raise NotPermitted(
                "The sign-in at the identity provider is too long ago, or it does not say when "
                "it was. Sign in there again."
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
        if one is not None and not isinstance(one, str):
            raise NotPermitted("role_attribute_path gives no name of a role. An admin corrects it.")
        if one and one.strip().casefold() in set(Role):
            yield Role(one.strip().casefold())


def _check_allowed(provider: Provider, groups: set[str], email: str) -> None:
    domain = email.rpartition("@")[2]
    if provider.allowed_domains and domain not in map(_folded, provider.allowed_domains):
        raise NotPermitted("Your verified e-mail address is not of a domain that may sign in.")
    allowed = {_folded(group).lstrip("/") for group in provider.allowed_groups}
    if allowed and not allowed & groups:
        raise NotPermitted("You are in none of the groups that may sign in.")


def _left_out(provider: Provider, claims: Claims) -> bool:
    names = claims.get("_claim_names")
    return isinstance(names, Mapping) and provider.groups_claim in names


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
    return unicodedata.normalize("NFC", text).strip().casefold()


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""
