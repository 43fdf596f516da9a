"""Server-side sessions: a random token in the browser, its hash and everything else here.

A session ends by sign-out, idle or absolute timeout, password change, disabling the account, or
an admin. Every page run asks `actor_for`, so each of these and a changed role count at once.
"""

from datetime import datetime, timedelta

from backend.accounts import last_seen, repository, second_factor, tokens
from backend.accounts.schemas import SessionView, SignedIn
from backend.core import access, audit, clock
from backend.core.access import SYSTEM, Actor, Permission, Role
from backend.core.database import ReadSession, WriteSession
from backend.core.errors import NotFound
from backend.core.views import of_row
from backend.models.accounts import Account, AccountSession

IDLE_TIMEOUT = timedelta(hours=2)
ABSOLUTE_TIMEOUT = timedelta(hours=12)
#: A page run moves last_seen_at at most this often, so that reading stays reading.
SEEN_EVERY = timedelta(minutes=1)
#: Ended and expired rows are kept this long for the question "who was in?".
KEEP_ENDED = timedelta(days=30)
MAX_LISTED = 500


def open_session(
    session: WriteSession,
    *,
    account_id: int,
    address: str,
    user_agent: str,
    proven_at: datetime | None = None,
) -> str:
    """Start a session and return its raw token, which is stored nowhere.

    Only the sign-in calls this, right after the credentials were right: every sign-in gets a new
    token (no fixation). address, user_agent: for the list of live sessions. proven_at: when the
    person proved who they are, where that was earlier (at an identity provider).
    """
    raw, now = tokens.new_token(), clock.now()
    session.add(
        AccountSession(
            account_id=account_id,
            token_hash=tokens.hashed(raw),
            created_at=now,
            proven_at=min(proven_at or now, now),
            last_seen_at=now,
            expires_at=now + ABSOLUTE_TIMEOUT,
            address=address[:64],
            user_agent=user_agent[:300],
            ended_at=None,
            ended_reason="",
        )
    )
    session.flush()
    return raw


def actor_for(session: ReadSession, raw: str, *, active: bool = True) -> SignedIn | None:
    """Who holds this cookie value now, or None when it opens nothing (any more).

    The role and the disabled flag are read from the database at each call. active: a person did
    something; a page that only refreshes itself does not keep an idle session alive.
    """
    if not raw:
        return None
    now = clock.now()
    found = repository.find_live_session(
        session, token_hash=tokens.hashed(raw), now=now, idle_since=now - IDLE_TIMEOUT
    )
    if found is None:
        return None
    row, account = found
    if active and now - row.last_seen_at > SEEN_EVERY:
        last_seen.in_short_write(
            session, lambda short: repository.set_last_seen(short, row.id, now)
        )
    return SignedIn(
        actor=Actor(
            id=account.id,
            name=account.name,
            role=Role(account.role),
            kind="user",
            session_id=row.id,
        ),
        session_id=row.id,
        must_change_password=account.must_change_password and not _is_first_start(account),
        external=account.password_hash is None,
        has_first_password=account.must_change_password and _is_first_start(account),
        must_add_factor=second_factor.is_missing(session, account),
    )


def list_live(
    session: ReadSession, actor: Actor, *, account_id: int | None = None, limit: int = MAX_LISTED
) -> list[SessionView]:
    """Live sessions, newest activity first; one's own, or with ACCOUNTS_READ anyone's."""
    if account_id != actor.id or actor.kind != "user":
        access.require(actor, Permission.ACCOUNTS_READ)
    now = clock.now()
    rows = repository.list_live_sessions(
        session, account_id=account_id, now=now, idle_since=now - IDLE_TIMEOUT, limit=limit
    )
    return [_view(row, account) for row, account in rows]


def end(session: WriteSession, actor: Actor, *, session_id: int) -> None:
    """End one session: one's own, or with ACCOUNTS_WRITE anyone's; raises NotFound."""
    row = repository.find_session(session, session_id)
    own = row is not None and actor.kind == "user" and row.account_id == actor.id
    if not own:
        access.require(actor, Permission.ACCOUNTS_WRITE)
    if row is None:
        raise NotFound(f"There is no session {session_id}.")
    if row.ended_at is not None:
        return
    row.ended_at, row.ended_reason = clock.now(), "ended by owner" if own else "ended by admin"
    account = repository.get_account(session, row.account_id)
    audit.done(session, actor, "accounts:session:end", f"session {session_id} of {account.name}")


def sign_out(session: WriteSession, raw: str) -> bool:
    """End the session behind a cookie value; False when it was no live one."""
    row = repository.find_session_by_hash(session, tokens.hashed(raw)) if raw else None
    if row is None or row.ended_at is not None:
        return False
    row.ended_at, row.ended_reason = clock.now(), "signed out"
    account = repository.get_account(session, row.account_id)
    audit.done(
        session,
        Actor(id=account.id, name=account.name, role=Role(account.role), kind="user"),
        "accounts:session:sign_out",
        f"session {row.id} of {account.name}",
    )
    return True


def end_all(
    session: WriteSession, *, account_id: int, reason: str, except_session_id: int | None = None
) -> int:
    """End every live session of an account and return how many; tickets open none any more.

    No permission of its own: the services that change an account call it inside their own check.
    """
    repository.delete_tickets(session, account_id)
    return repository.end_sessions(
        session,
        account_id=account_id,
        now=clock.now(),
        reason=reason[:40],
        except_id=except_session_id,
    )


def end_everybodys(session: WriteSession, actor: Actor, *, reason: str) -> int:
    """End every session of every account; how many. Tickets open none any more."""
    access.require(actor, Permission.ACCOUNTS_WRITE)
    repository.delete_tickets(session, None)
    return repository.end_sessions(
        session, account_id=None, now=clock.now(), reason=reason[:40], except_id=None
    )


def _is_first_start(account: Account) -> bool:
    """Whether the password is the one the first start made: whoever read it, is its owner."""
    untouched = account.password_changed_at == account.created_at
    return account.created_by == SYSTEM.name and untouched


def _view(row: AccountSession, account: Account) -> SessionView:
    return of_row(SessionView, row, account_id=account.id, account_name=account.name)
