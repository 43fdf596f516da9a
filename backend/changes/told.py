"""What people are told of a request: those who may approve that it waits, who asked how it went."""

from backend.accounts import identity
from backend.changes import actions
from backend.core import events
from backend.core.access import Actor
from backend.core.database import ReadSession, WriteSession
from backend.core.events import About
from backend.models.changes import Change

_NOT_BEGUN = frozenset({"rejected", "withdrawn", "expired"})


def waits(session: WriteSession, row: Change) -> None:
    """Approvers are told; who asked cannot approve and knows."""
    action = actions.get(row.action)
    subject = f"Change {row.id}: {action.label.lower()} in {row.environment or 'the portal'}"
    about = About(
        subject,
        "changes",
        {"change": str(row.id)},
        row.environment_id,
        excludes_id=_requester(session, row),
        permission=action.permission,
    )
    events.raised(session, "changes.waiting", str(row.id), about)


def decided(session: WriteSession, row: Change, actor: Actor) -> None:
    """It waits no more; who asked is told unless they did it."""
    events.over(session, "changes.waiting", str(row.id), f"Change {row.id} is {row.state}")
    kind = "changes.expired" if row.state == "expired" else "changes.decided"
    _tell(session, row, kind, events.account_of(actor))


def ended(session: WriteSession, row: Change, actor: Actor) -> None:
    """How it ended, in a word; why stands on its page."""
    if row.state in _NOT_BEGUN:
        decided(session, row, actor)
    else:
        _tell(session, row, "changes.ended", None)


def _tell(session: WriteSession, row: Change, kind: str, excludes_id: int | None) -> None:
    well = row.state in ("approved", "succeeded")
    about = About(
        f"Change {row.id} is {row.state}",
        "changes",
        {"change": str(row.id)},
        row.environment_id,
        concerns_id=_requester(session, row),
        excludes_id=excludes_id,
        permission=actions.get(row.action).permission,
        severity="info" if well else "warning",
    )
    events.once(session, kind, about)


def _requester(session: ReadSession, row: Change) -> int | None:
    """The account that asked, or that made the token that did; None for a login on the machine."""
    return identity.of(
        session, kind=row.requester_kind, id=row.requester_id, name=row.requester_name
    ).account_id
