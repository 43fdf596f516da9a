"""Recipes and DataHub's sources that start by themselves, at the times of a cron expression.

A start is asked for like any other: what a policy puts under approval waits for it each time, and
a second run while one goes is refused. It happens in the name of who set the schedule, as long as
they may.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import func, select, update

from backend.accounts import identity
from backend.connections import resolve as connections
from backend.core import access, audit, choices, clock, cron, secret_store
from backend.core.access import Actor, Permission
from backend.core.crypto import Vault
from backend.core.database import Database, ReadSession, WriteSession
from backend.core.errors import InvalidInput, NotFound, NotPermitted, PortalError, Waiting
from backend.core.views import document, of_row
from backend.ingestion import managed, recipes
from backend.ingestion.answers import ScheduleAnswer
from backend.models import Environment
from backend.models.ingestion import IngestionSchedule

Kind = Literal["recipe", "source"]
KINDS: tuple[Kind, ...] = ("recipe", "source")
_WHAT = "kind of what starts by itself"
#: Of one environment; so many are listed, and started in one go.
MAX_SCHEDULES = 500
_SOURCE = "urn:li:dataHubIngestionSource:"


@dataclass(frozen=True)
class ScheduleView:
    """values: the names of the variables that have one. last_problem: why the last start made no
    job, "" when it did."""

    environment: str
    kind: str
    name: str
    title: str
    cron: str
    values: tuple[str, ...]
    next_at: datetime
    last_at: datetime | None
    last_job_id: int | None
    last_problem: str
    set_by: str

    def said(self) -> str:
        """When it starts, in words."""
        return f"{cron.in_words(self.cron)}; next {self.next_at:%Y-%m-%d %H:%M} UTC"

    def document(self) -> ScheduleAnswer:
        """The schedule as REST and `--json` print it."""
        return document(ScheduleAnswer, self, last_problem=self.last_problem or None)


def list_schedules(
    session: ReadSession, actor: Actor, *, environment: str | None = None
) -> tuple[ScheduleView, ...]:
    """What starts by itself in an environment, the next one first."""
    access.require(actor, Permission.INGESTION_READ)
    where = connections.environment(session, environment)
    rows = session.scalars(
        select(IngestionSchedule)
        .where(IngestionSchedule.environment_id == where.id)
        .order_by(IngestionSchedule.next_at, IngestionSchedule.id)
        .limit(MAX_SCHEDULES)
    )
    return tuple(_view(row, where.name) for row in rows)


def put_schedule(
    session: WriteSession,
    actor: Actor,
    *,
    kind: str,
    name: str,
    times: str,
    title: str = "",
    values: Mapping[str, str] | None = None,
    environment: str | None = None,
) -> ScheduleView:
    """Start a recipe or source at these times (cron, UTC) from now on; replaces what was set.

    values: of the recipe's variables, as `recipes.run_recipe` takes them; kept sealed. Raises
    InvalidInput for times that are none, for a recipe or values that could not run now, and for
    more than MAX_SCHEDULES.
    """
    access.require(actor, Permission.INGESTION_RUN)
    where = connections.environment(session, environment)
    due = cron.next_time(times, clock.now())
    if due is None:
        raise InvalidInput("A schedule needs its times, for example 0 6 * * 1-5.")
    given = _given(session, kind, name, values or {}, where.name)
    row = _find_locked(session, where.id, kind, name)
    if row is None:
        _make_room(session, where.id, where.name)
        row = IngestionSchedule(environment_id=where.id, kind=kind, name=name)
        session.add(row)
    row.title, row.cron, row.next_at = (title or name)[:300], times.strip(), due
    sealed = secret_store.get_vault().encrypt(json.dumps(given), binding=_binding(row))
    row.ciphertext, row.set_at, row.last_problem = sealed, clock.now(), ""
    row.set_by_id, row.set_by_name, row.set_by_kind = actor.id, actor.name[:255], actor.kind
    audit.record(
        session,
        actor,
        "ingestion:schedule:write",
        subject=row.title,
        details={"environment": where.name, "cron": row.cron, "values": sorted(given)},
    )
    session.flush()
    return _view(row, where.name)


def remove_schedule(
    session: WriteSession, actor: Actor, *, kind: str, name: str, environment: str | None = None
) -> str:
    """No longer start it by itself; its title. Raises NotFound."""
    access.require(actor, Permission.INGESTION_RUN)
    choices.check(_WHAT, kind, KINDS)
    where = connections.environment(session, environment)
    row = _find_locked(session, where.id, kind, name)
    if row is None:
        raise NotFound(f"{name} has no schedule in {where.name}.")
    audit.record(
        session,
        actor,
        "ingestion:schedule:remove",
        subject=row.title,
        details={"environment": where.name, "cron": row.cron},
    )
    session.delete(row)
    return row.title


def start_due(database: Database) -> None:
    """Start what is due; called by the schedule of the portal every minute."""
    now = clock.now()
    with database.read() as session:
        due = list(
            session.execute(
                select(IngestionSchedule.id, IngestionSchedule.next_at, IngestionSchedule.cron)
                .where(IngestionSchedule.next_at <= now)
                .order_by(IngestionSchedule.next_at)
                .limit(MAX_SCHEDULES)
            )
        )
    for number, at, times in due:
        with database.write() as session:
            # Its turn is taken before anything starts: killed in between, it is missed and shown
            # so, never doubled.
            following = cron.next_time(times, now)
            taken = session.execute(
                update(IngestionSchedule)
                .where(IngestionSchedule.id == number, IngestionSchedule.next_at == at)
                .values(next_at=following, last_at=now, last_job_id=None, last_problem=_STARTING)
                .execution_options(synchronize_session=False)
            )
        if getattr(taken, "rowcount", 0):
            _start(database, number)


_STARTING = "Its start was begun and has left no job; look at the Runs page."


def _start(database: Database, number: int) -> None:
    job_id, problem = None, ""
    try:
        with database.write() as session:
            row = session.get(IngestionSchedule, number)
            if row is None:
                return
            where = connections.names(session)[row.environment_id]
            actor = _setter(session, row)
            source, title = row.name if row.kind == "source" else "", row.title
            if not source:
                values = json.loads(
                    secret_store.get_vault().decrypt(row.ciphertext, binding=_binding(row))
                )
                job_id = recipes.run_recipe(
                    session, actor, name=row.name, environment=where, values=values
                )
        if source:  # asks DataHub, so not while the row is held
            job_id = managed.run_source(
                database, actor, source_urn=source, name=title, environment=where
            )
    except Waiting as exc:
        problem = exc.message
    except PortalError as exc:
        problem = f"It was not started: {exc.message}"
    with database.write() as session:
        session.execute(
            update(IngestionSchedule)
            .where(IngestionSchedule.id == number)
            .values(last_job_id=job_id, last_problem=problem[:500])
        )


def _setter(session: ReadSession, row: IngestionSchedule) -> Actor:
    """Who set it, with the role of now: a schedule does not outlive the right to start by hand."""
    kind, name = row.set_by_kind, row.set_by_name
    actor = identity.of(session, kind=kind, id=row.set_by_id, name=name).actor
    if actor is None or not actor.may(Permission.INGESTION_RUN):
        raise NotPermitted(f"{name}, who set it, may not do this any more. Set it again.")
    return actor


def rotate(session: WriteSession, vault: Vault) -> int:
    """Put the values of every schedule under the vault's first key; how many."""
    rows = list(session.scalars(select(IngestionSchedule).with_for_update()))
    for row in rows:
        row.ciphertext = vault.rotate(row.ciphertext, binding=_binding(row))
    return len(rows)


