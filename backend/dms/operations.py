"""Operation records: the lock of a (target, host), and the memory that survives a crash.

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

import uuid
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select, update
from sqlalchemy.exc import IntegrityError

from . import claims, schema
from .claims import Busy, Claim, State, pair_key
from .errors import DatabaseException
from .ledger import Ledger
from .requests import MountRequest, Reply

_o = schema.operation.c


@dataclass(frozen=True)
class Operation:
    """One record. Times are naive UTC; request is masked; reply is what the server said, masked."""

    id: int
    operation_id: str
    action: str
    backup_target_id: str
    host: str
    jobid: int
    state: str
    owner: str
    actor: str | None
    ledger_id: int | None
    request: str
    reply: str | None
    reply_queue: str | None
    replies: int
    note: str | None
    settled_by: str | None
    created_at: datetime
    reply_at: datetime | None
    finished_at: datetime | None
    lease_until: datetime | None


COLUMNS = [schema.operation.c[f.name] for f in fields(Operation)]


class LeaseLost(Exception):
    """The record was taken over while its owner was silent."""


class Overtaken(Exception):
    """A newer operation was sent on the pair: its own outcome decides."""

    def __init__(self, newer: str) -> None:
        super().__init__(newer)
        self.newer = newer


class Operations:
    """Records of one client. lease: seconds the lock outlives a silent owner."""

    def __init__(self, ledger: Ledger, *, owner: str, lease: float) -> None:
        self.ledger = ledger
        self.owner = owner
        self.lease = lease

    def claim(
        self, request: MountRequest, *, reply_queue: str, actor: str | None, ask: bool = False
    ) -> Claim:
        """Lock the pair, look at its ledger rows, decide. ask: the server is asked in any case.

        Raises Busy while another client holds the pair.
        """
        operation_id = str(uuid.uuid4())
        try:
            return self.ledger.write(
                lambda c: claims.take(
                    c,
                    self.ledger,
                    request,
                    operation_id,
                    owner=self.owner,
                    actor=actor,
                    reply_queue=reply_queue,
                    lease=self.lease,
                    ask=ask,
                ),
                patience=5.0,
            )
        except claims.Refused as refused:
            return Claim("nothing", operation_id, why=refused.why)
        except Busy:
            self._release_own(operation_id)
            raise

    def _release_own(self, operation_id: str) -> None:
        """A commit whose answer was lost may have left our own lock; nothing was sent under it."""
        own = self.get(operation_id)
        if own is not None and own.state == "in_flight":
            self.finish(operation_id, "not_delivered", "the claim's answer was lost")

    def take_over_expired(self, backup_target_id: str, host: str) -> bool:
        """Turn the record of a vanished owner into `unknown`; True when the pair is free now."""
        key = pair_key(backup_target_id, host)
        return self.ledger.write(lambda c: self._expire(c, _o.pair_lock == key))

    def expire(self, operation_id: str) -> bool:
        """The same for one record."""
        return self.ledger.write(lambda c: self._expire(c, _o.operation_id == operation_id))

    def _expire(self, connection: Connection, which: Any) -> bool:
        done = connection.execute(
            update(schema.operation)
            .where(which, _o.pair_lock.is_not(None), _o.lease_until < self.ledger.now())
            .values(
                state="unknown",
                pair_lock=None,
                lease_until=None,
                finished_at=self.ledger.now(),
                note="its client vanished before the outcome was written",
            )
        )
        return bool(done.rowcount)

    def release(
        self, jobid: int, backup_target_id: str, host: str, *, actor: str | None, why: str
    ) -> bool:
        """The job's entry says unmounted from now on, without a server: its host is dead.

        why: kept with the operation. What was unknown on the pair is settled by it. False when
        the entry says unmounted already. Raises Busy while another client works on the pair.
        """
        request = MountRequest("unmount", jobid, backup_target_id, host, mount_path="", wire={})
        operation_id = str(uuid.uuid4())

        def work(connection: Connection) -> bool:
            claims.lock(
                connection,
                self.ledger,
                request,
                operation_id,
                owner=self.owner,
                actor=actor,
                reply_queue="",
                lease=self.lease,
            )
            if not claims.clear_mounted(connection, self.ledger, request):
                raise claims.Refused("nothing is mounted")
            self._settle_older(connection, request, operation_id)
            claims.close(connection, self.ledger, operation_id, "released", note=why)
            return True

        try:
            return self.ledger.write(work)
        except claims.Refused:
            return False

    # -- while it runs --------------------------------------------------------------------------

    def renew(self, operation_id: str) -> None:
        """Hold the pair for another lease."""
        self.ledger.write(
            lambda c: c.execute(
                update(schema.operation)
                .where(_o.operation_id == operation_id, _o.pair_lock.is_not(None))
                .values(lease_until=self.ledger.now(self.lease))
            )
        )

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

        def work(connection: Connection) -> None:
            self._confirm(connection, request, claim, reply, said, known)

        try:
            try:
                self.ledger.write(work, patience=patience)
            except DatabaseException as exc:
                if not exc.permanent:
                    raise
                # Another program may have made the row between our look and our write.
                self.ledger.write(work, patience=patience)
        except LeaseLost:
            self.store_reply(claim.operation_id, said, patience=patience)
            raise

    def _confirm(
        self,
        connection: Connection,
        request: MountRequest,
        claim: Claim,
        reply: Reply,
        said: str,
        known: bool,
    ) -> None:
        state: State = "succeeded" if reply.succeeded else "failed"
        ledger_id = None
        if not self._fenced(connection, claim.operation_id, state):
            return
        if reply.succeeded and request.action == "mount":
            ledger_id = claims.set_mounted(connection, self.ledger, request)
        if reply.succeeded and request.action == "unmount":
            claims.clear_mounted(connection, self.ledger, request)
        if reply.succeeded and claim.unresolved:
            self._settle_older(connection, request, claim.operation_id)
        claims.close(
            connection,
            self.ledger,
            claim.operation_id,
            state,
            said=None if known else said,
            ledger_id=ledger_id,
        )

    def _fenced(self, connection: Connection, operation_id: str, state: State) -> bool:
        """Hold the record's row; False when an earlier try of the same write had succeeded."""
        row = connection.execute(
            select(_o.pair_lock, _o.state).where(_o.operation_id == operation_id).with_for_update()
        ).one()
        if row.pair_lock is None:
            if row.state == state:
                return False
            raise LeaseLost
        return True

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
            lambda c: claims.close(c, self.ledger, operation_id, state, note=note, said=said),
            patience=patience,
        )

    def _settle_older(
        self, connection: Connection, request: MountRequest, operation_id: str
    ) -> None:
        connection.execute(
            update(schema.operation)
            .where(*claims.unknown_of(self.ledger, request), _o.operation_id != operation_id)
            .values(state="settled", settled_by=operation_id)
        )

    # -- unknown outcomes -----------------------------------------------------------------------

    def store_reply(self, operation_id: str, said: str, *, patience: float = 60.0) -> bool:
        """Keep a late (or second) reply with its operation; False when there is no such record."""
        changed = self.ledger.write(
            lambda c: (
                c.execute(
                    update(schema.operation)
                    .where(_o.operation_id == operation_id)
                    .values(
                        reply=func.coalesce(_o.reply, said),
                        reply_at=func.coalesce(_o.reply_at, self.ledger.now()),
                        replies=_o.replies + 1,
                    )
                ).rowcount
            ),
            patience=patience,
        )
        return bool(changed)

    def get(self, operation_id: str) -> Operation | None:
        query = select(*COLUMNS).where(_o.operation_id == operation_id)
        row = self.ledger.read(lambda c: c.execute(query).first())
        return Operation(*row) if row is not None else None

    def reclaim(self, operation: Operation) -> bool:
        """Lock the pair again for an unknown operation whose reply is to be applied.

        False when its outcome became known meanwhile. Raises Busy or Overtaken.
        """

        def work(connection: Connection) -> bool:
            newer = connection.execute(
                select(_o.operation_id).where(
                    self.ledger.exactly(_o.backup_target_id, operation.backup_target_id),
                    self.ledger.exactly(_o.host, operation.host),
                    _o.id > operation.id,
                    _o.state.in_(("succeeded", "failed", "unknown", "in_flight")),
                )
            ).first()
            if newer is not None:
                raise Overtaken(newer.operation_id)
            try:
                done = connection.execute(
                    update(schema.operation)
                    .where(_o.operation_id == operation.operation_id, _o.state == "unknown")
                    .values(
                        state="in_flight",
                        pair_lock=pair_key(operation.backup_target_id, operation.host),
                        lease_until=self.ledger.now(self.lease),
                        owner=self.owner,
                    )
                )
            except IntegrityError as exc:
                raise Busy from exc
            return bool(done.rowcount)

        return self.ledger.write(work)
