"""What has to happen with a pair that is locked: send, share, or refuse."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, column, select, table
from sqlalchemy.exc import DBAPIError

from .records import Entry, Found, Records, Step
from .requests import MountRequest, counted
from .shape import Reference


@dataclass(frozen=True)
class Claim:
    """The decision.

    send: a message must be sent. shared: the ledger was changed and nothing is to be sent, `said`
    is the sentence for it. nothing: refused, `said` says why; no record was kept.
    found: what the ledger held, None when it has to be asked again.
    """

    decision: Literal["send", "shared", "nothing"]
    operation_id: str
    said: str = ""
    found: Found | None = None
    unresolved: bool = False


class Refused(Exception):
    """Nothing may be sent; `why` is a clause for a person. Rolls the record back."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def decide(
    connection: Connection,
    records: Records,
    request: MountRequest,
    operation_id: str,
    found: Found,
    *,
    ask: bool,
) -> Claim:
    """Decide by what the ledger says. ask: the server is asked whatever it says.

    Raises Refused.
    """
    held = _relied_on(request, found)
    mine = any(entry.jobid == request.jobid for entry in held)
    others = len({entry.jobid for entry in held} - {request.jobid})
    # After an unknown outcome the ledger alone proves nothing: ask the server again, which answers
    # success for what is mounted already.
    send = Claim("send", operation_id, found=found, unresolved=found.unresolved)
    if ask:
        _refuse_disagreement(request, held, mine=mine)
        return send
    if request.action == "mount":
        if found.unresolved or not held:
            return send
        return _share_mount(connection, records, request, send, found, mine=mine, others=others)
    if not mine and (others or not found.unresolved):
        raise Refused(
            f"Job {request.jobid} has no active mount of {request.backup_target_id} on "
            f"{request.host}"
        )
    return _keep_mounted(connection, records, request, send, others) if others else send


def _share_mount(
    connection: Connection,
    records: Records,
    request: MountRequest,
    claim: Claim,
    found: Found,
    *,
    mine: bool,
    others: int,
) -> Claim:
    where = f"{request.backup_target_id} on {request.host}"
    if mine:
        said = f"{where} is already mounted for job {request.jobid}."
        return _shared(connection, records, claim, "already mounted for this job", said)
    jobs = counted(others, "other job")
    change = records.set_mounted(request, found.own)
    said = f"{where} is already mounted for {jobs}; job {request.jobid} shares it."
    return _shared(connection, records, claim, f"shared with {jobs}", said, *change)


def _keep_mounted(
    connection: Connection, records: Records, request: MountRequest, claim: Claim, others: int
) -> Claim:
    jobs = counted(others, "other job")
    said = f"Released; {request.backup_target_id} on {request.host} stays mounted for {jobs}."
    change = records.clear_mounted(request)
    return _shared(connection, records, claim, f"still mounted for {jobs}", said, change)


def _shared(
    connection: Connection, records: Records, claim: Claim, note: str, said: str, *change: Step
) -> Claim:
    records.run(connection, *change, records.close(claim.operation_id, "shared", note=note))
    return Claim("shared", claim.operation_id, said)


def _refuse_disagreement(request: MountRequest, held: list[Entry], *, mine: bool) -> None:
    """The ledger and the request disagree, as they do when another operation came in between: an
    unmount for somebody's mount must never be sent."""
    if request.action == "mount" and not mine:
        raise Refused(f"The ledger no longer says mounted for job {request.jobid}")
    if request.action == "unmount" and held:
        raise Refused(f"The ledger says mounted for job {held[0].jobid} by now")


def _relied_on(request: MountRequest, found: Found) -> list[Entry]:
    """Entries that hold the mount, as far as `request` may rely on them.

    A mount is shared only on rows that leave no doubt: spelt as the request, and not deleted. For
    an unmount every row counts, deleted ones and those in a spelling that the database takes for
    the same: a mount under them may be real, and unmounting it could cut a running job. Raises
    Refused when only another spelling is in the ledger.
    """
    mounting = request.action == "mount"
    exact = [entry for entry in found.held if entry.exact(request)]
    if mounting and found.twin is not None:
        raise Refused(_other_spelling(request, found.twin, "already"))
    if not any(mounting or entry.jobid == request.jobid for entry in exact):
        for entry in found.held:
            if mounting or entry.jobid == request.jobid:
                raise Refused(_other_spelling(request, entry, "mounted"))
    return [entry for entry in exact if not entry.deleted] if mounting else list(found.held)


def _other_spelling(request: MountRequest, entry: Entry, held: str) -> str:
    asked, found = request.backup_target_id, entry.backup_target_id
    if found == asked:
        asked, found = request.host, entry.host
    return (
        f"The ledger has {found!r} {held} for job {entry.jobid} on {entry.host}, and its database "
        f"takes {asked!r} for the same: use the ledger's spelling, or unmount that one first"
    )


_NOUNS = {"jobid": "Job", "backup_target_id": "Target", "host": "Host"}


def refuse_unwritable(connection: Connection, records: Records, request: MountRequest) -> None:
    """Raise Refused for what the ledger would refuse after the server has acted."""
    ledger_shape = records.ledger.shape
    values = {
        "jobid": request.jobid,
        "backup_target_id": request.backup_target_id,
        "host": request.host,
    }
    for name, text in ledger_shape.texts.items():
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
    for reference in ledger_shape.references if request.action == "mount" else ():
        if not _has_parent(connection, reference, values):
            what = ", ".join(f"{_NOUNS[name]} {values[name]}" for name in reference.columns)
            raise Refused(f"{what} is not in {reference.table}, and the ledger requires it")


def _has_parent(connection: Connection, reference: Reference, values: Mapping[str, object]) -> bool:
    """Whether a foreign key of the ledger holds; True where this user may not read it."""
    parent = table(reference.table, *map(column, reference.referred), schema=reference.schema)
    query = select(parent.c[reference.referred[0]]).limit(1)
    for referred, name in zip(reference.referred, reference.columns, strict=True):
        query = query.where(parent.c[referred] == values[name])
    try:
        with connection.begin_nested():
            return connection.execute(query).first() is not None
    except DBAPIError:  # the ledger's own answer decides
        return True
