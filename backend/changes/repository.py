"""All SQL of change control."""

import json
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import aliased

from backend.connections import rules
from backend.connections.kinds import KINDS
from backend.core.access import Actor
from backend.core.database import ReadSession, WriteSession, database_now, findable
from backend.core.errors import NotFound
from backend.models.accounts import ApiToken
from backend.models.changes import Change, ChangePolicy, ChangeStep, ChangeText
from backend.models.connections import Connection, Environment

#: States in which nothing is decided or nothing has ended.
OPEN = ("waiting", "approved", "running")


def environment_id(session: ReadSession, name: str) -> int:
    """0 for "no environment is configured"; raises NotFound for one that is not there.

    Case does not count in names, as everywhere.
    """
    if not name:
        return 0
    found = session.scalar(select(Environment.id).where(Environment.name_key == name.casefold()))
    if found is None:
        raise NotFound(f"There is no environment {name[:80]!r}.")
    return found


def environment_name(session: ReadSession, number: int) -> str | None:
    """The name it has now; None when it was deleted."""
    return session.scalar(select(Environment.name).where(Environment.id == number))


def leads(session: ReadSession, number: int, names: Sequence[str]) -> dict[str, str]:
    """Where an environment's connections of these kinds lead, by what people call them."""
    if not names:
        return {}
    query = select(Connection).where(
        Connection.environment_id == number, Connection.kind.in_(names)
    )
    return {
        f"address of {KINDS[row.kind].label}": json.dumps(
            rules.sent_to(KINDS[row.kind], row.settings), sort_keys=True
        )
        for row in session.scalars(query)
    }


def get(session: ReadSession, change_id: int) -> Change:
    """Raises NotFound."""
    row = session.get(Change, change_id)
    if row is None:
        raise NotFound(f"There is no change {change_id}.")
    return row


