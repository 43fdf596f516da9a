"""Ask for a job: its row is written with the caller's own rows, its message sent after commit."""

from typing import Any

from sqlalchemy import select

from backend.core.access import Actor
from backend.core.database import ReadSession, WriteSession, after_commit, database_now
from backend.jobs import broker, registry
from backend.models.connections import Environment
from backend.models.jobs import Job


def enqueue(
    session: WriteSession,
    actor: Actor,
    kind: str,
    arguments: dict[str, Any],
    *,
    subject: str,
    environment: str | None = None,
) -> int:
    """Queue a job and return its id.

    kind: `domain.verb`. arguments: ids and plain JSON values only. subject: what it is about, in
    words, shown on the Jobs page. environment: the only one whose systems it asks, "" for none's;
    None where it may be any. If the message is lost, recovery finds the row and sends again.
    """
    known = registry.kind(kind)
    now = database_now(session)
    row = Job(
        kind=kind,
        title=known.title,
        subject=subject[:500],
        arguments=arguments,
        state="queued",
        queue=broker.SANDBOX if known.portal else queue_of(session, environment),
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
    job_id, queue = row.id, row.queue
    after_commit(session, lambda: broker.send(job_id, queue))
    return job_id


def queue_of(session: ReadSession, environment: str | None) -> str:
    """Where a job for that environment, or for any of them, can reach what it asks.

    The portal's process reaches the sandbox's servers and everybody else's, a worker's only the
    latter.
    """
    sandboxes = session.scalars(select(Environment.name).where(Environment.is_sandbox)).all()
    reached = bool(sandboxes) if environment is None else environment in sandboxes
    return broker.SANDBOX if reached else broker.JOBS
