"""What admins do with a whole account: rename, link to an identity provider, merge, delete."""

from typing import Any
from urllib.parse import urlsplit

from backend.accounts import external, identity, repository, service, sessions, step_up
from backend.accounts.external import Identity
from backend.accounts.names import checked_name, name_key
from backend.accounts.schemas import AccountView, IdentityView
from backend.core import access, clock
from backend.core.access import Actor, Permission
from backend.core.database import ReadSession, WriteSession
from backend.core.errors import Conflict, InvalidInput, NotFound
from backend.models.accounts import Account

MAX_SUBJECT = 255


def rename(
    session: WriteSession, actor: Actor, *, account_id: int, name: str, version: int
) -> AccountView:
    """Give an account another name, which then no longer follows the identity provider.

    Raises ChangedMeanwhile, InvalidInput, NameTaken, NotFound, NotFresh.
    """
    row = _locked(session, actor, account_id, version)
    before, row.name = row.name, checked_name(name)
    other = repository.find_account(session, name_key(row.name))
    if other is not None and other.id != row.id:
        raise service.NameTaken(row.name)
    row.name_key, row.name_pinned = name_key(row.name), True
    repository.rename_token_maker(session, account_id=row.id, name=row.name)
    service.changed(session, actor, "rename", row, {"before": before, "after": row.name})
    return service.view_of(row, 0)


def list_identities(session: ReadSession, actor: Actor, *, account_id: int) -> list[IdentityView]:
    """The people at identity providers whose sign-in opens the account."""
    access.require(actor, Permission.ACCOUNTS_READ)
    rows = repository.list_identities(session, account_id)
    return [IdentityView(id=row.id, issuer=row.issuer, created_at=row.created_at) for row in rows]


def link(
    session: WriteSession, actor: Actor, *, account_id: int, issuer: str, subject: str, version: int
) -> AccountView:
    """Let a person of an identity provider open the account, before they ever signed in.

    issuer: as the provider's discovery document writes it; subject: the claim `sub`. A local
    account keeps its password, name and role. Raises IdentityTaken for one that opens an account
    already (`merge` is for that), ChangedMeanwhile, InvalidInput, NotFound, NotFresh.
    """
    row = _locked(session, actor, account_id, version)
    issuer, subject = issuer.strip(), subject.strip()
    if urlsplit(issuer).scheme not in ("http", "https") or not urlsplit(issuer).netloc:
        raise InvalidInput("The issuer is the https:// address that the provider names itself by.")
    if not subject or len(subject) > MAX_SUBJECT or not subject.isprintable():
        raise InvalidInput(f"The subject is the claim sub: 1 to {MAX_SUBJECT} characters.")
    said = {"issuer": issuer}
    service.ask_approval(session, actor, row, "link", said, said, {"subject": subject})
    person = Identity(issuer, subject, row.name)
    external.attach(session, account_id=row.id, identity=person)
    service.changed(session, actor, "link", row, {"issuer": issuer})
    return service.view_of(row, 0)


def unlink(
    session: WriteSession, actor: Actor, *, account_id: int, identity_id: int, version: int
) -> AccountView:
    """Take an identity from the account and end its sessions.

    Raises Conflict for the only one of an account without a password, ChangedMeanwhile, NotFound,
    NotFresh.
    """
    row = _locked(session, actor, account_id, version)
    known = repository.list_identities(session, row.id)
    chosen = next((one for one in known if one.id == identity_id), None)
    if chosen is None:
        raise NotFound(f"The account {row.name} has no identity {identity_id}.")
    if row.password_hash is None and len(known) == 1:
        raise Conflict(f"Nothing else opens the account {row.name}. Delete it instead.")
    session.delete(chosen)
    ended = sessions.end_all(session, account_id=row.id, reason="identity unlinked")
    details = {"issuer": chosen.issuer, "sessions_ended": ended}
    service.changed(session, actor, "unlink", row, details)
    return service.view_of(row, 0)


def merge(
    session: WriteSession, actor: Actor, *, account_id: int, into: str, version: int
) -> AccountView:
    """Make one account of two of the same person: `account_id` ends, the one named `into` goes on.

    The identities move; name, role and password are those of `into`, which is returned. Raises
    Conflict for one account twice and for one's own, ChangedMeanwhile, LastAdmin, NotFound,
    NotFresh.
    """
    access.require(actor, Permission.ACCOUNTS_WRITE)
    into_id = service.get_by_name(session, actor, name=into).id
    if account_id == into_id:
        raise Conflict("An account cannot be merged into itself. Choose another one.")
    # It locks the admins first, so that two merges never wait for one another.
    row = _ending(session, actor, account_id, version)
    target = repository.get_account_locked(session, into_id)
    if target.deleted_at is not None:
        raise NotFound(f"There is no account named {into}.")
    said = {"into": target.name}
    service.ask_approval(session, actor, row, "merge", said, said)
    moved = repository.move_identities(session, source_id=row.id, target_id=target.id)
    repository.rename_token_maker(session, account_id=row.id, name=target.name, now_of=target.id)
    service.changed(session, actor, "take_in", target, {"account": row.name})
    row.merged_into_id = target.id
    details = {"into": target.name, "into_id": target.id, "identities": moved}
    _bury(session, actor, "merge", row, details)
    return service.view_of(target, 0)


def delete(
    session: WriteSession,
    actor: Actor,
    *,
    account_id: int,
    version: int,
    revoke_tokens: bool = False,
) -> AccountView:
    """Delete an account: nothing opens it any more, and its name is free.

    Its number stays taken, so that what it did is nobody else's; the audit log keeps the name.
    Whom an identity provider still sends gets a new account. revoke_tokens: end the API tokens that
    it made; else they go on, as the portal's (docs/adr/0015). Raises Conflict for one's own,
    ChangedMeanwhile, LastAdmin, NotFound, NotFresh.
    """
    access.require(actor, Permission.ACCOUNTS_WRITE)
    row = _ending(session, actor, account_id, version)
    view = service.view_of(row, 0)
    repository.delete_identities(session, row.id)
    revoked = service.revoke_tokens_of(session, actor, row, wanted=revoke_tokens)
    _bury(session, actor, "delete", row, revoked)
    return view


def _locked(session: WriteSession, actor: Actor, account_id: int, version: int) -> Account:
    access.require(actor, Permission.ACCOUNTS_WRITE)
    identity.require_admin_behind(session, actor)
    step_up.require(session, actor)
    return service.locked(session, account_id, version, losing_admin=False)


def _ending(session: WriteSession, actor: Actor, account_id: int, version: int) -> Account:
    """An account that is about to end, locked."""
    identity.require_admin_behind(session, actor)
    step_up.require(session, actor)
    own = identity.of(session, kind=actor.kind, id=actor.id, name=actor.name)
    if own.account_id == account_id:
        raise Conflict("You cannot delete or merge away your own account; another admin can.")
    return service.locked(session, account_id, version, losing_admin=True)


def _bury(
    session: WriteSession, actor: Actor, verb: str, row: Account, details: dict[str, Any]
) -> None:
    """Leave of a row only its number; what it was called goes to the audit log."""
    ended = sessions.end_all(session, account_id=row.id, reason="account deleted")
    repository.delete_factors(session, row.id)
    repository.delete_own(session, row.id)
    details = {"role": row.role, "sessions_ended": ended, **details}
    service.changed(session, actor, verb, row, details)
    row.name = f"deleted account {row.id}"
    row.name_key = f"DELETED {row.id}"  # keys of names are in small letters
    row.password_hash, row.disabled, row.deleted_at = None, True, clock.now()
    row.break_glass_until = None
