"""From the last approval to the end of the work: carried out once, or refused with the reason."""

from dataclasses import dataclass
from typing import Any, Literal

from backend.accounts import identity
from backend.accounts.identity import Identity
from backend.changes import actions, gate, repository, told
from backend.changes.actions import Action, Begun
from backend.changes.schemas import Preview
from backend.core import access, audit
from backend.core.access import SYSTEM, Actor, Permission
from backend.core.crypto import Vault
from backend.core.database import (
    Database,
    ReadSession,
    StateDatabaseDown,
    WriteSession,
    database_now,
)
from backend.core.errors import NotFound, PortalError
from backend.core.log import get_logger, log_unexpected, mask_text
from backend.jobs import service as jobs
from backend.jobs.enqueue import enqueue
from backend.models.changes import Change

log = get_logger(__name__)

KIND = "changes.carry_out"
_GATEWAY_TIMEOUT = 504


@dataclass(frozen=True)
class Call:
    """A frozen intent, ready to be carried out as its requester."""

    action: Action
    actor: Actor
    environment: str
    parameters: dict[str, Any]

    def run(self, database: Database) -> Begun:
        return self.action.carry_out(
            database, self.actor, environment=self.environment, parameters=dict(self.parameters)
        )

    def preview(self, database: Database, actor: Actor) -> Preview | None:
        """What `actor` may see of what it would do now."""
        return self.action.preview(
            database, actor, environment=self.environment, parameters=dict(self.parameters)
        )


def requester(session: ReadSession, row: Change) -> Identity:
    return identity.of(
        session, kind=row.requester_kind, id=row.requester_id, name=row.requester_name
    )


def approvers(session: ReadSession, row: Change) -> list[tuple[str, Identity]]:
    """(name, identity now) of everybody who approved."""
    return [
        (
            step.actor_name,
            identity.of(session, kind=step.actor_kind, id=step.actor_id, name=step.actor_name),
        )
        for step in repository.steps(session, [row.id])[row.id]
        if step.kind == "approved"
    ]


def prepared(session: ReadSession, row: Change) -> Call | str:
    """What carries the request out now, or the sentence that says why nothing can."""
    action = actions.get(row.action)
    environment = row.environment
    if row.environment_id:
        found = repository.environment_name(session, row.environment_id)
        if found is None:
            return f"The environment {row.environment} was deleted."
        environment = found
    actor = requester(session, row).actor
    if actor is None or not actor.may(action.permission):
        return f"{row.requester_name}, who asked, may not do this any more."
    parameters = gate.opened(row)
    for beside in (gate.DETAILS, gate.RESTING):
        parameters.pop(beside, None)
    return Call(action, actor, environment, parameters)


def details(row: Change) -> dict[str, Any]:
    """What those see of it who could ask for the same; {} when it has ended."""
    return dict(gate.opened(row).get(gate.DETAILS, {}))


def send(session: WriteSession, actor: Actor, row: Change) -> None:
    """Queue the job that carries an approved request out."""
    row.job_id = enqueue(
        session, actor, KIND, {"change_id": row.id}, subject=gate.subject(row)[:500]
    )


def carry_out(database: Database, change_id: int) -> None:
    """Carry an approved request out, or end it with the reason. Safe to be called again.

    Raises StateDatabaseDown: `track` looks at what is left.
    """
    call = _taken(database, change_id)
    if call is None:
        return
    try:
        with gate.carrying(change_id):
            begun = call.run(database)
    except StateDatabaseDown:
        raise
    except gate.AlreadyBegun:
        log.info("The change was begun by another process.", change=change_id)
        return
    except PortalError as exc:
        _failed(database, change_id, mask_text(exc.message), unknown=exc.status == _GATEWAY_TIMEOUT)
        return
    except Exception as exc:
        reference = log_unexpected(log, "Carrying out a change failed.", exc, change=change_id)
        _failed(database, change_id, f"Something went wrong. Reference {reference}.", unknown=True)
        return
    _begun(database, change_id, begun)


def _taken(database: Database, change_id: int) -> Call | None:
    with database.write() as session:
        row = repository.lock(session, change_id)
        if row.state != "approved":
            return None  # delivered twice, or a former attempt began it
        if _turn(session, row) == "later":
            return None  # `track` sends it again
        call = prepared(session, row)
        problem = call if isinstance(call, str) else _objection(session, row)
        if problem:
            end(session, SYSTEM, row, "refused", problem)
            return None
    return call if isinstance(call, Call) else None


def _objection(session: ReadSession, row: Change) -> str:
    """Why an approved request must not begin (any more), "" when it may."""
    if row.expires_at <= database_now(session):
        return "It expired before it could begin."
    permission = actions.get(row.action).permission
    for name, given in approvers(session, row):
        if given.actor is None or not given.actor.may(permission):
            return f"{name}, who approved it, may not do this any more."
    return _stopped(session, row) if _turn(session, row) == "never" else ""


