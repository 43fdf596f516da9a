"""Sessions that an identity provider vouches for: opened, asked about again, ended with it."""

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from backend.accounts import claims as meaning
from backend.accounts import external, providers, repository, sessions, step_up, tokens
from backend.accounts.external import Identity
from backend.accounts.provider_flows import Flow
from backend.accounts.providers import Provider
from backend.core import access, audit, clock, secret_store
from backend.core.access import SYSTEM, Actor, Permission, Role
from backend.core.crypto import SecretUnreadable, Vault
from backend.core.database import Database, ReadSession, WriteSession
from backend.core.errors import NotAuthenticated, NotFound, NotPermitted, UpstreamError
from backend.core.log import get_logger
from backend.integrations.oidc import client
from backend.integrations.oidc.client import Answer
from backend.models.accounts import AccountSession, ProviderLogout, ProviderSession

log = get_logger(__name__)

CHECK_EVERY = timedelta(minutes=5)
MOST_AT_ONCE = 50
#: Claims that say whose the others are.
_STAY = frozenset({"iss", "sub", "sid", "aud"})
#: Characters that the column holds on every database (MariaDB's TEXT).
_LONGEST = 65_000


def open_session(
    session: WriteSession, *, provider: Provider, answer: Answer, address: str, user_agent: str
) -> str:
    """Sign the person of a checked answer in; the raw token of the new session.

    Raises NotPermitted with the sentence for the person.
    """
    meaning.check_context(provider, answer.claims)
    merged = answer.merged
    actor = external.sign_in(
        session,
        identity=Identity(merged["iss"], merged["sub"], meaning.name_of(provider, merged)),
        role=meaning.role_of(provider, merged),
        address=address,
        keep_role=provider.skip_role_sync,
    )
    raw = sessions.open_session(
        session,
        account_id=actor.id,
        address=address,
        user_agent=user_agent,
        proven_at=meaning.proven_at(answer.claims),
    )
    row = repository.find_session_by_hash(session, tokens.hashed(raw))
    if row is None:  # it was made a line above
        raise NotFound("The new session is gone. Sign in again.")
    vouched = ProviderSession(session_id=row.id, provider=provider.name)
    _keep(vouched, answer)
    session.add(vouched)
    session.flush()
    return raw


def asking(session: ReadSession, raw: str) -> int | None:
    """Number of the live session that a step-up is for, by its cookie's value."""
    row = repository.find_session_by_hash(session, tokens.hashed(raw)) if raw else None
    return row.id if row is not None and row.ended_at is None else None


def confirm(session: WriteSession, *, provider: Provider, answer: Answer, flow: Flow) -> bool:
    """Count the session that asked for a step-up as proven; False: no role is left, it ended.

    Raises NotPermitted and NotAuthenticated with the sentence for the person: another person, an
    old sign-in, a lower level.
    """
    row = repository.find_session(session, flow.session_id or 0)
    vouched = session.get(ProviderSession, flow.session_id)
    if row is None or row.ended_at is not None or vouched is None:
        raise NotAuthenticated("The session that asked for this is over. Sign in again.")
    merged = answer.merged
    if vouched.subject_hash != external.key_of(merged["iss"], merged["sub"]):
        raise NotAuthenticated(
            "Somebody else signed in at the identity provider. Nothing was confirmed; sign out "
            "there, and confirm again as the person who is signed in here."
        )
    meaning.check_step_up(provider, answer.claims, since=flow.started_at)
    if not _follow(session, vouched, provider, answer):
        return False
    # Without a time it got here only where the file believes the provider.
    row.proven_at = meaning.proven_at(answer.claims) or clock.now()
    account = repository.get_account(session, row.account_id)
    actor = Actor(account.id, account.name, Role(account.role), "user", session_id=row.id)
    step_up.record(session, actor, "identity provider", "succeeded")
    return True


def check_due(database: Database) -> int:
    """Ask the providers about the sessions whose time has come; how many were asked about.

    A provider that does not answer ends nothing: its sessions are asked about again next time.
    """
    configured = providers.load()
    due = database.change(_due)
    silent: set[str] = set()
    for session_id, name, answer in due:
        if name in silent:
            continue
        try:
            _check(database, session_id, configured.get(name), answer)
        except NotFound:
            _end(database, session_id, "provider removed")
        except (NotAuthenticated, NotPermitted) as exc:
            log.warning("An identity provider ended a session.", reason=exc.message)
            _end(database, session_id, "ended by the identity provider")
        except UpstreamError as exc:
            silent.add(name)
            log.warning("An identity provider could not be asked.", reason=exc.message)
    return len(due)


def end_named(session: WriteSession, *, issuer: str, claims: Mapping[str, Any]) -> int:
    """End what a checked logout token names: a session (sid), or all of a person; how many.

    Raises NotAuthenticated for a token that was obeyed before: who got hold of it ends nothing that
    was opened since.
    """
    _obey_once(session, issuer, str(claims["jti"]))
    if claims.get("sid"):
        which = ProviderSession.sid_hash == external.key_of(issuer, str(claims["sid"]))
    else:
        which = ProviderSession.subject_hash == external.key_of(issuer, str(claims["sub"]))
    ids = list(session.scalars(select(ProviderSession.session_id).where(which)))
    return sum(_end_one(session, session_id, "signed out at the provider") for session_id in ids)


def _obey_once(session: WriteSession, issuer: str, jti: str) -> None:
    until = clock.now() + timedelta(seconds=client.LOGOUT_SECONDS + client.LEEWAY_SECONDS)
    session.add(ProviderLogout(token_hash=external.key_of(issuer, jti), expires_at=until))
    try:
        session.flush()
    except IntegrityError as exc:
        raise NotAuthenticated("This logout token was obeyed before.") from exc


