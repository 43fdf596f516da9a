"""The SQL of an operation: its record in `dms_operation`, and the job's entry of the ledger.

A mount waits for each of these statements, so there is one for each step, compiled once: to build
it anew for every call costs more than the database needs to answer it.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    LargeBinary,
    Select,
    bindparam,
    false,
    func,
    insert,
    literal_column,
    null,
    select,
    true,
    union_all,
    update,
)
from sqlalchemy.exc import IntegrityError

from . import entries, schema
from .ledger import Ledger
from .prepared import Done, Prepared, run
from .requests import MountRequest
from .schema import COLUMNS, Operation, State

MAX_REQUEST = 16_000

_o = schema.operation.c


@dataclass(frozen=True)
class Entry:
    """What a mount must know of a row of the ledger. id: None where the table has none. jobid: as
    `entries.job` has it, for the table belongs to others."""

    jobid: Any
    backup_target_id: str
    host: str
    mounted: bool
    deleted: bool
    id: int | None

    def exact(self, request: MountRequest) -> bool:
        """Spelt as the request; databases take more for the same."""
        return (self.backup_target_id, self.host) == (request.backup_target_id, request.host)


@dataclass(frozen=True)
class Found:
    """What one look at a pair found.

    held: mounted entries, of any job and in any spelling that the database takes for the same.
    own: the job's in just this spelling, the mounted one or the newest. twin: the job's in another
    spelling, where the table's key has room for one of the two. unresolved: an earlier operation on
    the pair has an unknown outcome.
    """

    held: tuple[Entry, ...]
    own: Entry | None
    twin: Entry | None
    unresolved: bool


class Busy(Exception):
    """Another client works on this pair."""


def pair_key(backup_target_id: str, host: str) -> str:
    """The lock's name, the same in every release: clients of several may share a ledger.

    Case is folded, so that spellings which MySQL takes for the same mostly wait for each other.
    """
    return hashlib.sha256(f"{backup_target_id}\0{host}".casefold().encode()).hexdigest()


class Step(NamedTuple):
    """A statement to run: compiled once for its key, with these parameters by name."""

    key: object
    build: Callable[[], Any]
    values: Mapping[str, Any]


class Records:
    """Statements on one ledger, to `run` inside the caller's transaction.

    owner: who locks. lease: seconds a lock outlives a silent owner.
    """

    def __init__(self, ledger: Ledger, *, owner: str, lease: float) -> None:
        self.ledger, self.owner, self.lease = ledger, owner, lease
        self._prepared: dict[object, Prepared] = {}
        #: PyMySQL reads a row's columns in Python, each a third of what the whole query costs.
        self._packed = ledger.engine.dialect.driver == "pymysql"

    def run(self, connection: Connection, *steps: Step) -> list[Done]:
        """One round trip for all of `steps` where the driver can."""
        return run(connection, *[(self._compiled(step), step.values) for step in steps])

    def _compiled(self, step: Step) -> Prepared:
        found = self._prepared.get(step.key)
        if found is None:
            found = Prepared(step.build(), self.ledger.engine.dialect)
            self._prepared[step.key] = found
        return found

    # -- the record ------------------------------------------------------------------------------

    def open(
        self,
        connection: Connection,
        request: MountRequest,
        operation_id: str,
        *,
        reply_queue: str,
        actor: str | None,
    ) -> Found:
        """Write the record, which locks the pair, and look at what the ledger says of it.

        Raises Busy while another record holds the pair.
        """
        record = {
            "operation_id": operation_id,
            "pair_lock": pair_key(request.backup_target_id, request.host),
            "owner": self.owner,
            "actor": actor,
            "action": request.action,
            "backup_target_id": request.backup_target_id,
            "host": request.host,
            "jobid": request.jobid,
            "request": request.masked()[:MAX_REQUEST],
            "reply_queue": reply_queue,
        }
        try:
            _, seen = self.run(
                connection, Step("open", self._open, record), self._state_step(request)
            )
        except IntegrityError as exc:
            raise Busy from exc
        return self._found(request, seen.rows)

    def _open(self) -> Any:
        names = "operation_id pair_lock owner actor action backup_target_id host jobid request"
        return (
            insert(schema.operation)
            .inline()
            .values(
                {name: bindparam(name) for name in (*names.split(), "reply_queue")}
                | {"state": "in_flight", "created_at": self.ledger.now()}
                | {"lease_until": self.ledger.now(self.lease)}
            )
        )

    def close(
        self, operation_id: str, state: State, *, note: str | None = None, said: str | None = None
    ) -> Step:
        """End the record and free the pair; no row when it no longer held it. said: a reply."""
        values = {"which": operation_id, "as": state, "why": note, "said": said}
        return Step(("close", said is None), lambda: self._close(said is not None), values)

    def _close(self, replied: bool) -> Any:
        ended: dict[str, Any] = {"state": bindparam("as"), "note": bindparam("why")}
        ended |= {"pair_lock": null(), "lease_until": null(), "finished_at": self.ledger.now()}
        if replied:
            ended |= {"reply": bindparam("said"), "reply_at": self.ledger.now()}
            ended["replies"] = _o.replies + literal_column("1")
        which = (_o.operation_id == bindparam("which"), _o.pair_lock.is_not(None))
        return update(schema.operation).where(*which).values(ended)

    def settle_older(self, request: MountRequest, operation_id: str) -> Step:
        """Unknown operations of the pair are settled by this one."""
        values = {**self._names(request), "which": operation_id}
        return Step("settle", self._settle_older, values)

    def _settle_older(self) -> Any:
        statement = update(schema.operation).where(
            self._same(_o.backup_target_id, "target"),
            self._same(_o.host, "host"),
            _o.state == "unknown",
            _o.operation_id != bindparam("which"),
        )
        return statement.values(
            {"state": literal_column("'settled'"), "settled_by": bindparam("which")}
        )

    def expire(self, connection: Connection, which: ColumnElement[bool]) -> bool:
        """The record of a vanished owner becomes unknown; False when it was none."""
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

    def renew(self, connection: Connection, operation_id: str) -> None:
        """Hold the pair for another lease."""
        connection.execute(
            update(schema.operation)
            .where(_o.operation_id == operation_id, _o.pair_lock.is_not(None))
            .values(lease_until=self.ledger.now(self.lease))
        )

    def store_reply(self, connection: Connection, operation_id: str, said: str) -> bool:
        """Keep a reply; the first one counts. False when there is no such record."""
        done = connection.execute(
            update(schema.operation)
            .where(_o.operation_id == operation_id)
            .values(
                reply=func.coalesce(_o.reply, said),
                reply_at=func.coalesce(_o.reply_at, self.ledger.now()),
                replies=_o.replies + 1,
            )
        )
        return bool(done.rowcount)

    def get(self, connection: Connection, operation_id: str) -> Operation | None:
        query = select(*COLUMNS).where(_o.operation_id == operation_id)
        row = connection.execute(query).first()
        return Operation(*row) if row is not None else None

    def newer(self, connection: Connection, operation: Operation) -> str | None:
        """An operation of the same pair that was sent, or is, after `operation`; its id."""
        query = select(_o.operation_id).where(
            self.ledger.exactly(_o.backup_target_id, operation.backup_target_id),
            self.ledger.exactly(_o.host, operation.host),
            _o.id > operation.id,
            _o.state.in_(("succeeded", "failed", "unknown", "in_flight")),
        )
        found: str | None = connection.scalar(query)
        return found

    def reopen(self, connection: Connection, operation: Operation) -> bool:
        """Lock the pair again for an unknown operation; False when it is no longer unknown.

        Raises Busy while another record holds the pair.
        """
        lock = pair_key(operation.backup_target_id, operation.host)
        statement = (
            update(schema.operation)
            .where(_o.operation_id == operation.operation_id, _o.state == "unknown")
            .values(
                state="in_flight",
                pair_lock=lock,
                lease_until=self.ledger.now(self.lease),
                owner=self.owner,
            )
        )
        try:
            return bool(connection.execute(statement).rowcount)
        except IntegrityError as exc:
            raise Busy from exc

    # -- the ledger ------------------------------------------------------------------------------

    def state_of(self, connection: Connection, request: MountRequest) -> Found:
        """What the ledger and the records say of the request's pair, in one query."""
        return self._found(request, self.run(connection, self._state_step(request))[0].rows)

    def _found(self, request: MountRequest, rows: Sequence[Any]) -> Found:
        if self._packed:
            rows = [json.loads(row[0]) for row in rows]
        held = tuple(Entry(entries.job(row[1]), *row[2:]) for row in rows if row[0] == _HELD)
        own = [Entry(entries.job(row[1]), *row[2:]) for row in rows if row[0] == _OWN]
        exact = [entry for entry in own if entry.exact(request)]
        return Found(
            held=held,
            own=max(exact, key=lambda entry: (bool(entry.mounted), entry.id or 0), default=None),
            twin=own[0] if own and not exact and not self.ledger.shape.has_id else None,
            unresolved=any(row[0] == _UNKNOWN for row in rows),
        )

    def _state_step(self, request: MountRequest) -> Step:
        """Only a mount writes the job's own entry, and must know whether there is one."""
        key = ("state", request.action)
        return Step(
            key, lambda: self._state_query(own=request.action == "mount"), self._names(request)
        )

    def _state_query(self, *, own: bool) -> Any:
        t, hinted = self.ledger.t, self.ledger.hinted
        pair = (t.host == bindparam("host"), t.backup_target_id == bindparam("target"))
        held = self._rows(_HELD).where(self.ledger.shape.flag("mounted", True), *pair)
        unknown = self._row(_UNKNOWN, *[null()] * 6).where(
            self._same(_o.host, "host"),
            self._same(_o.backup_target_id, "target"),
            _o.state == "unknown",
        )
        parts = [hinted(held, "idx_mounted_host"), unknown]
        if own:
            mine = self._rows(_OWN).where(t.jobid == bindparam("jobid"), *pair)
            parts.insert(1, hinted(mine, "idx_job_target"))
        return union_all(*parts)

    def _rows(self, kind: int) -> Select[Any]:
        t = self.ledger.t
        names: list[ColumnElement[Any]] = [t.backup_target_id, t.host]
        flags: list[ColumnElement[Any]] = [t.mounted, t.deleted]
        if self._packed:  # JSON has no place for BIT and for bytes
            names = [func.convert(name.op("USING")(literal_column("utf8mb4"))) for name in names]
            flags = [flag.is_(true()) for flag in flags]
        ledger_id = t.id if self.ledger.shape.has_id else null()
        return self._row(kind, t.jobid, *names, *flags, ledger_id)

    def _row(self, kind: int, *columns: Any) -> Select[Any]:
        columns = (literal_column(str(kind)), *columns)
        return select(*([func.json_array(*columns)] if self._packed else columns))

    def set_mounted(self, request: MountRequest, own: Entry | None) -> list[Step]:
        """The job's one entry of the pair says mounted.

        There is one row per job, target and host: a later mount revives it. own: as `open` found
        it.
        """
        if own is None:
            return [Step("insert", self._insert, self._names(request))]
        if own.mounted and not own.deleted:
            return []
        return [Step("revive", self._revive, self._names(request, own.id))]

    def _insert(self) -> Any:
        now = self.ledger.now(whole=True)
        made: dict[str, Any] = {
            "jobid": bindparam("jobid"),
            "backup_target_id": bindparam("target"),
        }
        made |= {"host": bindparam("host"), "created_at": now, "updated_at": now}
        made |= {"mounted": true(), "deleted": false()}
        return insert(self.ledger.shape.table).inline().values(made)

    def _revive(self) -> Any:
        has_id = self.ledger.shape.has_id
        which = [self.ledger.t.id == bindparam("entry")] if has_id else self._mine()
        changed: dict[str, Any] = {
            "mounted": true(),
            "deleted": false(),
        }
        changed |= {"deleted_at": null(), "updated_at": self.ledger.now(whole=True)}
        return update(self.ledger.shape.table).where(*which).values(changed)

    def clear_mounted(self, request: MountRequest) -> Step:
        """The job's entries of the pair say unmounted."""
        return Step("clear", self._clear, self._names(request))

    def _clear(self) -> Any:
        mounted = self.ledger.shape.flag("mounted", True)
        changed: dict[str, Any] = {
            "mounted": false(),
            "updated_at": self.ledger.now(whole=True),
        }
        return update(self.ledger.shape.table).where(*self._mine(), mounted).values(changed)

    # -- parts -----------------------------------------------------------------------------------

    def _same(self, held: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        """As `schema.exactly`, for the parameter `name`."""
        plain = held == bindparam(name)
        if self.ledger.dialect not in ("mysql", "mariadb"):
            return plain
        return plain & (self.ledger.spelling(held) == bindparam(f"{name}_bytes", type_=LargeBinary))

    def _mine(self) -> list[ColumnElement[bool]]:
        t = self.ledger.t
        pair = [self._same(t.backup_target_id, "target"), self._same(t.host, "host")]
        return [t.jobid == bindparam("jobid"), *pair]

    @staticmethod
    def _names(request: MountRequest, entry: int | None = None) -> dict[str, Any]:
        target, host = request.backup_target_id, request.host
        return {
            "jobid": request.jobid,
            "target": target,
            "host": host,
            "target_bytes": target.encode(),
            "host_bytes": host.encode(),
            "entry": entry,
        }


#: What a row of `look` is.
_HELD, _OWN, _UNKNOWN = 1, 2, 3
