"""Taking a (target, host): the lock, the look at the ledger, the decision; one transaction."""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, column, insert, select, table, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from . import schema, shape
from .ledger import Ledger
from .requests import MountRequest, counted

log = logging.getLogger(__name__)

State = Literal[
    "in_flight",
    "succeeded",
    "failed",
    "not_delivered",
    "shared",
    "unknown",
    "settled",
    "released",
]
MAX_REQUEST = 16_000

_o = schema.operation.c


@dataclass(frozen=True)
class Claim:
    """What has to happen now that the pair is ours.

    send: a message must be sent. shared: the ledger was changed and nothing is to be sent.
    nothing: refused, `why` says so; no record was kept.
    others: other jobs that hold the mount. already: this job held it before.
    unresolved: an earlier operation on the pair has an unknown outcome.
    """

    decision: Literal["send", "shared", "nothing"]
    operation_id: str
    others: int = 0
    already: bool = False
    unresolved: bool = False
    why: str = ""


class Busy(Exception):
    """Another client works on this pair."""


class Refused(Exception):
    """Nothing may be sent; `why` is a clause for a person. Rolls the record back."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def pair_key(backup_target_id: str, host: str) -> str:
    """The lock's name, the same in every release: clients of several may share a ledger.

    Case is folded, so that spellings which MySQL takes for the same mostly wait for each other.
    """
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
    ask: bool = False,
) -> Claim:
    """Write the record that locks the pair, read the ledger, decide.

    ask: the server is asked whatever the ledger says. Raises Busy (another client holds the pair)
    or Refused; both roll the record back.
    """
    lock(
        connection,
        ledger,
        request,
        operation_id,
        owner=owner,
        actor=actor,
        reply_queue=reply_queue,
        lease=lease,
    )
    _refuse_unwritable(connection, ledger, request)
    held = _mounted(connection, ledger, request)
    mine = [row for row in held if row.jobid == request.jobid and _exact(row, request)]
    others = len({row.jobid for row in held} - {request.jobid})
    unresolved = _unresolved(connection, request)
    decide = _mount if request.action == "mount" else _unmount
    claim = Claim("send", operation_id, others, bool(mine), unresolved)
    if ask:
        return _asked(request, claim, held)
    return decide(connection, ledger, request, claim)


def lock(
    connection: Connection,
    ledger: Ledger,
    request: MountRequest,
    operation_id: str,
    *,
    owner: str,
    actor: str | None,
    reply_queue: str,
    lease: float,
) -> None:
    """Write the record that locks the pair. Raises Busy while another one does."""
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
        "request": json.dumps(request.masked(), ensure_ascii=False)[:MAX_REQUEST],
        "reply_queue": reply_queue,
        "created_at": ledger.now(),
    }
    try:
        connection.execute(insert(schema.operation).values(record))
    except IntegrityError as exc:
        raise Busy from exc


def _asked(request: MountRequest, claim: Claim, held: list[Any]) -> Claim:
    """Ask the server to do what the ledger says: it answers "already" when that is so.

    Raises Refused where the ledger and the request disagree, as they do when another operation
    came in between: an unmount for somebody's mount must never be sent.
    """
    if request.action == "mount" and not claim.already:
        raise Refused(f"The ledger no longer says mounted for job {request.jobid}")
    if request.action == "unmount" and held:
        raise Refused(f"The ledger says mounted for job {held[0].jobid} by now")
    return claim


def _refuse_unwritable(connection: Connection, ledger: Ledger, request: MountRequest) -> None:
    """Raise Refused for what the ledger would refuse after the server has acted."""
    values = {
        "jobid": request.jobid,
        "backup_target_id": request.backup_target_id,
        "host": request.host,
    }
    for name, text in ledger.shape.texts.items():
        value = str(values[name])
        if not text.takes(value):
            raise Refused(
                f"The ledger's column {name} has the character set {text.charset}, which cannot "
                f"hold {value!r}"
            )
        if text.length is not None and len(value) > text.length:
            raise Refused(
                f"The ledger's column {name} holds {text.length} characters, and this name has "
                f"{len(value)}"
            )
    if request.action == "mount":
        for reference in ledger.shape.references:
            _refuse_orphaned(connection, reference, values)
        if not ledger.shape.has_id:
            _refuse_twin(connection, ledger, request)


def _refuse_orphaned(
    connection: Connection, reference: shape.Reference, values: Mapping[str, object]
) -> None:
    parent = table(reference.table, *map(column, reference.referred), schema=reference.schema)
    pairs = list(zip(reference.referred, reference.columns, strict=True))
    query = select(parent.c[pairs[0][0]]).limit(1)
    for referred, name in pairs:
        query = query.where(parent.c[referred] == values[name])
    try:
        with connection.begin_nested():
            found = connection.execute(query).first()
    except DBAPIError:  # a table that this user may not read; the ledger's own answer decides
        log.info("The table %s of a foreign key could not be read.", reference.table)
        return
    if found is None:
        what = ", ".join(f"{_NOUNS[name]} {values[name]}" for _referred, name in pairs)
        raise Refused(f"{what} is not in {reference.table}, and the ledger requires it")


def _refuse_twin(connection: Connection, ledger: Ledger, request: MountRequest) -> None:
    """A row of the job in a spelling that the key takes for the same: there is room for one."""
    t = ledger.t
    query = select(t.jobid, t.backup_target_id, t.host).where(
        t.jobid == request.jobid,
        t.backup_target_id == request.backup_target_id,
        t.host == request.host,
    )
    row = connection.execute(query).first()
    if row is not None and not _exact(row, request):
        raise Refused(_other_spelling(request, row, "already"))


_NOUNS = {"jobid": "Job", "backup_target_id": "Target", "host": "Host"}


def _mounted(connection: Connection, ledger: Ledger, request: MountRequest) -> list[Any]:
    """Rows that hold the mount, as far as `request` may rely on them.

    A mount is shared only on rows that leave no doubt: spelt as the request, and not deleted. For
    an unmount every row counts, deleted ones and those in a spelling that the database takes for
    the same: a mount under them may be real, and unmounting it could cut a running job. Raises
    Refused when only another spelling is in the ledger.
    """
    t = ledger.t
    query = select(t.jobid, t.host, t.backup_target_id, t.deleted).where(
        ledger.shape.flag("mounted", True),
        t.host == request.host,
        t.backup_target_id == request.backup_target_id,
    )
    if {"host", "mounted", "backup_target_id"} & ledger.shape.leading:
        # Without an index every row of the table would be locked; our own clients are kept off
        # the pair by the record's lock in any case.
        query = query.with_for_update()
    rows = list(connection.execute(ledger.hinted(query, "idx_mounted_host")))
    mounting = request.action == "mount"
    if not any(_exact(row, request) and (mounting or row.jobid == request.jobid) for row in rows):
        for row in rows:
            if mounting or row.jobid == request.jobid:
                raise Refused(_other_spelling(request, row))
    if not mounting:
        return rows
    return [row for row in rows if _exact(row, request) and not row.deleted]


def _exact(row: Any, request: MountRequest) -> bool:
    """What `_pair` asks of the database, of a row that is here: every mount asks it twice."""
    return (row.backup_target_id, row.host) == (request.backup_target_id, request.host)


def _other_spelling(request: MountRequest, row: Any, held: str = "mounted") -> str:
    asked, found = request.backup_target_id, row.backup_target_id
    if found == asked:
        asked, found = request.host, row.host
    return (
        f"The ledger has {found!r} {held} for job {row.jobid} on {row.host}, and its database "
        f"takes {asked!r} for the same: use the ledger's spelling, or unmount that one first"
    )


def _pair(ledger: Ledger, table: Any, request: MountRequest) -> tuple[ColumnElement[bool], ...]:
    """Rows of the request's target and host in `table`, in just this spelling."""
    return (
        ledger.exactly(table.backup_target_id, request.backup_target_id),
        ledger.exactly(table.host, request.host),
    )


