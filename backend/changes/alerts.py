"""What waits for a decision, and what was approved and did not end well, for the Overview page."""

from datetime import timedelta

from backend.changes import actions, repository
from backend.core import access, clock
from backend.core.access import Actor, Permission
from backend.core.alerts import Alert, Severity
from backend.core.database import ReadSession
from backend.core.words import counted
from backend.models.changes import Change

PAGE = "changes"
RECENT = timedelta(days=7)
_MOST = 500
_ENDED: dict[str, tuple[Severity, str]] = {
    "failed": ("warning", "failed"),
    "unknown": ("error", "has an unknown outcome"),
    "refused": ("warning", "was approved and then not carried out"),
}


def alerts(session: ReadSession, actor: Actor) -> list[Alert]:
    """One line for all that waits, and each that ended badly in the last 7 days: a later one of the
    same that was carried out answers it."""
    if not actor.may(Permission.CHANGES_READ):
        return []
    since = clock.now() - RECENT
    rows = repository.last_ended(session, tuple(_ENDED), since=since, limit=_MOST)
    found = [_ended(row) for row in rows if access.in_reach(row.environment_id)]
    count, oldest = repository.count_waiting(session)
    if count:
        text = f"{counted(count, 'change waits', 'changes wait')} for an approval."
        found.append(Alert("info", text, PAGE, oldest))
    return found


def _ended(row: Change) -> Alert:
    severity, word = _ENDED[row.state]
    known = actions.everything().get(row.action)
    label = known.label.lower() if known else row.action
    where = row.environment or "the portal"
    text = f"Change {row.id}, {label} in {where}, {word}. {row.outcome}"
    return Alert(severity, text.strip(), PAGE, row.finished_at, (("change", str(row.id)),))
