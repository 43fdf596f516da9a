"""Accounts of people whom an identity provider (OpenID Connect) vouches for."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from backend.accounts import repository, service
from backend.accounts.names import checked_name
from backend.accounts.sign_in import ACTION
from backend.core import audit, clock
from backend.core.access import SYSTEM, Actor, Role
from backend.core.database import WriteSession
from backend.core.errors import NotAuthenticated, NotPermitted
from backend.models.accounts import Account

#: An identity token is taken this long after it was issued. Streamlit keeps it for 30 days, and
#: a session that an admin has ended must not come back by itself.
FRESH = timedelta(minutes=5)


@dataclass(frozen=True)
class Identity:
    """What the provider said. issuer and subject name the person; name is shown."""

    issuer: str
    subject: str
    name: str
    issued_at: int


def sign_in(session: WriteSession, *, identity: Identity, role: Role | None, address: str) -> Actor:
    """The actor of an identity, its account made at the first sign-in, its role set to `role`.

    Each identity token serves once. Raises NotAuthenticated when it is old or was used,
    NotPermitted when no role is mapped or the account is disabled.
    """
    issued = datetime.fromtimestamp(identity.issued_at, UTC)
    if clock.now() - issued > FRESH:
        raise NotAuthenticated("The identity provider's answer is too old. Sign in again.")
    if role is None:
        raise NotPermitted(
            f"{identity.name} has no role in this portal. Ask an admin to map your e-mail "
            "address or one of your groups to a role."
        )
    row = _account(session, identity, role)
    if row.disabled:
        raise NotPermitted(f"The account {row.name} is disabled. Ask an admin.")
    if row.external_issued_at is not None and identity.issued_at <= row.external_issued_at:
        raise NotAuthenticated("This answer of the identity provider was used. Sign in again.")
    row.external_issued_at, row.last_sign_in_at = identity.issued_at, clock.now()
    if row.role != role.value:
        row.role = role.value
        row.version += 1
    actor = Actor(id=row.id, name=row.name, role=role, kind="user")
    audit.record(
        session,
        actor,
        ACTION,
        subject=f"account {row.name}",
        outcome="succeeded",
        details={"address": address, "way": "identity provider", "role": role.value},
    )
    return actor


def _account(session: WriteSession, identity: Identity, role: Role) -> Account:
    key = hashlib.sha256(f"{identity.issuer}\0{identity.subject}".encode()).hexdigest()
    row = repository.find_account_by_external_key(session, key)
    account_id = row.id if row is not None else _add_account(session, identity, role, key)
    return repository.get_account_locked(session, account_id)


def _add_account(session: WriteSession, identity: Identity, role: Role, key: str) -> int:
    # A local account of the same name is another person until an admin says otherwise.
    name = checked_name(identity.name)
    try:
        return service.add_account(
            session, SYSTEM, name=name, role=role, stored=None, external_key=key
        ).id
    except service.NameTaken:
        # The same person in another tab, a moment earlier? Anybody else keeps the refusal.
        row = repository.find_account_by_external_key(session, key)
        if row is None:
            raise
        return row.id
