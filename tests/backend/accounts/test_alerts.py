"""API tokens that end soon are told to those who make them."""

from datetime import timedelta
from types import SimpleNamespace

from sqlalchemy import update

from backend.accounts import alerts, api_tokens
from backend.core import clock
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.models.accounts import ApiToken


def add(database: Database, name: str, days: int) -> int:
    with database.write() as session:
        return api_tokens.add(session, SYSTEM, name=name, role="viewer", days=days).view.id


def test_what_ends_within_two_weeks_or_has_just_ended(
    database: Database, actors: SimpleNamespace
) -> None:
    add(database, "far", 30)
    add(database, "near", 3)
    ended, revoked = add(database, "ended", 1), add(database, "revoked", 2)
    with database.write() as session:
        session.execute(
            update(ApiToken)
            .where(ApiToken.id == ended)
            .values(expires_at=clock.now() - timedelta(days=1))
        )
        api_tokens.revoke(session, SYSTEM, token_id=revoked)
    with database.read() as session:
        texts = [item.text for item in alerts.alerts(session, actors.admin)]
        assert alerts.alerts(session, actors.operator) == []
    assert texts == [
        "API token ended has expired. Make a new one where it is used.",
        "API token near expires in 2 days. Make a new one where it is used.",
    ]
