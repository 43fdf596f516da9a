"""One rule of a policy: what an action needs in an environment, and when."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from sqlalchemy import select

from backend.core import windows
from backend.core.access import Actor
from backend.core.database import ReadSession
from backend.core.words import counted
from backend.models.changes import ChangePolicy

Mode = Literal["direct", "confirm", "approve"]
MODES: tuple[Mode, ...] = ("direct", "confirm", "approve")


class Rule(BaseModel):
    """mode: direct (no question), confirm (the page asks, a command wants --yes), approve.

    approvers: how many others, 1 or 2. above: a size; window: "mon-fri 18:00-08:00" in UTC;
    by_token: asked by an API token. With any of these set, approval is asked for only when one of
    them holds (an unknown size counts as above), and the action is confirmed otherwise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Mode = "confirm"
    approvers: int = Field(default=1, ge=1, le=2)
    above: int | None = Field(default=None, ge=0, le=2**53)
    window: str = Field(default="", max_length=60)
    by_token: bool = False

    @field_validator("window")
    @classmethod
    def _is_window(cls, value: str) -> str:
        return windows.checked(value)

    @model_validator(mode="after")
    def _conditions_need_an_approval(self) -> "Rule":
        if self.mode != "approve" and self.is_conditional:
            raise ValueError("above, window and by_token belong to the mode approve")
        return self

    @property
    def is_conditional(self) -> bool:
        return self.above is not None or bool(self.window) or self.by_token

    def approvers_for(self, actor: Actor, size: int | None, at: datetime) -> int:
        """How many others must approve; 0 for none."""
        if self.mode != "approve":
            return 0
        holds = (
            (self.above is not None and (size is None or size > self.above))
            or (bool(self.window) and windows.covers(self.window, at))
            or (self.by_token and actor.kind == "api_token")
        )
        return self.approvers if holds or not self.is_conditional else 0

    def is_weaker_than(self, other: "Rule") -> bool:
        """Whether it would let something pass that the other holds back."""
        if other.mode != "approve":
            return False
        if self.mode != "approve" or self.approvers < other.approvers:
            return True
        return self.is_conditional and self != other.model_copy(
            update={"approvers": self.approvers}
        )

    def in_words(self, unit: str = "") -> str:
        """ "2 approvals, above 500 users, or when asked by an API token"."""
        if self.mode != "approve":
            return {"direct": "direct", "confirm": "confirmed by whoever does it"}[self.mode]
        conditions = []
        if self.above is not None:
            conditions.append(f"above {self.above:,} {unit}".rstrip())
        if self.window:
            conditions.append(f"within {self.window} UTC")
        if self.by_token:
            conditions.append("when asked by an API token")
        return ", ".join([counted(self.approvers, "approval"), " or ".join(conditions)]).rstrip(
            ", "
        )


CONFIRM = Rule()


def find(session: ReadSession, environment_id: int, action: str) -> Rule:
    """The rule in force; without one the action is confirmed, as ever."""
    row = session.scalars(
        select(ChangePolicy)
        .where(ChangePolicy.environment_id == environment_id, ChangePolicy.action == action)
        .execution_options(populate_existing=True)
    ).one_or_none()
    return of_row(row) if row is not None else CONFIRM


def of_environments(
    session: ReadSession, actions: Sequence[str], numbers: Sequence[int]
) -> list[Rule]:
    """The rules of several actions in these environments; numbers (): in every one."""
    query = (
        select(ChangePolicy)
        .where(ChangePolicy.action.in_(actions))
        .order_by(ChangePolicy.id)
        .execution_options(populate_existing=True)
    )
    if numbers:
        query = query.where(ChangePolicy.environment_id.in_(numbers))
    return [of_row(row) for row in session.scalars(query)]


def of_row(row: ChangePolicy) -> Rule:
    return Rule(
        mode=row.mode,
        approvers=row.approvers,
        above=row.above,
        window=row.time_window,
        by_token=row.by_token,
    )


def values(rule: Rule) -> Mapping[str, object]:
    """The columns of a row."""
    return {
        "mode": rule.mode,
        "approvers": rule.approvers,
        "above": rule.above,
        "time_window": rule.window,
        "by_token": rule.by_token,
    }
