"""Is the portal's own memory whole: the file of the state database, and the audit log in it."""

from backend.core import audit, startup
from backend.core.database import Database

KIND = "accounts.check_state"


def problem(database: Database, *, full: bool) -> str:
    """What is wrong with the state, in a sentence; "" when nothing is.

    full: the audit log from its first row, not from where it was last found whole.
    """
    damage = startup.damage(database)
    if damage:
        return damage
    found = database.ask(audit.verify, full=full)
    return "" if found.ok else f"The audit log was changed: {found.problem}."
