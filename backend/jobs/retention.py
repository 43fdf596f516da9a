"""What the rules of retention would remove now, and the clean-up on request."""

from collections.abc import Callable

from backend.core import access, audit, retention
from backend.core.access import Actor, Permission
from backend.core.database import Database, ReadSession, WriteSession
from backend.core.retention import Rule
from backend.core.settings import variable_names
from backend.jobs.answers import RetentionList, RetentionRule
from backend.jobs.enqueue import enqueue

KIND = "jobs.retention"


def show(session: ReadSession, actor: Actor) -> RetentionList:
    """Each table's rule and how many rows would leave now; changes nothing."""
    access.require(actor, Permission.RETENTION_READ)
    return RetentionList(items=[_answer(session, rule) for rule in retention.rules()])


def run(
    database: Database, actor: Actor, *, step: Callable[[Rule, int], None] | None = None
) -> dict[str, int]:
    """Remove what was kept long enough; rows by table. Two at once do no harm.

    step: see `retention.clean`. Raises LogBroken where the audit log was changed.
    """
    access.require(actor, Permission.RETENTION_RUN)
    removed: dict[str, int] = {}
    try:
        for table, count in retention.clean(database, step or _go_on):
            removed[table] = count
    finally:
        if removed:
            _record(database, actor, removed)
    return removed


def _go_on(_rule: Rule, _done: int) -> None:
    """Nobody watches, and nobody stops it."""


def start(session: WriteSession, actor: Actor) -> int:
    """Start the same as a job; its number."""
    access.require(actor, Permission.RETENTION_RUN)
    access.require_everywhere("Removing old rows")
    return enqueue(session, actor, KIND, {}, subject="rows that were kept long enough")


def _record(database: Database, actor: Actor, removed: dict[str, int]) -> None:
    database.change(
        audit.done,
        actor,
        Permission.RETENTION_RUN.value,
        "rows that were kept long enough",
        removed=removed,
    )


def _answer(session: ReadSession, rule: Rule) -> RetentionRule:
    before = rule.before
    return RetentionRule(
        table=rule.table,
        kept=rule.words,
        setting=variable_names(rule.setting)[0] if rule.setting else None,
        days=rule.days or None,
        due=rule.leaver.due(session, before) if before is not None and rule.leaver else 0,
    )
