"""What REST and `--json` say about plans and runs (DESIGN 5.3): the views under outward names."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Self

from pydantic import Field, model_validator

from backend.core.views import View
from backend.user_sync.fields import ATTRIBUTES, Changes
from backend.user_sync.schemas import OBSERVED, ItemView, PlanView, RowPage, RowView, RunView

_STATUS = {"pending": "not_tried", "sending": "unknown"}


def status(state: str) -> str:
    """What people outside read for an item's state."""
    return _STATUS.get(state, state)


class FieldChange(View):
    """Of a text, or of the names of domains."""

    old: str | list[str] | None
    new: str | list[str] | None


class PlanRow(View):
    """One directory user. changes: the fields that would be written, by name."""

    email: str
    user_id: str | None
    user_name: str | None
    user_url: str | None
    status: str = Field(validation_alias="kind")
    reason: str = Field(validation_alias="why")
    look_alike: bool
    unknown_domains: list[str] = Field(validation_alias="unknown")
    changes: dict[str, FieldChange]

    @classmethod
    def of(cls, row: RowView) -> Self:
        named = {"kind": row.kind, "why": row.why(), "unknown": list(row.unknown)}
        return cls.model_validate({**vars(row), **named, "changes": _changes(row.changes)})


class Plan(View):
    """summary counts rows per kind, fields users per field; observed: users of OpenMetadata whom
    the directory does not name. counts: what the page's filters show (`PlanView.counts`), of
    which `changes` are the users that applying would write."""

    plan_id: int = Field(validation_alias="id")
    environment: str
    status: str = Field(validation_alias="state")
    error: str | None
    origin: str
    reverts_run_id: int | None
    run_id: int | None
    summary: dict[str, int] = Field(validation_alias="kinds")
    counts: dict[str, int]
    fields: dict[str, int]
    observed: dict[str, int]
    directory_users: int = Field(validation_alias="directory_count")
    matched_users: int = Field(validation_alias="matched_count")
    digest: str
    created_at: datetime
    created_by: str = Field(validation_alias="actor_name")
    expires_at: datetime | None

    @classmethod
    def of(cls, plan: PlanView, **more: Any) -> Self:
        fields = {name: count for name, count in plan.fields.items() if name not in OBSERVED}
        named = {"fields": fields, "observed": plan.observed, "counts": plan.counts}
        return cls.model_validate({**vars(plan), **named, **more})


class WholePlan(Plan):
    """A plan with all its rows."""

    rows: list[PlanRow]


class PlanPage(WholePlan):
    """A plan with `rows` from an offset on, of `total`."""

    total: int
    next_cursor: int | None

    @classmethod
    def page(cls, plan: PlanView, page: RowPage) -> Self:
        end = page.offset + len(page.items)
        rows = [PlanRow.of(row) for row in page.items]
        following = end if end < page.total else None
        return cls.of(plan, rows=rows, total=page.total, next_cursor=following)


class PlanList(View):
    items: list[Plan]
    next_cursor: int | None


class RunRow(View):
    """One user of a run. stored: the fields that were written."""

    email: str
    user_id: str
    status: str
    reason: str
    stored: list[str]

    @classmethod
    def of(cls, item: ItemView) -> Self:
        return cls(
            email=item.email,
            user_id=item.user_id,
            status=status(item.state),
            reason=item.reason,
            stored=list(item.stored),
        )


class Run(View):
    """summary counts all users, and always names applied, conflict and failed. rows may be a page
    of them: with a `next_cursor` there are more. reused: the plan had been applied before."""

    run_id: int = Field(validation_alias="id")
    plan_id: int
    environment: str
    status: str = Field(validation_alias="state")
    note: str
    reused: bool
    summary: dict[str, int] = Field(validation_alias="counts")
    rows: list[RunRow]
    next_cursor: int | None = None

    @classmethod
    def of(
        cls, run: RunView, items: Iterable[ItemView] = (), *, next_cursor: int | None = None
    ) -> Self:
        counts = {status(state): count for state, count in run.counts.items()}
        rows = [RunRow.of(item) for item in items]
        named = {"counts": {**_nothing(), **counts}, "rows": rows, "next_cursor": next_cursor}
        return cls.model_validate({**vars(run), **named})


class RunList(View):
    items: list[Run]
    next_cursor: int | None


class Refusal(View):
    """A run that was refused, with the keys of a run. error: its kind, "" when there was nothing
    to do; detail: the sentence."""

    run_id: None = None
    plan_id: int | None
    summary: dict[str, int] = Field(default_factory=lambda: _nothing())
    rows: list[RunRow] = Field(default_factory=list)
    error: str
    detail: str
    message: str = ""

    @model_validator(mode="before")
    @classmethod
    def _message(cls, given: dict[str, Any]) -> dict[str, Any]:
        # The key of earlier releases.
        return {"message": given["detail"], **given}


def _nothing() -> dict[str, int]:
    return {"applied": 0, "conflict": 0, "failed": 0}


def _changes(changes: Changes) -> dict[str, dict[str, object]]:
    return {
        name: {"old": ATTRIBUTES[name].document(old), "new": ATTRIBUTES[name].document(new)}
        for name, (old, new) in changes.items()
    }
