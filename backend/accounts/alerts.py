"""API tokens that end soon, for the Overview page.

A check of the audit chain that fails is a job that failed: backend/jobs/alerts.py shows it.
"""

from datetime import timedelta

from backend.accounts import repository
from backend.core import clock
from backend.core.access import Actor, Permission
from backend.core.alerts import Alert
from backend.core.database import ReadSession
from backend.core.words import counted

PAGE = "accounts"
AHEAD = timedelta(days=14)
#: What stopped working lately is told as well: a job of somebody else may just have found out.
BEHIND = timedelta(days=7)
_MOST = 200


def alerts(session: ReadSession, actor: Actor) -> list[Alert]:
    """Tokens that end within 14 days, and those that ended in the last 7, for who makes them."""
    if not actor.may(Permission.API_TOKENS_WRITE):
        return []
    now = clock.now()
    rows = repository.list_expiring_api_tokens(
        session, since=now - BEHIND, until=now + AHEAD, limit=_MOST
    )
    found = []
    for row in rows:
        if row.expires_at is None:
            continue
        days = (row.expires_at - now).days
        when = "has expired" if row.expires_at <= now else f"expires in {counted(days, 'day')}"
        text = f"API token {row.name} {when}. Make a new one where it is used."
        found.append(
            Alert(
                "warning",
                text,
                PAGE,
                row.created_at,
                (("view", "tokens"),),
                "accounts.token_ends",
                str(row.id),
                f"API token {row.id}",
            )
        )
    return found
