"""Users of OpenMetadata whom the directory does not name: to be looked at, never written."""

from datetime import UTC, datetime
from typing import Any

from backend.core import access, choices
from backend.core.access import Actor, Permission
from backend.core.database import Database
from backend.core.errors import NotFound
from backend.core.views import Page
from backend.integrations.openmetadata.errors import Refused
from backend.integrations.openmetadata.gateway import OpenMetadataGateway
from backend.user_sync import applying, repository, row_repository
from backend.user_sync.schemas import OBSERVED, LeaverView, RowFilter, RowView
from backend.user_sync.sources import gateway_for

MOST = 1_000
#: `owns` loads everything a user owns, so it is asked of the users looked at only.
_FIELDS = ("owns", "")


def leavers(
    database: Database, actor: Actor, *, plan_id: int, offset: int = 0, limit: int = 25
) -> Page[LeaverView]:
    """Some of a plan's observations, each read now for its last login and what it owns.

    offset: the `next_cursor` of the page before.

    Raises PlanNotFound, ElsewhereNow, and what stops every read (a refused token, no server).
    """
    access.require(actor, Permission.USER_SYNC_READ)
    choices.check_limit(limit, MOST)
    with database.read() as session:
        plan = repository.get_plan(session, plan_id)
        wanted = RowFilter(kinds=OBSERVED)
        found = row_repository.page(session, plan, wanted, offset=offset, limit=limit)
        config = applying.connection(session, plan)
    with gateway_for(config) as gateway:
        items = [_view(row, _details(gateway, str(row.user_id))) for row in found.items]
    following = offset + limit if found.total > offset + limit else None
    return Page[LeaverView](items=items, next_cursor=following)


def _details(gateway: OpenMetadataGateway, user_id: str) -> dict[str, Any]:
    """The user as the server tells it; without `owns` where a version does not know the field."""
    for fields in _FIELDS:
        try:
            return gateway.raw_user(user_id, fields)
        except NotFound:
            return {}
        except Refused as exc:
            if fields == _FIELDS[-1] or exc.answered != 400:
                raise
    return {}


def _view(row: RowView, now: dict[str, Any]) -> LeaverView:
    owns = now.get("owns")
    return LeaverView(
        email=row.email,
        user_id=str(row.user_id),
        user_name=row.user_name or "",
        user_url=row.user_url or "",
        kind=row.kind,
        reason=row.reason,
        display_name=row.old_name or "",
        domains=tuple(ref.fqn for ref in row.old_domains),
        last_login=_when(now.get("lastLoginTime")),
        owns=len(owns) if isinstance(owns, list) else None,
    )


def _when(milliseconds: object) -> datetime | None:
    try:
        return datetime.fromtimestamp(float(milliseconds) / 1000, UTC)  # type: ignore[arg-type]  # None and text are caught
    except (TypeError, ValueError, OverflowError, OSError):
        return None
