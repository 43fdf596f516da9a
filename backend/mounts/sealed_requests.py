"""Requests on their way to a job: they carry secrets, so they wait encrypted and are used once."""

import json
from dataclasses import dataclass
from typing import Any

from backend.core import secret_store
from backend.core.access import Actor
from backend.core.crypto import Vault
from backend.core.database import Database, WriteSession
from backend.jobs import enqueue as jobs
from backend.mounts import repository
from backend.mounts.errors import RequestGone
from backend.mounts.settings import DmsSettings


@dataclass(frozen=True)
class Boxed:
    """environment: "" for the DMS_* settings."""

    environment: str
    kind: str
    operation_id: str
    document: Any


def put(
    session: WriteSession, where: DmsSettings, kind: str, document: object, operation_id: str = ""
) -> int:
    """The id by which `take` finds it."""
    place = _binding(where.environment, kind, operation_id)
    return repository.add_request(
        session,
        environment=where.environment,
        kind=kind,
        operation_id=operation_id,
        ciphertext=secret_store.get_vault().encrypt(json.dumps(document), binding=place),
    )


def enqueue(
    database: Database,
    actor: Actor,
    where: DmsSettings,
    kind: str,
    document: object,
    *,
    job: str,
    subject: str,
) -> int:
    """`put`, and the job that takes it, in one transaction; the job's id."""
    with database.write() as session:
        request_id = put(session, where, kind, document)
        return jobs.enqueue(
            session,
            actor,
            job,
            {"request_id": request_id},
            subject=subject,
            environment=where.environment,
        )


def take(database: Database, request_id: int) -> Boxed:
    """Out of the box for good: a job delivered twice must not ask twice. Raises RequestGone."""
    with database.write() as session:
        row = repository.find_request(session, request_id)
        if row is None:
            raise RequestGone
        place = _binding(row.environment, row.kind, row.operation_id)
        document = secret_store.get_vault().decrypt(row.ciphertext, binding=place)
        found = Boxed(row.environment, row.kind, row.operation_id, json.loads(document))
        repository.delete_request(session, request_id)
    return found


def rotate(session: WriteSession, vault: Vault) -> int:
    """Put every waiting request under the vault's first key; how many."""
    rows = repository.all_requests_locked(session)
    for row in rows:
        place = _binding(row.environment, row.kind, row.operation_id)
        row.ciphertext = vault.rotate(row.ciphertext, binding=place)
    return len(rows)


def _binding(environment: str, kind: str, operation_id: str) -> str:
    return f"mount request {environment}/{kind}/{operation_id}"