def lock(session: WriteSession, change_id: int) -> Change:
    """The request, locked until commit and read afresh; raises NotFound."""
    row = session.get(Change, change_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise NotFound(f"There is no change {change_id}.")
    return row


def find_open(session: ReadSession, open_key: str) -> Change | None:
    return session.scalars(select(Change).where(Change.open_key == open_key)).one_or_none()


def list_changes(
    session: ReadSession,
    *,
    states: Sequence[str],
    environment: str | None,
    requester: Actor | None,
    text: str = "",
    domain: str = "",
    since: int = 0,
    before: int | None,
    limit: int,
) -> list[Change]:
    """Newest first. requester: only what they or the tokens of their account asked for. domain:
    the job whose actions they are. since, before: the numbers from and below which."""
    query, key = select(Change), Change.id
    if words := findable(text).split()[:8]:
        key = ChangeText.change_id
        query = query.join(ChangeText, key == Change.id)
        query = query.where(*(ChangeText.text.contains(word, autoescape=True) for word in words))
    if since > 0:
        query = query.where(key >= since)
    if domain:
        query = query.where(Change.action.startswith(f"{domain}.", autoescape=True))
    if states:
        query = query.where(Change.state.in_(states))
    if environment is not None:
        # By its number, as it may have got another name since; a deleted one has only its name.
        named = select(Environment.id).where(Environment.name_key == environment.casefold())
        known = session.scalar(named) if environment else None
        query = query.where(
            Change.environment == environment if known is None else Change.environment_id == known
        )
    if requester is not None:
        query = query.where(_asked_by(requester))
    if before is not None:
        query = query.where(key < before)
    return list(session.scalars(query.order_by(key.desc()).limit(limit)))


def newest_number(session: ReadSession) -> int:
    return session.scalar(select(func.max(Change.id))) or 0


def _asked_by(who: Actor) -> ColumnElement[bool]:
    """An account and a token by number, as a name may change; a login has only its name."""
    own = and_(Change.requester_kind == who.kind, Change.requester_id == who.id)
    if who.kind == "user":
        tokens = select(ApiToken.id).where(ApiToken.account_id == who.id)
        return or_(own, and_(Change.requester_kind == "api_token", Change.requester_id.in_(tokens)))
    return own if who.kind == "api_token" else and_(own, Change.requester_name == who.name)


def overdue(session: ReadSession, limit: int = 500) -> list[int]:
    """Requests whose time is over and that nobody decided about."""
    return list(
        session.scalars(
            select(Change.id)
            .where(Change.state == "waiting", Change.expires_at <= database_now(session))
            .order_by(Change.id)
            .limit(limit)
        )
    )


def in_state(session: ReadSession, state: str, limit: int = 500) -> list[Change]:
    return list(
        session.scalars(
            select(Change).where(Change.state == state).order_by(Change.id).limit(limit)
        )
    )


def waiting_in_turn(session: ReadSession, limit: int = 500) -> list[int]:
    """Requests of a release that wait for an approval still."""
    return list(
        session.scalars(
            select(Change.id)
            .where(Change.state == "waiting", Change.after_id.is_not(None))
            .order_by(Change.id)
            .limit(limit)
        )
    )


def moments(
    session: ReadSession, *, since: datetime, limit: int
) -> list[tuple[datetime, str, int]]:
    """Since when each of the newest requests is there, its state, and its environment's number."""
    query = (
        select(Change.created_at, Change.state, Change.environment_id)
        .where(Change.created_at >= since)
        .order_by(Change.created_at.desc())
        .limit(limit)
    )
    return [(at, state, number) for at, state, number in session.execute(query)]


def count_waiting(session: ReadSession) -> tuple[int, datetime | None]:
    """How many requests wait, and since when the oldest does."""
    found = session.execute(
        select(func.count(), func.min(Change.created_at)).where(Change.state == "waiting")
    ).one()
    return int(found[0]), found[1]


def last_ended(
    session: ReadSession, states: Sequence[str], *, since: datetime, limit: int
) -> list[Change]:
    """Requests that ended like this since then and that no later one of the same action, subject
    and environment has followed to the end of its work, newest first."""
    later = aliased(Change)
    followed = (
        select(later.id)
        .where(
            later.environment_id == Change.environment_id,
            later.id > Change.id,
            later.action == Change.action,
            later.subject == Change.subject,
            later.state.in_(("succeeded", "failed", "unknown")),
        )
        .exists()
    )
    query = select(Change).where(Change.state.in_(states), Change.finished_at >= since, ~followed)
    return list(session.scalars(query.order_by(Change.id.desc()).limit(limit)))


def add_text(session: WriteSession, row: Change) -> None:
    """What a new request is found by."""
    text = "\n".join((row.subject, row.requester_name, row.action))
    session.add(ChangeText(change_id=row.id, text=findable(text)))


def add_step(
    session: WriteSession, change_id: int, actor: Actor, kind: str, text: str = ""
) -> None:
    session.add(
        ChangeStep(
            change_id=change_id,
            at=database_now(session),
            kind=kind,
            actor_id=actor.id,
            actor_name=actor.name[:255],
            actor_kind=actor.kind,
            text=text[:2000],
        )
    )
    session.flush()


def steps(session: ReadSession, change_ids: Sequence[int]) -> dict[int, list[ChangeStep]]:
    """Every step of these requests, oldest first."""
    found: dict[int, list[ChangeStep]] = {number: [] for number in change_ids}
    for row in session.scalars(
        select(ChangeStep).where(ChangeStep.change_id.in_(change_ids)).order_by(ChangeStep.id)
    ):
        found[row.change_id].append(row)
    return found


def policies(session: ReadSession, number: int) -> list[ChangePolicy]:
    return list(
        session.scalars(
            select(ChangePolicy)
            .where(ChangePolicy.environment_id == number)
            .order_by(ChangePolicy.action)
        )
    )


def lock_policy(session: WriteSession, number: int, action: str) -> ChangePolicy | None:
    return session.scalars(
        select(ChangePolicy)
        .where(ChangePolicy.environment_id == number, ChangePolicy.action == action)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()


def all_locked(session: WriteSession) -> list[Change]:
    """Every request with sealed parameters, for another key."""
    return list(session.scalars(select(Change).where(Change.ciphertext != "").with_for_update()))