def _turn(session: ReadSession, row: Change) -> Literal["now", "later", "never"]:
    """Whether what comes before it in its release lets it begin."""
    if row.after_id is None:
        return "now"
    state = repository.get(session, row.after_id).state
    return "now" if state == "succeeded" else "later" if state in repository.OPEN else "never"


def _stopped(session: ReadSession, row: Change) -> str:
    before = repository.get(session, row.after_id or 0)
    return f"The release stopped: change {before.id}, which comes before it, is {before.state}."


def _failed(database: Database, change_id: int, sentence: str, *, unknown: bool) -> None:
    with database.write() as session:
        row = repository.lock(session, change_id)
        if row.state == "approved":
            end(session, SYSTEM, row, "refused", sentence)  # it never came past the gate
        elif row.state == "running":
            end(session, SYSTEM, row, "unknown" if unknown else "failed", sentence)


def _begun(database: Database, change_id: int, begun: Begun) -> None:
    with database.write() as session:
        row = repository.lock(session, change_id)
        row.run_id = begun.run_id or row.run_id
        if row.state == "approved":
            end(session, SYSTEM, row, "refused", f"It was done already: run {row.run_id}.")
        elif row.state == "running" and begun.end is not None:
            end(session, SYSTEM, row, begun.end.status, begun.end.detail)


def track(database: Database) -> None:
    """Expire what waited too long, end what has ended, send again what a dead process left."""
    with database.read() as session:
        overdue = repository.overdue(session)
        going = [
            row.id
            for state in ("approved", "running")
            for row in repository.in_state(session, state)
        ] + repository.waiting_in_turn(session)
    for change_id in overdue:
        with database.write() as session:
            row = repository.lock(session, change_id)
            if row.state == "waiting" and row.expires_at <= database_now(session):
                end(session, SYSTEM, row, "expired", "Nobody decided in time.")
    for change_id in going:
        try:
            with database.write() as session:
                _advance(session, repository.lock(session, change_id))
        except StateDatabaseDown:
            raise
        except Exception as exc:
            # One request with a surprise must not keep all others from ending.
            log_unexpected(log, "Following a change failed.", exc, change=change_id)


def _advance(session: WriteSession, row: Change) -> None:
    if row.state in ("waiting", "approved") and _turn(session, row) == "never":
        end(session, SYSTEM, row, "refused", _stopped(session, row))
    elif (
        row.state == "approved"
        and _turn(session, row) == "now"
        and not jobs.is_open(session, SYSTEM, job_id=row.job_id)
    ):
        send(session, SYSTEM, row)
    elif row.state == "running":
        begun = row.run_id and row.run_id != f"change-{row.id}"
        found = _ended(session, row) if begun else None
        if found is not None:
            end(session, SYSTEM, row, found.status, found.detail)
        elif not begun and not jobs.is_open(session, SYSTEM, job_id=row.job_id):
            sentence = "The process that carried it out ended before it could say how it went."
            end(session, SYSTEM, row, "unknown", sentence)


def _ended(session: ReadSession, row: Change) -> actions.End | None:
    try:
        return actions.get(row.action).ended(session, row.run_id)
    except PortalError as exc:
        if exc.status != NotFound.status:
            raise
        # Deleted with its environment, or long ago: it was begun, and nobody will tell its end.
        return actions.End("unknown", f"Its run {row.run_id} is not on record any more.")


def end(session: WriteSession, actor: Actor, row: Change, state: str, outcome: str) -> None:
    """The last step of a request; its sealed parameters are thrown away."""
    row.state, row.outcome = state, outcome
    row.finished_at, row.open_key, row.ciphertext = database_now(session), None, ""
    row.decided_at = row.decided_at or row.finished_at
    repository.add_step(session, row.id, actor, state, outcome)
    told.ended(session, row, actor)
    audit.record(
        session,
        actor,
        "changes:request:end",
        subject=gate.subject(row),
        phase="outcome",
        outcome=state,
        details={
            "requester": row.requester_name,
            "approved_by": [name for name, _ in approvers(session, row)],
            "run_id": row.run_id,
            "reason": outcome,
        },
    )


def end_all_not_begun(session: WriteSession, actor: Actor, *, reason: str) -> int:
    """Refuse every request that has not begun; how many.

    For a state that was restored: what waited or was approved then may have been carried out since,
    and `track` would send an approved one again by itself.
    """
    access.require(actor, Permission.BACKUP_RESTORE)
    ended = 0
    for state in ("waiting", "approved"):
        while rows := repository.in_state(session, state):
            for row in rows:
                end(session, actor, row, "refused", reason)
                ended += 1
            session.flush()
    return ended


def rotate(session: WriteSession, vault: Vault) -> int:
    """Put the parameters of every waiting request under the vault's first key; how many."""
    rows = repository.all_locked(session)
    for row in rows:
        row.ciphertext = vault.rotate(row.ciphertext, binding=gate.binding(row.digest))
    return len(rows)