def unknown_of(ledger: Ledger, request: MountRequest) -> tuple[ColumnElement[bool], ...]:
    """Operations on the pair whose outcome is unknown."""
    return (*_pair(ledger, _o, request), _o.state == "unknown")


def _unresolved(connection: Connection, request: MountRequest) -> bool:
    query = select(_o.host, _o.backup_target_id).where(
        _o.backup_target_id == request.backup_target_id,
        _o.host == request.host,
        _o.state == "unknown",
    )
    return any(_exact(row, request) for row in connection.execute(query))


def _mount(connection: Connection, ledger: Ledger, request: MountRequest, claim: Claim) -> Claim:
    if claim.unresolved or not (claim.already or claim.others):
        # After an unknown outcome the ledger alone proves nothing: ask the server again, which
        # answers success for what is mounted already.
        return claim
    ledger_id, note = None, "already mounted for this job"
    if not claim.already:
        ledger_id = set_mounted(connection, ledger, request)
        note = f"shared with {counted(claim.others, 'other job')}"
    return _shared(connection, ledger, claim, note, ledger_id)


def _unmount(connection: Connection, ledger: Ledger, request: MountRequest, claim: Claim) -> Claim:
    if not claim.already and (claim.others or not claim.unresolved):
        raise Refused(
            f"Job {request.jobid} has no active mount of {request.backup_target_id} on "
            f"{request.host}"
        )
    if not claim.others:
        return claim
    clear_mounted(connection, ledger, request)
    note = f"still mounted for {counted(claim.others, 'other job')}"
    return _shared(connection, ledger, claim, note)


