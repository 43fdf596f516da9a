"""Operations: the lock of a (target, host), the memory that survives a crash, and what came of it.

An operation is one row of `dms_operation`. While it runs, `pair_lock` holds the hash of its target
and host under a unique index, so the ledger's own database lets only one client anywhere work on
that pair; no connection and no transaction stays open meanwhile. The owner renews `lease_until`;
when the owner dies, the next client turns the row into `unknown` after the lease and goes on.
DMS servers take requests of a host in order, so what the dead client sent is carried out before
what the next one sends.

States: in_flight · succeeded · failed (the server said no) · not_delivered · shared (only the
ledger changed) · released (the same, for a dead host) · unknown (it may have happened) · settled
(was unknown, until a later confirmed operation on the same pair made the question moot).
"""

import logging
import uuid
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection

from . import requests, schema, writable
from .errors import DatabaseException
from .ledger import Ledger
from .records import Busy, Entry, Found, Records, Step, pair_key
from .requests import MountRequest, Reply, counted
from .schema import Operation, State
from .writable import Refused

log = logging.getLogger(__name__)

#: Every answer: `{status, error_msg, success_msg, outcome, operation_id}`.
Response = dict[str, Any]


@dataclass(frozen=True)
class Claim:
    """The decision.

    send: a message must be sent. shared: the ledger was changed and nothing is to be sent, `said`
    is the sentence for it. nothing: refused, `said` says why; no record was kept.
    found: what the ledger held, None when it has to be asked again. change: what is to be written.
    """

    decision: Literal["send", "shared", "nothing"]
    operation_id: str
    said: str = ""
    found: Found | None = None
    unresolved: bool = False
    change: tuple[Step, ...] = ()


class LeaseLost(Exception):
    """The record was taken over while its owner was silent."""


class _Written(Exception):
    """An earlier try of the same write had succeeded; its answer was lost."""


class Operations:
    """The operations of one client. owner, lease: see `Records`."""

    def __init__(self, ledger: Ledger, *, owner: str, lease: float) -> None:
        self.ledger = ledger
        self.records = Records(ledger, owner=owner, lease=lease)
        self._rehearsed: set[str] = set()

    def claim(
        self, request: MountRequest, *, reply_queue: str, actor: str | None, ask: bool = False
    ) -> Claim:
        """Lock the pair, look at its ledger rows, decide. ask: the server is asked in any case.

        Raises Busy while another client holds the pair.
        """
        operation_id = str(uuid.uuid4())
        claim: Claim | None = None

        def work(connection: Connection) -> Claim:
            nonlocal claim
            if request.action not in self._rehearsed:
                writable.rehearse(connection, self.ledger.shape, request.action)
                self._rehearsed.add(request.action)
            writable.check(connection, self.ledger.shape, request)
            found = self.records.open(
                connection, request, operation_id, reply_queue=reply_queue, actor=actor
            )
            claim = decide(self.records, request, operation_id, found, ask=ask)
            if claim.change:
                self.records.run(connection, *claim.change)
            return claim

        try:
            return self.ledger.write(work, patience=5.0)
        except Refused as refused:
            return Claim("nothing", operation_id, str(refused))
        except Busy:
            # Our own record is there when a commit was carried out and its answer was lost.
            own = self.get(operation_id)
            if own is not None and own.state == "shared" and claim is not None:
                return claim
            if own is not None and own.state == "in_flight":  # nothing was sent under it
                self.finish(operation_id, "not_delivered", "the claim's answer was lost")
            raise
        except DatabaseException as exc:
            exc.operation_id = operation_id if exc.outcome == "unknown" else None
            raise

    def release(
        self, jobid: int, backup_target_id: str, host: str, *, actor: str | None, why: str
    ) -> bool:
        """The job's entry says unmounted from now on, without a server: its host is dead.

        why: kept with the operation. What was unknown on the pair is settled by it. False when
        the entry says unmounted already. Raises Busy while another client works on the pair.
        """
        request = MountRequest("unmount", jobid, backup_target_id, host, wire={})
        operation_id = str(uuid.uuid4())

        def work(connection: Connection) -> bool:
            self.records.open(connection, request, operation_id, reply_queue="", actor=actor)
            cleared, *_ = self.records.run(
                connection,
                self.records.clear_mounted(request),
                self.records.settle_older(request, operation_id),
                self.records.close(operation_id, "released", note=why),
            )
            if not cleared.rowcount:
                raise Refused("nothing is mounted")
            return True

        try:
            return self.ledger.write(work)
        except Refused:
            return False
        except Busy:  # also our own record, of a commit whose answer was lost
            own = self.get(operation_id)
            if own is not None and own.state == "released":
                return True
            raise

    def take_over_expired(self, backup_target_id: str, host: str) -> bool:
        """Turn the record of a vanished owner into `unknown`; True when the pair is free now."""
        return self.expire(schema.operation.c.pair_lock == pair_key(backup_target_id, host))

    def expire(self, which: ColumnElement[bool]) -> bool:
        return self.ledger.write(lambda c: self.records.expire(c, which))

    def renew(self, operation_id: str) -> None:
        """Hold the pair for another lease."""
        self.ledger.write(lambda c: self.records.renew(c, operation_id))

    # -- the end --------------------------------------------------------------------------------

    def confirm(
        self,
        request: MountRequest,
        claim: Claim,
        reply: Reply,
        *,
        patience: float,
        known: bool = False,
    ) -> None:
        """Write what the server said into the ledger and the record, in one transaction.

        patience: seconds to keep trying while the database is away. known: the record holds the
        reply already. reply: as it may be shown. Raises LeaseLost when another
        client took the pair meanwhile; then nothing was written but the reply.
        """
        said = reply.text()
        news = None if known else said

        def write(found: Found | None) -> None:
            work = lambda c: self._confirm(c, request, claim, reply, news, found)  # noqa: E731
            self.ledger.write(work, patience=patience)

        try:
            try:
                write(claim.found)
            except DatabaseException as exc:
                if not exc.permanent:
                    raise
                write(None)  # another program may have made the row since our look
        except _Written:
            return
        except LeaseLost:
            self.store_reply(claim.operation_id, said, patience=patience)
            raise

    def _confirm(
        self,
        connection: Connection,
        request: MountRequest,
        claim: Claim,
        reply: Reply,
        said: str | None,
        found: Found | None,
    ) -> None:
        state: State = "succeeded" if reply.succeeded else "failed"
        steps: list[Step] = []
        if reply.succeeded and request.action == "mount":
            if found is None or (found.own is not None and found.own.mounted):
                # Nobody but us should have touched it since our look, and other programs may have.
                found = self.records.state_of(connection, request)
            steps += self.records.set_mounted(request, found.own)
        elif reply.succeeded:
            steps.append(self.records.clear_mounted(request))
        if reply.succeeded and claim.unresolved:
            steps.append(self.records.settle_older(request, claim.operation_id))
        steps.append(self.records.close(claim.operation_id, state, said=said))
        if not self.records.run(connection, *steps)[-1].rowcount:
            # Another client has the pair; what was done here is rolled back either way.
            now = self.records.get(connection, claim.operation_id)
            raise _Written if now is not None and now.state == state else LeaseLost

    def finish(
        self,
        operation_id: str,
        state: State,
        note: str,
        *,
        said: str | None = None,
        patience: float = 5.0,
    ) -> None:
        """End without touching the ledger: not delivered, or unknown."""
        self.ledger.write(
            lambda c: self.records.run(
                c, self.records.close(operation_id, state, note=note, said=said)
            ),
            patience=patience,
        )

    def get(self, operation_id: str) -> Operation | None:
        return self.ledger.read(lambda c: self.records.get(c, operation_id))

    def store_reply(self, operation_id: str, said: str, *, patience: float = 60.0) -> bool:
        """Keep a late (or second) reply with its operation; False when there is no such record."""
        return self.ledger.write(
            lambda c: self.records.store_reply(c, operation_id, said), patience=patience
        )

    def store(self, correlation_id: str, body: bytes) -> None:
        """Keep a reply with its operation, and with no other."""
        # The record holds its request masked, so the reply is masked by what secrets look like.
        if not self.store_reply(correlation_id, requests.masked_reply(body)):
            log.warning("A reply to nobody's operation was dropped: %s", correlation_id)


