"""All SQL of accounts, sessions and API tokens."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, bindparam, delete, func, or_, select, update
from sqlalchemy.orm import Session

from backend.core.database import ReadSession, WriteSession
from backend.core.errors import NotFound
from backend.models.accounts import (
    Account,
    AccountIdentity,
    AccountSession,
    ApiToken,
    ProviderSession,
    SecondFactor,
    SignInTicket,
)
from backend.models.ingestion import IngestionFavourite
from backend.models.notifications import NotificationSeen


def find_account(session: ReadSession, name_key: str) -> Account | None:
    return session.scalars(select(Account).where(Account.name_key == name_key)).one_or_none()


def find_identity(session: ReadSession, external_key: str) -> AccountIdentity | None:
    return session.scalars(
        select(AccountIdentity).where(AccountIdentity.external_key == external_key)
    ).one_or_none()


def list_identities(session: ReadSession, account_id: int) -> list[AccountIdentity]:
    return list(
        session.scalars(
            select(AccountIdentity)
            .where(AccountIdentity.account_id == account_id)
            .order_by(AccountIdentity.id)
        )
    )


def move_identities(session: WriteSession, *, source_id: int, target_id: int) -> int:
    query = (
        update(AccountIdentity)
        .where(AccountIdentity.account_id == source_id)
        .values(account_id=target_id)
    )
    return cast(CursorResult[Any], session.execute(query)).rowcount


def delete_identities(session: WriteSession, account_id: int) -> None:
    session.execute(delete(AccountIdentity).where(AccountIdentity.account_id == account_id))


def delete_own(session: WriteSession, account_id: int) -> None:
    """What the account had read of its notifications, and its favourites."""
    session.execute(delete(NotificationSeen).where(NotificationSeen.account_id == account_id))
    owner = f"user:{account_id}"
    session.execute(delete(IngestionFavourite).where(IngestionFavourite.owner == owner))


def rename_token_maker(
    session: WriteSession, *, account_id: int, name: str, now_of: int | None = None
) -> None:
    """What an account made says its name of now. now_of: the account that it was merged into."""
    values = {"created_by": name, "account_id": now_of or account_id}
    made = ApiToken.account_id == account_id
    session.execute(update(ApiToken).where(made).values(values))


def find_accounts(session: ReadSession, account_ids: Collection[int]) -> dict[int, Account]:
    """By number; deleted ones, too."""
    rows = session.scalars(select(Account).where(Account.id.in_(account_ids)))
    return {row.id: row for row in rows}


def get_account(session: ReadSession, account_id: int) -> Account:
    """Raises NotFound."""
    row = session.get(Account, account_id)
    if row is None:
        raise NotFound(f"There is no account {account_id}.")
    return row


def get_account_locked(session: WriteSession, account_id: int) -> Account:
    """The account, locked until commit and read afresh; raises NotFound."""
    row = session.get(Account, account_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise NotFound(f"There is no account {account_id}.")
    return row


def lock_admins(session: WriteSession) -> list[Account]:
    """Every enabled admin, locked until commit in one order, so that the last one stays."""
    return list(
        session.scalars(
            select(Account)
            .where(Account.role == "admin", Account.disabled.is_(False))
            .order_by(Account.id)
            .with_for_update()
        )
    )


def list_accounts(session: ReadSession, *, part: str, after: str, limit: int) -> list[Account]:
    """By name: those that hold `part` and come after `after`; both are name keys, or ""."""
    query = select(Account).where(Account.deleted_at.is_(None))
    query = query.order_by(Account.name_key).limit(limit)
    if part:
        # Looked for in the index of the names alone: no row is read that does not fit.
        place = func.strpos if session.get_bind().dialect.name == "postgresql" else func.instr
        holding = select(Account.name_key).where(place(Account.name_key, part) > 0)
        query = query.where(Account.name_key.in_(holding))
    if after:
        query = query.where(Account.name_key > after)
    return list(session.scalars(query))


def any_admin(session: ReadSession) -> bool:
    return (
        session.scalars(select(Account.id).where(Account.role == "admin").limit(1)).first()
        is not None
    )


def _live(now: Any, idle_since: Any) -> tuple[Any, ...]:
    """Conditions. now, idle_since: datetimes, or parameters for them."""
    return (
        AccountSession.ended_at.is_(None),
        AccountSession.expires_at > now,
        AccountSession.last_seen_at > idle_since,
        Account.disabled.is_(False),
    )


#: Built once, as `_BY_PREFIX`: every run of a page asks it.
_LIVE_SESSION = (
    select(AccountSession, Account)
    .join(Account, Account.id == AccountSession.account_id)
    .where(
        AccountSession.token_hash == bindparam("token_hash"),
        *_live(bindparam("now"), bindparam("idle_since")),
    )
    .execution_options(populate_existing=True)
)


def find_live_session(
    session: ReadSession, *, token_hash: str, now: datetime, idle_since: datetime
) -> tuple[AccountSession, Account] | None:
    asked = {"token_hash": token_hash, "now": now, "idle_since": idle_since}
    row = session.execute(_LIVE_SESSION, asked).one_or_none()
    return (row[0], row[1]) if row is not None else None


def list_live_sessions(
    session: ReadSession,
    *,
    account_id: int | None,
    now: datetime,
    idle_since: datetime,
    limit: int,
) -> Sequence[tuple[AccountSession, Account]]:
    query = (
        select(AccountSession, Account)
        .join(Account, Account.id == AccountSession.account_id)
        .where(*_live(now, idle_since))
        .order_by(AccountSession.last_seen_at.desc(), AccountSession.id.desc())
        .limit(limit)
    )
    if account_id is not None:
        query = query.where(AccountSession.account_id == account_id)
    return [(row[0], row[1]) for row in session.execute(query)]


def count_live_sessions(
    session: ReadSession, account_ids: Sequence[int], *, now: datetime, idle_since: datetime
) -> dict[int, int]:
    """Account id to number of live sessions."""
    rows = session.execute(
        select(AccountSession.account_id, func.count())
        .join(Account, Account.id == AccountSession.account_id)
        .where(AccountSession.account_id.in_(account_ids), *_live(now, idle_since))
        .group_by(AccountSession.account_id)
    )
    return {int(row[0]): int(row[1]) for row in rows}


def find_session(session: ReadSession, session_id: int) -> AccountSession | None:
    return session.get(AccountSession, session_id)


def find_session_by_hash(session: ReadSession, token_hash: str) -> AccountSession | None:
    return session.scalars(
        select(AccountSession).where(AccountSession.token_hash == token_hash)
    ).one_or_none()


def set_last_seen(session: Session, session_id: int, now: datetime) -> None:
    session.execute(
        update(AccountSession)
        .where(AccountSession.id == session_id, AccountSession.last_seen_at < now)
        .values(last_seen_at=now)
    )


def end_sessions(
    session: WriteSession,
    *,
    account_id: int | None,
    now: datetime,
    reason: str,
    except_id: int | None,
) -> int:
    """End an account's open sessions, or with None everybody's; how many."""
    query = (
        update(AccountSession)
        .where(AccountSession.ended_at.is_(None))
        .values(ended_at=now, ended_reason=reason)
    )
    if account_id is not None:
        query = query.where(AccountSession.account_id == account_id)
    if except_id is not None:
        query = query.where(AccountSession.id != except_id)
    return cast(CursorResult[Any], session.execute(query)).rowcount


def delete_old_sessions(session: WriteSession, before: datetime) -> int:
    old = select(AccountSession.id).where(AccountSession.expires_at < before)
    session.execute(delete(ProviderSession).where(ProviderSession.session_id.in_(old)))
    query = delete(AccountSession).where(AccountSession.expires_at < before)
    return cast(CursorResult[Any], session.execute(query)).rowcount


def _factors(account_id: int, *, confirmed: bool | None) -> list[ColumnElement[bool]]:
    which = [SecondFactor.account_id == account_id]
    if confirmed is not None:
        on = SecondFactor.confirmed_at
        which.append(on.is_not(None) if confirmed else on.is_(None))
    return which


def find_factor(
    session: ReadSession, account_id: int, *, confirmed: bool = True
) -> SecondFactor | None:
    """The account's second factor: the one that is on, or else the one being set up."""
    query = select(SecondFactor).where(*_factors(account_id, confirmed=confirmed))
    return session.scalars(query.execution_options(populate_existing=True)).first()


