"""Taking a (target, host): the lock, the look at the ledger, the decision; one transaction."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, insert, select, true, update
from sqlalchemy.exc import IntegrityError

from backend.core.words import counted
from backend.dms import schema
from backend.dms.ledger import Ledger
from backend.dms.requests import MountRequest

State = Literal["in_flight", "succeeded", "failed", "not_delivered", "shared", "unknown", "settled"]
MAX_TEXT = 16_000

_o = schema.operation.c
_t = schema.ledger.c


@dataclass(frozen=True)
class Claim:
    """What has to happen now that the pair is ours.

    send: a message must be sent. shared: the ledger was changed and nothing is to be sent.
    nothing: an unmount of what is not mounted; no record was kept.
    others: other jobs that hold the mount. already: this job held it before.
    unresolved: an earlier operation on the pair has an unknown outcome.
    """

    decision: Literal["send", "shared", "nothing"]
    operation_id: str
    others: int = 0
    already: bool = False
    ledger_id: int | None = None
    unresolved: bool = False


class Busy(Exception):
    """Another client works on this pair."""


class NothingMounted(Exception):
    """An unmount of what this job does not hold; rolls the record back."""

    def __init__(self, others: int) -> None:
        super().__init__(others)
        self.others = others


def pair_key(backup_target_id: str, host: str) -> str:
    """The lock's name. Case is folded: MySQL's default collation compares the ledger that way."""
    return hashlib.sha256(f"{backup_target_id}\0{host}".casefold().encode()).hexdigest()


def take(
    connection: Connection,
    ledger: Ledger,
    request: MountRequest,
    operation_id: str,
    *,
    owner: str,
    actor: str | None,
    reply_queue: str,
    lease: float,
) -> Claim:
    """Write the record that locks the pair, read the ledger, decide.

    Raises Busy (another client holds the pair) or NothingMounted; both roll the record back.
    """
    record = {
        "operation_id": operation_id,
        "pair_lock": pair_key(request.backup_target_id, request.host),
        "lease_until": ledger.now(lease),
        "owner": owner,
        "actor": actor,
        "action": request.action,
        "backup_target_id": request.backup_target_id,
        "host": request.host,
        "jobid": request.jobid,
        "state": "in_flight",
        "request": json.dumps(request.masked(), ensure_ascii=False)[:MAX_TEXT],
        "reply_queue": reply_queue,
        "created_at": ledger.now(),
    }
    try:
        connection.execute(insert(schema.operation).values(record))
    except IntegrityError as exc:
        raise Busy from exc
    mounted = _mounted(connection, ledger, request)
    mine = [row for row in mounted if row.jobid == request.jobid]
    others = len({row.jobid for row in mounted} - {request.jobid})
    unresolved = _unresolved(connection, request)
    decide = _mount if request.action == "mount" else _unmount
    return decide(
        connection,
        ledger,
        request,
        Claim("send", operation_id, others, bool(mine), mine[0].id if mine else None, unresolved),
    )


def _mounted(connection: Connection, ledger: Ledger, request: MountRequest) -> list[Any]:
    """Rows that hold the mount. Soft-deleted ones count: the mount under them is real."""
    query = (
        select(_t.id, _t.jobid)
        .where(
            _t.mounted == true(),
            _t.host == request.host,
            _t.backup_target_id == request.backup_target_id,
        )
        .with_for_update()
    )
    return list(connection.execute(ledger.hinted(query, "idx_mounted_host")))


def _unresolved(connection: Connection, request: MountRequest) -> bool:
    query = select(_o.id).where(
        _o.backup_target_id == request.backup_target_id,
        _o.host == request.host,
        _o.state == "unknown",
    )
    return connection.execute(query.limit(1)).first() is not None


def _mount(connection: Connection, ledger: Ledger, request: MountRequest, claim: Claim) -> Claim:
    if claim.unresolved or not (claim.already or claim.others):
        # After an unknown outcome the ledger alone proves nothing: ask the server again, which
        # answers success for what is mounted already.
        return claim
    ledger_id = claim.ledger_id
    note = "already mounted for this job"
    if ledger_id is None:
        ledger_id = insert_mounted(connection, ledger, request)
        note = f"shared with {counted(claim.others, 'other job')}"
    return _shared(connection, ledger, claim, note, ledger_id)


def _unmount(connection: Connection, ledger: Ledger, request: MountRequest, claim: Claim) -> Claim:
    if not claim.already and (claim.others or not claim.unresolved):
        raise NothingMounted(claim.others)
    if not claim.others:
        return claim
    clear_mounted(connection, ledger, request)
    note = f"still mounted for {counted(claim.others, 'other job')}"
    return _shared(connection, ledger, claim, note, claim.ledger_id)


def _shared(
    connection: Connection, ledger: Ledger, claim: Claim, note: str, ledger_id: int | None
) -> Claim:
    close(connection, ledger, claim.operation_id, "shared", note=note, ledger_id=ledger_id)
    return Claim("shared", claim.operation_id, claim.others, claim.already, ledger_id)


# -- rows: shared with the end of an operation ---------------------------------------------------


def insert_mounted(connection: Connection, ledger: Ledger, request: MountRequest) -> int:
    """A new entry that says mounted; its id."""
    now = ledger.now(whole=True)
    done = connection.execute(
        insert(schema.ledger).values(
            created_at=now,
            updated_at=now,
            deleted=False,
            backup_target_id=request.backup_target_id,
            jobid=request.jobid,
            host=request.host,
            mounted=True,
        )
    )
    key = done.inserted_primary_key
    assert key is not None  # noqa: S101 - an INSERT of one row has one
    return int(key[0])


def held_by(connection: Connection, request: MountRequest) -> int | None:
    """The entry by which the job already holds the mount."""
    return connection.execute(
        select(_t.id).where(*_mine(request), _t.deleted != true()).limit(1)
    ).scalar()


def clear_mounted(connection: Connection, ledger: Ledger, request: MountRequest) -> None:
    """The job's entries of the pair say unmounted."""
    connection.execute(
        update(schema.ledger)
        .where(*_mine(request))
        .values(mounted=False, updated_at=ledger.now(whole=True))
    )


def _mine(request: MountRequest) -> tuple[Any, ...]:
    return (
        _t.jobid == request.jobid,
        _t.backup_target_id == request.backup_target_id,
        _t.host == request.host,
        _t.mounted == true(),
    )


def close(
    connection: Connection,
    ledger: Ledger,
    operation_id: str,
    state: State,
    *,
    note: str | None = None,
    said: str | None = None,
    ledger_id: int | None = None,
) -> None:
    """End the record and free the pair, if the record still holds it."""
    values: dict[str, Any] = {
        "state": state,
        "pair_lock": None,
        "lease_until": None,
        "finished_at": ledger.now(),
        "note": note,
    }
    if ledger_id is not None:
        values["ledger_id"] = ledger_id
    if said is not None:
        values.update(reply=said[:MAX_TEXT], reply_at=ledger.now(), replies=_o.replies + 1)
    connection.execute(
        update(schema.operation)
        .where(_o.operation_id == operation_id, _o.pair_lock.is_not(None))
        .values(**values)
    )