# -- what has to happen with a pair that is locked -------------------------------------------------


def decide(
    records: Records, request: MountRequest, operation_id: str, found: Found, *, ask: bool
) -> Claim:
    """Decide by what the ledger says. ask: the server is asked whatever it says.

    Raises Refused.
    """
    held = _relied_on(request, found)
    mine = any(entry.jobid == request.jobid for entry in held)
    others = len({entry.jobid for entry in held} - {request.jobid})
    where, jobs = f"{request.backup_target_id} on {request.host}", counted(others, "other job")
    # After an unknown outcome the ledger alone proves nothing: ask the server again, which answers
    # success for what is mounted already.
    send = Claim("send", operation_id, found=found, unresolved=found.unresolved)

    def shared(note: str, said: str, *change: Step) -> Claim:
        ended = records.close(operation_id, "shared", note=note)
        return Claim("shared", operation_id, said, change=(*change, ended))

    if ask:
        _refuse_disagreement(request, held, mine=mine)
        return send
    if request.action == "mount":
        if found.unresolved or not held:
            return send
        if mine:
            said = f"{where} is already mounted for job {request.jobid}."
            return shared("already mounted for this job", said)
        said = f"{where} is already mounted for {jobs}; job {request.jobid} shares it."
        return shared(f"shared with {jobs}", said, *records.set_mounted(request, found.own))
    if not mine and (others or not found.unresolved):
        raise Refused(f"Job {request.jobid} has no active mount of {where}")
    if not others:
        return send
    said = f"Released; {where} stays mounted for {jobs}."
    return shared(f"still mounted for {jobs}", said, records.clear_mounted(request))


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


# -- what callers are told -------------------------------------------------------------------------


def response(
    outcome: str,
    *,
    status: str | None = None,
    error_msg: str | None = None,
    success_msg: str | None = None,
    operation: str | None = None,
) -> Response:
    """The one shape of every answer; an error_msg makes it an error unless `status` says so."""
    return {
        "status": status or ("error" if error_msg else "success"),
        "error_msg": error_msg,
        "success_msg": success_msg,
        "outcome": outcome,
        "operation_id": operation,
    }
