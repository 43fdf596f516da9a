"""Browsers that an account signed in with before (OWASP's device cookies).

Whoever tries passwords for a name from elsewhere fills the counters of strangers; a browser that
shows the signed cookie of an earlier sign-in has a counter of its own. The cookie opens nothing.
"""

import hashlib
import hmac

from backend.accounts import tokens
from backend.core import secret_store
from backend.core.database import ReadSession


def issue(session: ReadSession, *, account_id: int) -> str:
    """A new cookie value for a browser that has just signed in to the account."""
    body = f"{account_id}.{tokens.new_token()}"
    return f"{body}.{_signature(session, body)}"


def known(session: ReadSession, value: str, *, account_id: int) -> str:
    """A name for the browser's counter; "" when the cookie is not this account's, or none."""
    body, _, signature = value.rpartition(".")
    owner, _, device = body.partition(".")
    if owner != str(account_id) or not device or len(value) > 200:
        return ""
    return body if hmac.compare_digest(signature, _signature(session, body)) else ""


def _signature(session: ReadSession, body: str) -> str:
    key = secret_store.read(session, secret_store.get_vault(), secret_store.AUDIT_KEY)
    return hmac.new(key, f"device:{body}".encode(), hashlib.sha256).hexdigest()
