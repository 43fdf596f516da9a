"""The Overview's alerts over REST, and what each role may do."""

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict

from backend.api.deps import Caller, Reader, RequestBody, Writer
from backend.core import role_words
from backend.core.access import Permission, Role
from backend.notifications import seen_alerts
from backend.notifications.schemas import AlertList, AlertView

router = APIRouter()


class Seen(RequestBody):
    seen: bool


class AbilityAnswer(BaseModel):
    """area: the page it belongs to. words: what it means. roles: who may."""

    model_config = ConfigDict(from_attributes=True)

    area: str
    permission: Permission
    words: str
    roles: tuple[Role, ...]


class Abilities(BaseModel):
    """items: every permission once, in the order of the pages."""

    items: tuple[AbilityAnswer, ...]


@router.get("/alerts", tags=["alerts"])
def list_alerts(session: Reader, caller: Caller) -> AlertList:
    """What needs somebody to act, the worst first. `seen`: by the account that made this token."""
    return seen_alerts.list_alerts(session, caller)


@router.put("/alerts/{key}/seen", tags=["alerts"])
def mark_alert(
    session: Writer,
    caller: Caller,
    key: Annotated[str, Path(min_length=64, max_length=64)],
    body: Seen,
) -> AlertView:
    """Put an alert aside for the account that made this token, or take it back."""
    return seen_alerts.mark(session, caller, alert=key, is_seen=body.seen)


@router.get("/roles", tags=["accounts"])
def list_roles(caller: Caller) -> Abilities:
    """What each role may do, in words."""
    found = role_words.list_abilities(caller)
    return Abilities(items=tuple(AbilityAnswer.model_validate(each) for each in found))
