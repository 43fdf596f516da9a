"""One-time tickets between the sign-in form (a websocket) and the route that sets the cookie.

Streamlit's script cannot set an HttpOnly cookie, so a passed sign-in makes a ticket, the browser
posts it, and the route trades it for a session. A ticket lives 60 seconds, serves once, is stored
hashed, and only works in the browser (nonce cookie) that typed the password, so nobody can be
signed in to somebody else's account with a planted ticket.
"""

from datetime import timedelta

from backend.accounts import repository, sessions, tokens
from backend.core import clock
from backend.core.database import WriteSession
from backend.core.errors import NotAuthenticated
from backend.models.accounts import SignInTicket

LIFETIME = timedelta(seconds=60)


def issue(session: WriteSession, *, account_id: int, browser: str) -> str:
    """A ticket for an account whose credentials were just right.

    browser: the nonce cookie of the browser; it must be there. Raises NotAuthenticated when not.
    """
    if not browser:
        raise NotAuthenticated(
            "This browser sent no cookie. Allow cookies for this site, reload and sign in again."
        )
    raw, now = tokens.new_token(), clock.now()
    repository.delete_expired_tickets(session, now)
    session.add(
        SignInTicket(
            ticket_hash=tokens.hashed(raw),
            account_id=account_id,
            browser_hash=tokens.hashed(browser),
            expires_at=now + LIFETIME,
            used_at=None,
        )
    )
    session.flush()
    return raw


def redeem(session: WriteSession, raw: str, *, browser: str, address: str, user_agent: str) -> str:
    """Trade a ticket for a new session and return the session's raw token.

    Raises NotAuthenticated, with one sentence for every reason, when the ticket is unknown, old,
    used, of another browser, or its account was disabled or got another password meanwhile.
    """
    refused = NotAuthenticated("This sign-in is not valid any more. Please sign in again.")
    ticket_hash = tokens.hashed(raw)
    account_id = repository.find_ticket_account(session, ticket_hash)
    if account_id is None:
        raise refused
    # The account's lock first: whoever disables it or resets its password either takes the ticket
    # away before it is looked at, or sees the session that it opened and ends it.
    account = repository.get_account_locked(session, account_id)
    browser_hash = tokens.hashed(browser)
    used = repository.use_ticket(
        session, ticket_hash=ticket_hash, browser_hash=browser_hash, now=clock.now()
    )
    if not used or account.disabled:
        raise refused
    return sessions.open_session(
        session, account_id=account_id, address=address, user_agent=user_agent
    )
