"""Sign-in with an identity provider: Streamlit's own `st.login`, then the portal's own session.

Configured in Streamlit's secrets file: `[auth]` as Streamlit documents it, and who gets which
role (the first that fits, in the order admin, operator, steward, viewer):

    [portal.roles]
    admin = ["ann@example.com", "group:platform-admins"]
    viewer = ["group:everyone"]

    [portal]
    groups_claim = "groups"      # the claim that lists a person's groups
    trust_email = false          # true: take e-mail addresses the provider has not verified
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import streamlit as st

from auth import cookies, current, handover
from backend.accounts import external
from backend.accounts.external import Identity
from backend.core.access import Actor, Role
from backend.core.database import get_database
from backend.core.errors import NotAuthenticated, PortalError

ORDER = (Role.ADMIN, Role.OPERATOR, Role.STEWARD, Role.VIEWER)
GROUP = "group:"


def providers() -> list[str]:
    """Names of the configured providers; "" is the one without a name. Empty: not configured."""
    auth = _section("auth")
    if not auth:
        return []
    named = [name for name, value in auth.items() if isinstance(value, Mapping) and _is_one(value)]
    return ([""] if _is_one(auth) else []) + named


def page() -> bool:
    """Draw the provider's part of the sign-in page; True when the browser is being signed in."""
    if st.user.get("is_logged_in"):
        try:
            handover.sign_in(_finish(st.user.to_dict()), next_path=_remembered())
        except NotAuthenticated:
            # An old or used answer of the provider: ask again, without a word of alarm.
            pass
        except PortalError as exc:
            st.error(exc.message, icon=":material/error:")
        else:
            return True
    handover.remember_address()
    for name in providers():
        label = f"Sign in with {name}" if name else "Sign in with single sign-on"
        if st.button(label, key=f"auth.oidc.{name}", icon=":material/login:", width="stretch"):
            st.login(name or None)
    st.divider()
    return False


def role_for(claims: Mapping[str, Any], portal: Mapping[str, Any]) -> Role | None:
    """The role that a person's verified e-mail address or groups are mapped to, or None."""
    mapping = portal.get("roles", {})
    mine: set[str] = set()
    email = str(claims.get("email") or "").strip().casefold()
    vouched = claims.get("email_verified") is True or portal.get("trust_email") is True
    if email and vouched and not email.startswith(GROUP):
        mine.add(email)
    groups = claims.get(str(portal.get("groups_claim", "groups")))
    if isinstance(groups, str):
        groups = [groups]
    mine.update(f"{GROUP}{group}".casefold() for group in groups or [])
    for role in ORDER:
        if mine & {str(entry).strip().casefold() for entry in mapping.get(role.value, [])}:
            return role
    return None


def identity_of(claims: Mapping[str, Any]) -> Identity:
    """Who the provider says this is; raises NotAuthenticated when a needed claim is missing."""
    issuer, subject = claims.get("iss"), claims.get("sub")
    issued_at = claims.get("iat")
    if not issuer or not subject or not isinstance(issued_at, int | float):
        raise NotAuthenticated("The identity provider's answer names nobody.")
    name = str(claims.get("email") or claims.get("name") or subject)
    return Identity(str(issuer), str(subject), name[:150], int(issued_at))


def _finish(claims: Mapping[str, Any]) -> Actor:
    identity = identity_of(claims)
    with get_database().write() as session:
        return external.sign_in(
            session,
            identity=identity,
            role=role_for(claims, _section("portal")),
            address=current.address(),
        )


def _remembered() -> str:
    return unquote(st.context.cookies.get(cookies.NEXT, "")) or "/"


def _section(name: str) -> Mapping[str, Any]:
    if not st.secrets.load_if_toml_exists():
        return {}
    section = st.secrets.get(name, {})
    return section if isinstance(section, Mapping) else {}


def _is_one(section: Mapping[str, Any]) -> bool:
    return "client_id" in section