def forget_logouts(session: WriteSession) -> None:
    """Those that are too old to be obeyed."""
    session.execute(delete(ProviderLogout).where(ProviderLogout.expires_at <= clock.now()))


def provider_of(session: ReadSession, actor: Actor) -> str:
    """Name of the identity provider behind the actor's browser session; raises NotFound."""
    access.require(actor, Permission.OWN_ACCOUNT)
    row = session.get(ProviderSession, actor.session_id) if actor.session_id else None
    if row is None:
        raise NotFound("No identity provider vouched for this session. Sign in again.")
    return row.provider


def hint(session: ReadSession, raw: str) -> tuple[str, str] | None:
    """Provider and id token of the session behind a cookie value, for the provider's sign-out."""
    row = repository.find_session_by_hash(session, tokens.hashed(raw)) if raw else None
    found = session.get(ProviderSession, row.id) if row is not None else None
    if found is None:
        return None
    try:
        return found.provider, _opened(found).id_token
    except SecretUnreadable:
        return None


def rotate(session: WriteSession, vault: Vault) -> int:
    """Put the answers under the vault's first key; how many."""
    rows = list(session.scalars(select(ProviderSession).with_for_update()))
    for row in rows:
        row.ciphertext = vault.rotate(row.ciphertext, binding=_binding(row.session_id))
    return len(rows)


def _due(session: WriteSession) -> list[tuple[int, str, Answer]]:
    """Live sessions to ask about; their next time is set first, so that nobody asks twice."""
    now = clock.now()
    rows = session.scalars(
        select(ProviderSession)
        .join(AccountSession, AccountSession.id == ProviderSession.session_id)
        .where(
            ProviderSession.check_at <= now,
            AccountSession.ended_at.is_(None),
            AccountSession.expires_at > now,
            AccountSession.last_seen_at > now - sessions.IDLE_TIMEOUT,
        )
        .order_by(ProviderSession.check_at)
        .limit(MOST_AT_ONCE)
    )
    due = []
    for row in rows:
        row.check_at = now + CHECK_EVERY
        try:
            due.append((row.session_id, row.provider, _opened(row)))
        except SecretUnreadable:
            _end_one(session, row.session_id, "provider's token unreadable")
    return due


def _check(database: Database, session_id: int, provider: Provider, known: Answer) -> None:
    answer = asyncio.run(client.ask_again(provider.registration, known))
    with database.write() as session:
        vouched = session.get(ProviderSession, session_id)
        if vouched is not None:
            _follow(session, vouched, provider, answer)


def _follow(
    session: WriteSession, vouched: ProviderSession, provider: Provider, answer: Answer
) -> bool:
    """Take over what a new answer says of a session's person; False when that ended it."""
    _keep(vouched, answer)
    role = meaning.role_of(provider, answer.merged)
    if role is None and not provider.skip_role_sync:
        _end_one(session, vouched.session_id, "no role at the provider")
        return False
    opened = repository.find_session(session, vouched.session_id)
    if opened is not None:
        account = repository.get_account_locked(session, opened.account_id)
        keep = None if provider.skip_role_sync else role
        name = meaning.name_of(provider, answer.merged)
        external.follow(session, account, role=keep, name=name)
    return True


def _end(database: Database, session_id: int, reason: str) -> None:
    database.change(_end_one, session_id, reason)


def _end_one(session: WriteSession, session_id: int, reason: str) -> int:
    row = repository.find_session(session, session_id)
    if row is None or row.ended_at is not None:
        return 0
    row.ended_at, row.ended_reason = clock.now(), reason[:40]
    account = repository.get_account(session, row.account_id)
    audit.done(
        session,
        SYSTEM,
        "accounts:session:end",
        f"session {row.id} of {account.name}",
        reason=reason,
    )
    return 1


def _keep(row: ProviderSession, answer: Answer) -> None:
    """What the provider is asked again with, and what its logout tokens name."""
    issuer, sid = answer.claims["iss"], answer.claims.get("sid")
    row.subject_hash = external.key_of(issuer, answer.claims["sub"])
    row.sid_hash = external.key_of(issuer, str(sid)) if sid else ""
    row.ciphertext = _sealed(row.session_id, answer)
    can_be_asked = answer.refresh_token or (answer.access_token and answer.userinfo)
    row.check_at = clock.now() + CHECK_EVERY if can_be_asked else None


def _sealed(session_id: int, answer: Answer) -> str:
    """The claims are in the id token. Those that userinfo says too are asked there next time."""
    also = {k for k in client.unverified(answer.id_token) if k not in answer.claims}
    also |= (answer.claims.keys() & answer.userinfo.keys()) - _STAY
    access = ["", 0] if answer.refresh_token else [answer.access_token, answer.access_until]
    document = [sorted(also), answer.id_token, answer.refresh_token, *access]
    sealed = secret_store.get_vault().encrypt(json.dumps(document), binding=_binding(session_id))
    if len(sealed) > _LONGEST:
        raise NotPermitted(
            "The identity provider's answer is too long to be kept: you are in too many groups. "
            "An admin limits the claim to the portal's groups."
        )
    return sealed


def _opened(row: ProviderSession) -> Answer:
    text = secret_store.get_vault().decrypt(row.ciphertext, binding=_binding(row.session_id))
    also, id_token, refresh_token, *access = json.loads(text)
    # An older portal kept the claims themselves there, which the id token holds, too.
    gone = also if isinstance(also, list) else []
    claims = {k: v for k, v in client.unverified(id_token).items() if k not in gone}
    return Answer(claims, {}, id_token, refresh_token, *access)


def _binding(session_id: int) -> str:
    return f"session {session_id}/identity provider"
