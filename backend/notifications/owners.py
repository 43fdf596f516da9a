"""Whose channels somebody means: the portal's, their own, or those of the account they name."""

from dataclasses import dataclass

from backend.accounts import identity
from backend.accounts.names import name_key
from backend.core import access
from backend.core.access import PERMISSIONS, Actor, Permission, Role
from backend.core.database import ReadSession
from backend.core.errors import InvalidInput, NotFound, NotPermitted
from backend.models.accounts import Account
from backend.notifications import repository


@dataclass(frozen=True)
class Owner:
    """id: the account's, 0 for the portal. permissions: what it may be told of, and reach."""

    id: int
    permissions: frozenset[Permission]

    @property
    def is_public(self) -> bool:
        """Whether its channels reach public addresses only."""
        return self.id != 0 and Permission.NOTIFICATIONS_WRITE not in self.permissions


def permissions_of(account: Account) -> frozenset[Permission]:
    """Of a person by the role they have now; none for a disabled one."""
    return frozenset() if account.disabled else PERMISSIONS[Role(account.role)]


def find(
    session: ReadSession, actor: Actor, *, personal: bool, account: str = "", write: bool = False
) -> Owner:
    """The portal's channels, or a person's: an account's own; of a token, those of the account that
    made it; at the command line those of `account`.

    Raises NotPermitted, NotFound, InvalidInput when no account is meant.
    """
    if not personal:
        access.require(
            actor, Permission.NOTIFICATIONS_WRITE if write else Permission.NOTIFICATIONS_READ
        )
        return Owner(0, PERMISSIONS[actor.role])
    access.require(actor, Permission.OWN_ACCOUNT if write else Permission.NOTIFICATIONS_READ)
    if actor.kind == "user":
        return Owner(actor.id, PERMISSIONS[actor.role])
    row = _behind(session, actor, account)
    owner = Owner(row.id, permissions_of(row))
    if write and actor.kind == "api_token" and not all(map(actor.may, owner.permissions)):
        # its address would be sent, in the person's name, what the token itself may not read
        raise NotPermitted(
            f"The API token {actor.name} may do less than {row.name}, whose channels are told of "
            "all that they may read. Use a token without limits that has the person's role."
        )
    return owner


def person(session: ReadSession, actor: Actor, *, account: str = "") -> int:
    """The number of the account that is meant, as `find` finds it; the caller asks what it may.

    Raises NotFound, NoPerson.
    """
    return actor.id if actor.kind == "user" else _behind(session, actor, account).id


class NoPerson(InvalidInput):
    """Nobody is behind who asks, and nobody was named."""


def _behind(session: ReadSession, actor: Actor, account: str) -> Account:
    return _maker(session, actor) if actor.kind == "api_token" else _named(session, account)


def _named(session: ReadSession, account: str) -> Account:
    if not account.strip():
        raise NoPerson("Name the account that this is about with --account.")
    row = repository.account_named(session, name_key(account))
    if row is None:
        raise NotFound(f"There is no account named {account.strip()[:150]}.")
    return row


def _maker(session: ReadSession, actor: Actor) -> Account:
    made_by = identity.of(session, kind=actor.kind, id=actor.id, name=actor.name).account_id
    if made_by is None:
        raise NoPerson(
            "This API token was made at the command line, so no person is behind it. Sign in on "
            "the page, or use a token that the person made."
        )
    return repository.account(session, made_by)
