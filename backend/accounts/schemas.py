"""What the accounts package hands out: frozen views without hashes or secrets."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from pydantic import computed_field

from backend.accounts.audit_words import Difference, differences
from backend.core import clock
from backend.core.access import Actor, Role
from backend.core.views import View


@dataclass(frozen=True)
class SignedIn:
    """Who is behind a session cookie right now, with the role the database holds now.

    must_change_password: an admin knows the password, so nothing else opens before it is changed.
    has_first_password: the one that the first start printed; a reminder is enough.
    must_add_factor: the role asks for a second factor, and the account has none.
    """

    actor: Actor
    session_id: int
    must_change_password: bool
    external: bool = False
    has_first_password: bool = False
    must_add_factor: bool = False


class AccountView(View):
    """One account. version: hand it back with a change, so that two admins see one another."""

    id: int
    name: str
    role: Role
    disabled: bool
    external: bool
    must_change_password: bool
    created_at: datetime
    created_by: str
    last_sign_in_at: datetime | None
    live_sessions: int
    second_factor: bool
    version: int


class IdentityView(View):
    """A person at an identity provider whose sign-in opens an account.

    issuer: "" until who was there before the portal kept it signs in again.
    """

    id: int
    issuer: str
    created_at: datetime


class SecondFactorView(View):
    """One's own second factor. required: the role asks for one."""

    on: bool
    since: datetime | None
    recovery_codes_left: int
    required: bool


@dataclass(frozen=True)
class Enrolment:
    """A second factor that is being set up. Both hold the secret, and are shown only now."""

    secret: str = field(repr=False)
    uri: str = field(repr=False)


class AccountPage(View):
    """By name. next_cursor: hand it back for the names after these; None at the end."""

    items: list[AccountView]
    next_cursor: str | None


@dataclass(frozen=True)
class SessionView:
    """One live session."""

    id: int
    account_id: int
    account_name: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    address: str
    user_agent: str


class ApiTokenView(View):
    """One API token, without the token. actions, environments: its limits; empty: none.

    account_id: the account that made it, None for a login at the command line. maker_state: of that
    account, "" while it is enabled or there is none.
    """

    id: int
    name: str
    prefix: str
    role: Role
    created_at: datetime
    created_by: str
    account_id: int | None
    maker_state: Literal["", "disabled", "deleted"]
    expires_at: datetime | None
    last_used_at: datetime | None
    last_address: str
    actions: list[str]
    environments: list[str]
    ask_only: bool
    revoked_at: datetime | None
    revoked_by: str

    @property
    def made_by(self) -> str:
        """Who made it, and whether they are gone, for people."""
        return f"{self.created_by} ({self.maker_state})" if self.maker_state else self.created_by

    @computed_field  # type: ignore[prop-decorator]  # mypy knows no decorated property
    @property
    def state(self) -> Literal["valid", "ended", "revoked"]:
        """Whether it is accepted, and if not, why."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= clock.now():
            return "ended"
        return "valid"


class ApiTokenPage(View):
    """Newest first. next_cursor: hand it back for older ones; None at the end."""

    items: list[ApiTokenView]
    next_cursor: int | None


@dataclass(frozen=True)
class NewApiToken:
    """A token just made. raw: shown once and never again."""

    view: ApiTokenView
    raw: str


class AuditRow(View):
    """One event. sentence: in words for people. details: small JSON without secrets and personal
    values. hash: of its row."""

    number: int
    at: datetime
    actor_name: str
    actor_kind: str
    action: str
    subject: str
    phase: str
    outcome: str
    sentence: str
    details: dict[str, Any]
    hash: str

    @computed_field  # type: ignore[prop-decorator]  # mypy knows no decorated property
    @property
    def changes(self) -> list[Difference]:
        """Old and new values of what it changed; a list of events asks for none."""
        return differences(self.details)


class AuditPage(View):
    """Newest first. next_cursor: hand it back for older rows; None at the end."""

    items: list[AuditRow]
    next_cursor: int | None