def _given(
    session: ReadSession, kind: str, name: str, values: Mapping[str, str], environment: str
) -> dict[str, str]:
    if kind == "recipe":
        return recipes.checked(session, name, values, environment)
    choices.check(_WHAT, kind, KINDS)
    if not name.startswith(_SOURCE) or len(name) > 500:
        raise InvalidInput(f"{name!r} is no ingestion source; its URN starts with {_SOURCE}.")
    if values:
        raise InvalidInput("A source of DataHub has its own values; leave them out.")
    return {}


def _make_room(session: WriteSession, environment_id: int, environment: str) -> None:
    # The environment's row is held: of two at once, the second one counts the first one's.
    session.execute(
        select(Environment.id).where(Environment.id == environment_id).with_for_update()
    )
    of_it = IngestionSchedule.environment_id == environment_id
    if (session.scalar(select(func.count()).where(of_it)) or 0) >= MAX_SCHEDULES:
        raise InvalidInput(
            f"{environment} has {MAX_SCHEDULES} schedules, as many as an environment may have. "
            "Remove one first."
        )


def _find_locked(
    session: WriteSession, environment_id: int, kind: str, name: str
) -> IngestionSchedule | None:
    query = select(IngestionSchedule).where(
        IngestionSchedule.environment_id == environment_id,
        IngestionSchedule.kind == kind,
        IngestionSchedule.name == name,
    )
    return session.scalars(query.with_for_update()).one_or_none()


def _binding(row: IngestionSchedule) -> str:
    return f"ingestion schedule {row.environment_id}/{row.kind}/{row.name}"


def _view(row: IngestionSchedule, environment: str) -> ScheduleView:
    sealed = secret_store.get_vault().decrypt(row.ciphertext, binding=_binding(row))
    values = tuple(sorted(json.loads(sealed)))
    return of_row(ScheduleView, row, environment=environment, values=values, set_by=row.set_by_name)
