"""How a job ended, for those who want to be told."""

from typing import Any

from backend.core import events
from backend.core.database import WriteSession
from backend.core.events import About
from backend.jobs import registry
from backend.models.jobs import Job

_BAD = {"failed": "failed", "interrupted": "was interrupted"}


def ended(session: WriteSession, row: Job, state: str, result: dict[str, Any] | None) -> None:
    """A bad end is a condition that the next good end of the same work is over; nobody is told of
    the same failure every night. One that waits for an approval has its own event."""
    if not registry.kind(row.kind).told or (result or {}).get("status") == "waiting":
        return
    person = row.actor_id if row.actor_kind == "user" else None
    cause = f"{row.kind}|{row.subject}|{person}"
    if state in _BAD:
        events.raised(session, "jobs.failed", cause, _about(row, person, _BAD[state]))
    elif state == "unknown":
        events.once(session, "jobs.unknown", _about(row, person, "has an unknown outcome"))
    elif state == "succeeded":
        events.over(session, "jobs.failed", cause, f"{_called(row)} succeeded")
        if person is not None:
            events.once(session, "jobs.finished", _about(row, person, "succeeded"))


def _about(row: Job, person: int | None, word: str) -> About:
    return About(f"{_called(row)} {word}", "jobs", {"job": str(row.id)}, concerns_id=person)


def _called(row: Job) -> str:
    # Not the subject: it may name a person.
    return f"Run {row.id}, {row.title.lower()},"