def with_factor(session: ReadSession, account_ids: Sequence[int]) -> set[int]:
    """Those of the accounts whose second factor is on."""
    query = select(SecondFactor.account_id).where(
        SecondFactor.account_id.in_(account_ids), SecondFactor.confirmed_at.is_not(None)
    )
    return set(session.scalars(query))


def delete_factors(session: WriteSession, account_id: int, *, confirmed: bool | None = None) -> int:
    query = delete(SecondFactor).where(*_factors(account_id, confirmed=confirmed))
    return cast(CursorResult[Any], session.execute(query)).rowcount


def lock_factors(session: WriteSession) -> list[SecondFactor]:
    return list(session.scalars(select(SecondFactor).with_for_update()))


def find_ticket_account(session: ReadSession, ticket_hash: str) -> int | None:
    return session.scalars(
        select(SignInTicket.account_id).where(SignInTicket.ticket_hash == ticket_hash)
    ).one_or_none()


def use_ticket(
    session: WriteSession, *, ticket_hash: str, browser_hash: str, now: datetime
) -> bool:
    """Mark a ticket as used; False when it is not valid.

    One UPDATE decides, so of two redemptions at the same instant one wins.
    """
    query = (
        update(SignInTicket)
        .where(
            SignInTicket.ticket_hash == ticket_hash,
            SignInTicket.browser_hash == browser_hash,
            SignInTicket.used_at.is_(None),
            SignInTicket.expires_at > now,
        )
        .values(used_at=now)
    )
    return cast(CursorResult[Any], session.execute(query)).rowcount == 1


