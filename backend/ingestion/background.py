"""Queue ingestion's longer work as jobs."""

from backend.connections import resolve as connections
from backend.core import access
from backend.core.access import Actor, Permission
from backend.core.database import WriteSession
from backend.ingestion.links import Mode
from backend.ingestion.managed import only_one
from backend.integrations.datahub import urns
from backend.jobs.enqueue import enqueue


def queue_links(
    session: WriteSession,
    actor: Actor,
    *,
    mode: Mode,
    environment: str | None = None,
    dataset_urn: str = "",
) -> int:
    """Queue putting or removing links, on all datasets or on one; returns the job's id."""
    access.require(actor, Permission.INGESTION_MAPPING_WRITE)
    if dataset_urn:
        urns.parse_dataset(dataset_urn)
    where = connections.environment(session, environment)
    subject = f"{mode} links on {dataset_urn or 'all datasets'} of {where.name}"
    only_one(session, actor, where.id, "ingestion.links", subject[:500])
    arguments = {"mode": mode, "environment": where.name}
    if dataset_urn:
        # mypy: JSON arguments: the list is one more shape of value
        arguments |= {"dataset_urns": [dataset_urn]}  # type: ignore[dict-item]
    return enqueue(
        session, actor, "ingestion.links", arguments, subject=subject, environment=where.name
    )


def queue_check(session: WriteSession, actor: Actor, *, environment: str | None = None) -> int:
    """Queue a check of every mapped target; returns the job's id."""
    access.require(actor, Permission.INGESTION_MAPPING_WRITE)
    where = connections.environment(session, environment)
    subject = f"mapped targets of {where.name}"
    only_one(session, actor, where.id, "ingestion.check", subject)
    arguments = {"environment": where.name}
    return enqueue(
        session, actor, "ingestion.check", arguments, subject=subject, environment=where.name
    )
