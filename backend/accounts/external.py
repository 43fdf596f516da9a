"""Accounts of people whom an identity provider (OpenID Connect) vouches for."""

import hashlib
from dataclasses import dataclass

from sqlalchemy.exc import IntegrityError

from backend.accounts import repository, service
from backend.accounts.names import MAX_NAME, checked_name, name_key
from backend.accounts.sign_in import ACTION
from backend.core import audit, clock
from backend.core.access import SYSTEM, Actor, Role
from backend.core.database import WriteSession
from backend.core.errors import Conflict, NotPermitted
from backend.models.accounts import Account, AccountIdentity

_MOST_NAMESAKES = 1_000


@dataclass(frozen=True)
class Identity:
    """What the provider said. issuer and subject name the person; name is shown."""

    issuer: str
    subject: str
    name: str

    @property
    def key(self) -> str:
        return key_of(self.issuer, self.subject)


class IdentityTaken(Conflict):
    def __init__(self) -> None:
        super().__init__(
            "This person of the identity provider opens an account already. Merge the two accounts."
        )


def key_of(issuer: str, value: str) -> str:
    """The hash under which a person (subject) or a session (sid) of a provider is found."""
    told = f"{issuer}\0{value}".encode(errors="surrogatepass")  # a sid may be any text of JSON
    return hashlib.sha256(told).hexdigest()


def sign_in(
    session: WriteSession,
    *,
    identity: Identity,
    role: Role | None,
    address: str,
    keep_role: bool = False,
) -> Actor:
    """The actor of an identity, its account made at the first sign-in.

    Its role becomes `role` (keep_role: at the first sign-in only) and its name follows the
    provider; those of a local account that was linked stay as its admin set them.
    Raises NotPermitted when no role is mapped or the account is disabled.
    """
    if role is None:
        raise NotPermitted(
            f"{identity.name} has no role in this portal. Ask an admin to map your e-mail "
            "address or one of your groups to a role."
        )
    row = _account(session, identity, role)
    if row.disabled:
        raise NotPermitted(f"The account {row.name} is disabled. Ask an admin.")
    row.last_sign_in_at = clock.now()
    follow(session, row, role=None if keep_role else role, name=identity.name)
    actor = Actor(id=row.id, name=row.name, role=Role(row.role), kind="user")
    audit.done(
        session,
        actor,
        ACTION,
        f"account {row.name}",
        address=address,
        way="identity provider",
        role=row.role,
    )
    return actor


def follow(session: WriteSession, row: Account, *, role: Role | None, name: str) -> None:
    """Give a locked account the provider's role (None: leave it) and name, where they changed."""
    if row.password_hash is not None:
        return
    before = (row.role, row.name)
    if role is not None:
        row.role = role.value
    # as accounts are named: in another spelling it would be a new name each time
    if not row.name_pinned and not _is_namesake(row.name, checked_name(name)):
        row.name = _free_name(session, name)
        row.name_key = name_key(row.name)
    if before != (row.role, row.name):
        row.version += 1
        audit.done(
            session,
            SYSTEM,
            "accounts:account:follow_provider",
            f"account {row.name}",
            before={"role": before[0], "name": before[1]},
            after={"role": row.role, "name": row.name},
        )


def _is_namesake(mine: str, name: str) -> bool:
    """Whether `mine` is the name, or the name with the number that a clash gave it."""
    if mine == name:
        return True
    number = mine.removeprefix(f"{name} (")
    return number != mine and number.endswith(")") and number[:-1].isdigit()


def _free_name(session: WriteSession, name: str) -> str:
    """The name, or with a number where somebody else has it: a name never takes over an account."""
    name = checked_name(name)
    for number in range(1, _MOST_NAMESAKES):
        suffix = f" ({number})" if number > 1 else ""
        candidate = name[: MAX_NAME - len(suffix)] + suffix
        if repository.find_account(session, name_key(candidate)) is None:
            return candidate
    raise service.NameTaken(name)


def _account(session: WriteSession, identity: Identity, role: Role) -> Account:
    row = repository.find_identity(session, identity.key)
    if row is not None:
        row.issuer = identity.issuer[:500]
    account_id = row.account_id if row is not None else _add_account(session, identity, role)
    return repository.get_account_locked(session, account_id)


def _add_account(session: WriteSession, identity: Identity, role: Role) -> int:
    """A new account and its identity; the same person in another tab a moment earlier is found."""
    try:
        with session.begin_nested():
            name = _free_name(session, identity.name)
            view = service.add_account(session, SYSTEM, name=name, role=role, stored=None)
            attach(session, account_id=view.id, identity=identity)
            return view.id
    except (service.NameTaken, IdentityTaken):
        row = repository.find_identity(session, identity.key)
        if row is None:
            raise
        return row.account_id


def attach(session: WriteSession, *, account_id: int, identity: Identity) -> AccountIdentity:
    """Let the identity's sign-in open the account; raises IdentityTaken."""
    row = AccountIdentity(
        account_id=account_id,
        external_key=identity.key,
        issuer=identity.issuer[:500],
        created_at=clock.now(),
    )
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError as exc:
        raise IdentityTaken() from exc
    return row
