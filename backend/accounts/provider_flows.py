"""Trips to an identity provider: their state is here, the browser holds only a nonce.

A trip lives ten minutes, comes back once, and only to the browser that started it. What it came
to is told on the sign-in page of that browser and is a row of the audit log. An answer without a
trip leaves no row here, for anybody can make up any number of them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select

from backend.accounts import backoff, tokens
from backend.accounts.sign_in import ACTION, ANONYMOUS
from backend.core import audit, clock, forwarded
from backend.core.database import Database, WriteSession
from backend.core.errors import NotAuthenticated, TooManyAttempts
from backend.core.log import get_logger
from backend.integrations.oidc.client import Started
from backend.models.accounts import ProviderFlow

log = get_logger(__name__)

LIFETIME = timedelta(minutes=10)
#: Trips under way, and sentences that wait for their browser; the oldest goes for one more.
MOST = 10_000
NO_COOKIE = "This browser sent no cookie. Allow cookies for this site, reload and sign in again."
NO_TRIP = (
    "This answer of the identity provider was used, is too old, or belongs to another "
    "browser. Sign in again."
)


@dataclass(frozen=True)
class Flow:
    provider: str
    nonce: str
    code_verifier: str
    next_path: str
    #: The session whose person proves anew who they are; None: somebody signs in.
    session_id: int | None
    started_at: datetime


def remember(
    session: WriteSession,
    *,
    provider: str,
    started: Started,
    browser: str,
    next_path: str,
    session_id: int | None = None,
) -> None:
    """Keep a trip that starts; raises NotAuthenticated for a browser without the nonce cookie."""
    if not browser:
        raise NotAuthenticated(NO_COOKIE)
    _add(session, provider, browser, started, next_path, session_id=session_id)


def take(session: WriteSession, *, state: str, browser: str) -> Flow:
    """The trip behind an answer's state, which serves once; raises NotAuthenticated."""
    row = session.scalars(
        select(ProviderFlow)
        .where(
            ProviderFlow.state_hash == tokens.hashed(state),
            ProviderFlow.browser_hash == tokens.hashed(browser),
            ProviderFlow.expires_at > clock.now(),
            ProviderFlow.error == "",
        )
        .with_for_update()
    ).one_or_none()
    if row is None or not browser:
        raise NotAuthenticated(NO_TRIP)
    flow = Flow(
        row.provider,
        row.nonce,
        row.code_verifier,
        row.next_path,
        row.session_id,
        row.expires_at - LIFETIME,
    )
    # Two answers with one state in the same instant: only one of them deletes the row.
    session.execute(delete(ProviderFlow).where(ProviderFlow.id == row.id))
    return flow


def refuse(session: WriteSession, *, provider: str, browser: str, address: str, error: str) -> None:
    """Write down why nobody was signed in, for the audit log and for this browser's next page.

    browser: "" where its next page is told in another way. Anybody may call the way back, as often
    as they like: after a few refusals an address is in the audit log, which nobody may delete from,
    only as often as its wrong passwords would be.
    """
    if _is_to_be_audited(session, address):
        audit.record(
            session,
            ANONYMOUS,
            ACTION,
            subject=f"identity provider {provider}".strip(),
            outcome="refused",
            details={"address": address, "way": "identity provider", "reason": error[:500]},
        )
    log.warning("A sign-in with an identity provider was refused.", reason=error)
    if browser:
        nothing = Started("", tokens.new_token(), "", "")
        _add(session, provider, browser, nothing, "/", error=error)


def _is_to_be_audited(session: WriteSession, address: str) -> bool:
    device = f"trips from {forwarded.network(address)}"
    try:
        backoff.count_try(session, name_key="", address="", device=device)
    except TooManyAttempts:
        return False
    return True


def take_error(database: Database, *, browser: str) -> str:
    """The newest sentence for this browser, once; "" when there is none.

    Every load of a page asks, so nothing is locked where there is none.
    """
    mine = (ProviderFlow.browser_hash == tokens.hashed(browser), ProviderFlow.error != "")
    newest = select(ProviderFlow.error).where(*mine).order_by(ProviderFlow.id.desc()).limit(1)
    with database.read() as session:
        found = session.scalar(newest)
    if found is None or not browser:
        return ""
    with database.write() as session:
        session.execute(delete(ProviderFlow).where(*mine))
    return found


def clean_up(session: WriteSession) -> None:
    """Delete what expired."""
    session.execute(delete(ProviderFlow).where(ProviderFlow.expires_at <= clock.now()))


def _add(
    session: WriteSession,
    provider: str,
    browser: str,
    started: Started,
    next_path: str,
    *,
    session_id: int | None = None,
    error: str = "",
) -> None:
    _make_room(session)
    session.add(
        ProviderFlow(
            state_hash=tokens.hashed(started.state),
            browser_hash=tokens.hashed(browser),
            provider=provider[:150],
            nonce=started.nonce,
            code_verifier=started.code_verifier,
            next_path=next_path,
            expires_at=clock.now() + LIFETIME,
            session_id=session_id,
            error=error,
        )
    )
    session.flush()


def _make_room(session: WriteSession) -> None:
    clean_up(session)
    numbers = select(ProviderFlow.id).order_by(ProviderFlow.id.desc()).offset(MOST - 1).limit(1)
    newest_to_go = session.scalar(numbers)
    if newest_to_go is not None:
        session.execute(delete(ProviderFlow).where(ProviderFlow.id <= newest_to_go))
