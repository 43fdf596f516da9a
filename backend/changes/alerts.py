"""What waits for a decision, for the Overview page."""

from backend.changes import repository
from backend.core.access import Actor, Permission
from backend.core.alerts import Alert
from backend.core.database import ReadSession
from backend.core.words import counted

PAGE = "changes"


def alerts(session: ReadSession, actor: Actor) -> list[Alert]:
    """One line for all that waits."""
    if not actor.may(Permission.CHANGES_READ):
        return []
    count, since = repository.count_waiting(session)
    if not count:
        return []
    text = f"{counted(count, 'change waits', 'changes wait')} for an approval."
    return [Alert("info", text, PAGE, since)]
