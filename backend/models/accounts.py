"""Accounts, their server-side sessions, sign-in tickets, API tokens and the back-off counters."""

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.crypto import SEALED
from backend.core.database import MYSQL_TABLE, Base, BigId, UtcDateTime


class Account(Base):
    """A person who may sign in. A deleted one keeps its row: its number names nobody else."""

    __tablename__ = "accounts"
    __table_args__ = (MYSQL_TABLE,)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(150))
    #: The name as it is compared: NFKC, case-folded, trimmed.
    name_key: Mapped[str] = mapped_column(String(150), unique=True)
    role: Mapped[str] = mapped_column(String(20))
    #: The name that an admin gave it stays; otherwise the identity provider's is followed.
    name_pinned: Mapped[bool] = mapped_column(Boolean)
    #: None for people who sign in with OpenID Connect only.
    password_hash: Mapped[str | None] = mapped_column(String(200))
    password_changed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    must_change_password: Mapped[bool] = mapped_column(Boolean)
    disabled: Mapped[bool] = mapped_column(Boolean)
    #: Until when its password counts although local passwords are off.
    break_glass_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: The account that goes on for this one, which was merged into it.
    merged_into_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[str] = mapped_column(String(255))
    last_sign_in_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    version: Mapped[int] = mapped_column(Integer)


class AccountIdentity(Base):
    """A person at an identity provider whose sign-in opens the account."""

    __tablename__ = "account_identities"
    __table_args__ = (Index("ix_account_identities_account", "account_id"), MYSQL_TABLE)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    #: SHA-256 of the identity provider's issuer and subject.
    external_key: Mapped[str] = mapped_column(String(64), unique=True)
    #: "" for those of an older portal, until they sign in again.
    issuer: Mapped[str] = mapped_column(String(500))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class AccountSession(Base):
    """One browser that is signed in; only the hash of its cookie's token is stored."""

    __tablename__ = "account_sessions"
    __table_args__ = (Index("ix_account_sessions_account", "account_id", "id"), MYSQL_TABLE)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: When the person last proved who they are: the sign-in, or a step-up after it.
    proven_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    address: Mapped[str] = mapped_column(String(64))
    user_agent: Mapped[str] = mapped_column(String(300))
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_reason: Mapped[str] = mapped_column(String(40))


class SecondFactor(Base):
    """A TOTP generator (RFC 6238) of an account; counts from the first right code on."""

    __tablename__ = "second_factors"
    __table_args__ = (Index("ix_second_factors_account", "account_id"), MYSQL_TABLE)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    #: The shared secret in base32.
    ciphertext: Mapped[str] = mapped_column(Text, info=SEALED)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: None while nobody has typed a right code yet.
    confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: Time step of the newest code that was accepted: it and older ones are refused.
    last_step: Mapped[int] = mapped_column(BigInteger)
    #: JSON list of the keyed hashes of the recovery codes that are left.
    recovery_hashes: Mapped[str] = mapped_column(Text)


class SignInTicket(Base):
    """Carries a passed sign-in from the page to the route that sets the cookie; serves once."""

    __tablename__ = "sign_in_tickets"
    __table_args__ = (Index("ix_sign_in_tickets_expires", "expires_at"), MYSQL_TABLE)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    ticket_hash: Mapped[str] = mapped_column(String(64), unique=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    #: SHA-256 of the nonce cookie of the browser that typed the password.
    browser_hash: Mapped[str] = mapped_column(String(64))
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ProviderFlow(Base):
    """A trip to an identity provider that has not come back, or what it came back with."""

    __tablename__ = "provider_flows"
    __table_args__ = (
        Index("ix_provider_flows_browser", "browser_hash"),
        Index("ix_provider_flows_expires", "expires_at"),
        MYSQL_TABLE,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    state_hash: Mapped[str] = mapped_column(String(64), unique=True)
    #: SHA-256 of the nonce cookie of the browser that started.
    browser_hash: Mapped[str] = mapped_column(String(64))
    provider: Mapped[str] = mapped_column(String(150))
    nonce: Mapped[str] = mapped_column(String(100))
    code_verifier: Mapped[str] = mapped_column(String(128))
    next_path: Mapped[str] = mapped_column(String(2000))
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    #: The session that is to be proven anew (step-up); None: somebody signs in.
    session_id: Mapped[int | None] = mapped_column(BigId)
    #: Why nobody was signed in; "" while the trip lasts.
    error: Mapped[str] = mapped_column(Text)


class ProviderSession(Base):
    """What an identity provider said about a session, so that it can be asked again."""

    __tablename__ = "provider_sessions"
    __table_args__ = (
        Index("ix_provider_sessions_check", "check_at"),
        Index("ix_provider_sessions_subject", "subject_hash"),
        MYSQL_TABLE,
    )

    session_id: Mapped[int] = mapped_column(
        ForeignKey("account_sessions.id", ondelete="CASCADE"), primary_key=True
    )
    provider: Mapped[str] = mapped_column(String(150))
    #: SHA-256 of issuer and subject, as account_identities.external_key; of issuer and sid, or "".
    subject_hash: Mapped[str] = mapped_column(String(64))
    sid_hash: Mapped[str] = mapped_column(String(64))
    #: JSON of the id token and of what the provider is asked again with; for no page.
    ciphertext: Mapped[str] = mapped_column(Text, info=SEALED)
    check_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ProviderLogout(Base):
    """A logout token of an identity provider that was obeyed; it serves once."""

    __tablename__ = "provider_logouts"
    __table_args__ = (Index("ix_provider_logouts_expires", "expires_at"), MYSQL_TABLE)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    #: SHA-256 of issuer and jti.
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    #: From then on the token is too old to be obeyed.
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ApiToken(Base):
    """A role-bound token for the REST face; shown once, stored hashed."""

    __tablename__ = "api_tokens"
    __table_args__ = (MYSQL_TABLE,)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(150))
    prefix: Mapped[str] = mapped_column(String(16), unique=True)
    token_hash: Mapped[str] = mapped_column(String(64))
    role: Mapped[str] = mapped_column(String(20))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[str] = mapped_column(String(255))
    #: The account that made it, itself or by a token of its own; None: a login at the command line.
    account_id: Mapped[int | None] = mapped_column(BigId)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_address: Mapped[str] = mapped_column(String(64))
    #: JSON lists of permissions and of environments' numbers that it is limited to; "": all.
    actions: Mapped[str] = mapped_column(Text)
    environments: Mapped[str] = mapped_column(Text)
    ask_only: Mapped[bool] = mapped_column(Boolean)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_by: Mapped[str] = mapped_column(String(255))


class SignInBackoff(Base):
    """Failed tries for one key (account name, address, or both), stored hashed."""

    __tablename__ = "sign_in_backoff"
    __table_args__ = (Index("ix_sign_in_backoff_last", "last_failure_at"), MYSQL_TABLE)

    key: Mapped[str] = mapped_column(String(80), primary_key=True)
    failures: Mapped[int] = mapped_column(Integer)
    last_failure_at: Mapped[datetime] = mapped_column(UtcDateTime)
    blocked_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
