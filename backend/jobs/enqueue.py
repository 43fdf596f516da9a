"""Ask for a job: its row is written with the caller's own rows, its message sent after commit."""

from typing import Any

from backend.core.access import Actor
from backend.core.database import WriteSession, after_commit, database_now
from backend.jobs import broker, registry
from backend.models.jobs import Job


def enqueue(
    session: WriteSession,
    actor: Actor,
    kind: str,
    arguments: dict[str, Any],
    *,
    subject: str,
) -> int:
    """Queue a job and return its id.

    kind: `domain.verb`. arguments: ids and plain JSON values only. subject: what it is about, in
    words, shown on the Jobs page. If the message is lost, recovery finds the row and sends again.
    """
    known = registry.kind(kind)
    now = database_now(session)
    row = Job(
        kind=kind,
        title=known.title,
        subject=subject[:500],
        arguments=arguments,
        state="queued",
        resumable=known.resumable,
        actor_id=actor.id,
        actor_name=actor.name,
        actor_role=actor.role.value,
        actor_kind=actor.kind,
        created_at=now,
        heartbeat_at=now,
        attempt=0,
        cancel_requested=False,
        progress_done=0,
        note="",
    )
    session.add(row)
    session.flush()
    job_id = row.id
    after_commit(session, lambda: broker.send(job_id))
    return job_id