def delete_tickets(session: WriteSession, account_id: int | None) -> None:
    """Delete an account's tickets, or with None everybody's."""
    query = delete(SignInTicket)
    if account_id is not None:
        query = query.where(SignInTicket.account_id == account_id)
    session.execute(query)


def delete_expired_tickets(session: WriteSession, now: datetime) -> None:
    session.execute(delete(SignInTicket).where(SignInTicket.expires_at < now))


#: Built once: every request of the REST API asks it, and building takes longer than asking.
_BY_PREFIX = select(ApiToken).where(ApiToken.prefix == bindparam("prefix"))


def find_api_token(session: ReadSession, prefix: str) -> ApiToken | None:
    return session.scalars(_BY_PREFIX, {"prefix": prefix}).one_or_none()


def find_api_token_by_id(session: ReadSession, token_id: int) -> ApiToken | None:
    return session.get(ApiToken, token_id)


def list_api_tokens(
    session: ReadSession, *, before: int | None, limit: int, account_id: int | None = None
) -> list[ApiToken]:
    query = select(ApiToken).order_by(ApiToken.id.desc()).limit(limit)
    if account_id is not None:
        query = query.where(ApiToken.account_id == account_id)
    if before is not None:
        query = query.where(ApiToken.id < before)
    return list(session.scalars(query))


def list_valid_api_tokens(session: WriteSession, account_id: int, now: datetime) -> list[ApiToken]:
    """Those that an account made and that are still accepted."""
    query = select(ApiToken).where(
        ApiToken.account_id == account_id,
        ApiToken.revoked_at.is_(None),
        or_(ApiToken.expires_at.is_(None), ApiToken.expires_at > now),
    )
    return list(session.scalars(query.order_by(ApiToken.id)))


def list_expiring_api_tokens(
    session: ReadSession, *, since: datetime, until: datetime, limit: int
) -> list[ApiToken]:
    """Tokens in use that end between the two, the next one first."""
    query = (
        select(ApiToken)
        .where(
            ApiToken.revoked_at.is_(None), ApiToken.expires_at >= since, ApiToken.expires_at < until
        )
        .order_by(ApiToken.expires_at, ApiToken.id)
        .limit(limit)
    )
    return list(session.scalars(query))


def set_last_used(session: Session, token_id: int, now: datetime, address: str) -> None:
    values = {"last_used_at": now, "last_address": address[:64]}
    session.execute(update(ApiToken).where(ApiToken.id == token_id).values(values))