def _shared(
    connection: Connection,
    ledger: Ledger,
    claim: Claim,
    note: str,
    ledger_id: int | None = None,
) -> Claim:
    close(connection, ledger, claim.operation_id, "shared", note=note, ledger_id=ledger_id)
    return Claim("shared", claim.operation_id, claim.others, claim.already)


# -- rows: shared with the end of an operation ---------------------------------------------------


def set_mounted(connection: Connection, ledger: Ledger, request: MountRequest) -> int | None:
    """The job's one entry of the pair says mounted; its id, None where entries have none.

    There is one row per job, target and host: a later mount revives it. Of rows that earlier
    versions doubled, the mounted one or the newest.
    """
    t, entries = ledger.t, ledger.shape.table
    now = ledger.now(whole=True)
    columns = [t.mounted, t.deleted] + ([t.id] if ledger.shape.has_id else [])
    query = select(*columns).where(*_mine(ledger, request))
    query = query.order_by(t.mounted.desc(), *ledger.shape.order(newest_first=True)).limit(1)
    row = connection.execute(ledger.hinted(query, "idx_job_target")).first()
    if row is None:
        made = {"created_at": now, "updated_at": now, "deleted": False, "mounted": True}
        made |= {"backup_target_id": request.backup_target_id, "jobid": request.jobid}
        done = connection.execute(insert(entries).values(**made, host=request.host))
        key = done.inserted_primary_key
        return int(key[0]) if ledger.shape.has_id and key else None
    which = [t.id == row.id] if ledger.shape.has_id else _mine(ledger, request)
    if not row.mounted or row.deleted:
        revived = {"mounted": True, "deleted": False, "deleted_at": None, "updated_at": now}
        connection.execute(update(entries).where(*which).values(**revived))
    return int(row.id) if ledger.shape.has_id else None


def clear_mounted(connection: Connection, ledger: Ledger, request: MountRequest) -> int:
    """The job's entries of the pair say unmounted; how many were changed."""
    done = connection.execute(
        update(ledger.shape.table)
        .where(*_mine(ledger, request), ledger.shape.flag("mounted", True))
        .values(mounted=False, updated_at=ledger.now(whole=True))
    )
    return done.rowcount


def _mine(ledger: Ledger, request: MountRequest) -> tuple[ColumnElement[bool], ...]:
    return (ledger.t.jobid == request.jobid, *_pair(ledger, ledger.t, request))


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
        values.update(reply=said, reply_at=ledger.now(), replies=_o.replies + 1)
    connection.execute(
        update(schema.operation)
        .where(_o.operation_id == operation_id, _o.pair_lock.is_not(None))
        .values(**values)
    )
