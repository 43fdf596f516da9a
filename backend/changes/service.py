"""Change requests for pages, CLI and REST: look, decide, comment, withdraw."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal, get_args

from backend.accounts import identity
from backend.accounts.step_up import NotFresh
from backend.changes import actions, gate, lifecycle, repository, told, views
from backend.changes.schemas import DONE, ChangePage, ChangeView, Now, Status
from backend.connections import resolve
from backend.core import access, audit, choices, reasons, stopping
from backend.core.access import Actor, Permission
from backend.core.database import Database, ReadSession, WriteSession, database_now
from backend.core.errors import Conflict, InvalidInput, NotPermitted, PortalError
from backend.models.changes import Change

MAX_PAGE = 200
MAX_TEXT = reasons.MAX_TEXT
MAX_MOMENTS = 2_000
#: So many times a page's rows are read for what somebody may approve; the rest is a page more.
MAX_READS = 20
#: Numbers that one page of a search by a text looks through: no index answers a part of a text.
STRETCH = 1_000
Which = Literal["all", "to_approve", "mine", "done"]


def list_changes(
    session: ReadSession,
    actor: Actor,
    *,
    which: Which = "all",
    environment: str | None = None,
    statuses: Sequence[str] = (),
    text: str = "",
    limit: int = 50,
    cursor: int | None = None,
) -> ChangePage:
    """Requests, newest first, at most 200 a page; with a next_cursor there may be more, however few
    a page has.

    which: to_approve is what this actor could approve now; mine is what they asked for, by an API
    token of theirs, too. Raises UnknownChoice for another `which` or an unknown status, and
    EnvironmentNotFound where neither an environment nor a request has that name.
    """
    access.require(actor, Permission.CHANGES_READ)
    _check(which, statuses, limit)
    states = {"to_approve": ("waiting",), "done": DONE}.get(which, tuple(statuses))
    since = _since(session, text, cursor)
    shown: list[Change] = []
    for _ in range(MAX_READS):
        rows = repository.list_changes(
            session,
            states=states,
            environment=environment,
            requester=actor if which == "mine" else None,
            text=text,
            since=since,
            before=cursor,
            limit=limit + 1,
        )
        for row in rows:
            if len(shown) == limit:  # there is more, and the page is full
                return ChangePage(items=views.many(session, shown), next_cursor=cursor)
            cursor = row.id
            if access.in_reach(row.environment_id) and (
                which != "to_approve" or _refusal(session, actor, row) is None
            ):
                shown.append(row)
        if len(rows) <= limit:
            cursor = since if since > 1 else None
            break
    if environment and not shown and cursor is None:
        resolve.environment(session, environment)
    return ChangePage(items=views.many(session, shown), next_cursor=cursor)


def _check(which: str, statuses: Sequence[str], limit: int) -> None:
    choices.check_limit(limit, MAX_PAGE)
    choices.check("list of changes", which, get_args(Which))
    for status in statuses:
        choices.check("status", status, get_args(Status))


def _since(session: ReadSession, text: str, cursor: int | None) -> int:
    """The number from which a page looks; below 1: all of them."""
    if not text.strip():
        return 0
    return (cursor or 1 + repository.newest_number(session)) - STRETCH


def recent(
    session: ReadSession, actor: Actor, *, days: int = 14
) -> tuple[tuple[datetime, str], ...]:
    """When each request of the last days was made and its status, of the newest 2,000."""
    access.require(actor, Permission.CHANGES_READ)
    since = database_now(session) - timedelta(days=max(1, min(days, 366)))
    found = repository.moments(session, since=since, limit=MAX_MOMENTS)
    return tuple((at, state) for at, state, number in found if access.in_reach(number))


def get(session: ReadSession, actor: Actor, *, change_id: int) -> ChangeView:
    """One request with its history; its details for who could ask for the same. Raises NotFound."""
    access.require(actor, Permission.CHANGES_READ)
    row = repository.get(session, change_id)
    _in_reach(row)
    known = actions.everything().get(row.action)
    may = known is not None and replace(actor, ask_only=False).may(known.permission)
    view = views.one(session, row)
    return view.model_copy(update={"details": lifecycle.details(row)}) if may else view


def waiting_for(
    session: ReadSession, actor: Actor, *, environment: str | None, domain: str, limit: int = 5
) -> tuple[ChangeView, ...]:
    """What waits or is on its way for a job's page ("user_sync"); environment None: in all."""
    access.require(actor, Permission.CHANGES_READ)
    rows = repository.list_changes(
        session,
        states=repository.OPEN,
        environment=environment,
        requester=None,
        domain=domain,
        before=None,
        limit=limit,
    )
    return views.many(session, rows)


def why_not(session: ReadSession, actor: Actor, *, change_id: int) -> str:
    """Why this actor cannot approve the request, "" when they can (sign-in aside)."""
    access.require(actor, Permission.CHANGES_READ)
    refusal = _refusal(session, actor, repository.get(session, change_id))
    return refusal.message if refusal else ""


def would_do(database: Database, actor: Actor, *, change_id: int) -> Now:
    """Whether a waiting request would still do what was asked for, and the preview that its own
    page shows; asks outside systems as that does, and changes nothing."""
    access.require(actor, Permission.CHANGES_READ)
    with database.read() as session:
        row = repository.get(session, change_id)
        _in_reach(row)
        access.require(actor, actions.get(row.action).permission)
        if row.state not in ("waiting", "approved"):
            return Now(same=False, error=f"The change is {row.state}.")
        call = lifecycle.prepared(session, row)
    if isinstance(call, str):
        return Now(same=False, error=call)
    stopping.step("comparing it with what was asked for")
    found = _probed(database, call, change_id)
    stopping.step("reading what it would do", 0.5)
    try:
        return found.model_copy(update={"preview": call.preview(database, actor)})
    except PortalError as exc:
        return found if found.error else Now(same=False, moved=found.moved, error=exc.message)


def _probed(database: Database, call: lifecycle.Call, change_id: int) -> Now:
    try:
        with gate.carrying(change_id, probe=True):
            call.run(database)
    except gate.Probed as exc:
        return Now(same=not exc.moved, moved=tuple(exc.moved))
    except PortalError as exc:
        return Now(same=False, error=exc.message)
    return Now(same=False, error="It was done already, by another way.")


def approve(
    session: WriteSession, actor: Actor, *, change_id: int, comment: str = ""
) -> ChangeView:
    """Approve; with the last approval needed the request is carried out by a job.

    Raises NotFound, NotPermitted (role, one's own request, NotFresh: `accounts.step_up`), Conflict.
    """
    access.require(actor, Permission.CHANGES_DECIDE)
    row = repository.lock(session, change_id)
    _may_approve(session, actor, row)
    if not identity.is_fresh(session, actor):
        if actor.kind == "api_token":
            raise NotFresh(
                "Approve on the page or at the command line, or with a token made just now."
            )
        raise NotFresh()
    return _approved(session, actor, row, comment)


def reject(session: WriteSession, actor: Actor, *, change_id: int, reason: str) -> ChangeView:
    """End a waiting request. reason: why, for the one who asked. Whoever may approve may reject."""
    access.require(actor, Permission.CHANGES_DECIDE)
    row = repository.lock(session, change_id)
    reason = _text(reason, "reason", "Say why it is rejected, so that who asked can do better.")
    _may_approve(session, actor, row)
    lifecycle.end(session, actor, row, "rejected", reason)
    return views.one(session, row)


def withdraw(
    session: WriteSession, actor: Actor, *, change_id: int, reason: str = ""
) -> ChangeView:
    """Take back what waits and was asked for by oneself, or a token or login of one's own; admins
    may take back anybody's."""
    access.require_to_ask(actor, Permission.CHANGES_DECIDE)
    row = repository.lock(session, change_id)
    mine = identity.of(session, kind=actor.kind, id=actor.id, name=actor.name)
    _in_reach(row)
    if not mine.is_person_of(lifecycle.requester(session, row)):
        access.require(actor, Permission.CHANGES_CONFIGURE)
    _is_waiting(session, row)
    lifecycle.end(session, actor, row, "withdrawn", reasons.checked(reason))
    return views.one(session, row)


def comment(session: WriteSession, actor: Actor, *, change_id: int, text: str) -> ChangeView:
    """Say something about an open request."""
    access.require_to_ask(actor, Permission.CHANGES_DECIDE)
    row = repository.lock(session, change_id)
    _in_reach(row)
    access.require_to_ask(actor, actions.get(row.action).permission)
    if row.state not in repository.OPEN:
        raise Conflict(f"Change {row.id} is {row.state}; nothing more can be said to it.")
    repository.add_step(
        session, row.id, actor, "commented", _text(text, "comment", "Write a comment.")
    )
    return views.one(session, row)


def _text(text: str, what: str, why: str) -> str:
    """why: what is said where there is none."""
    if not text.strip():
        raise InvalidInput(why)
    return reasons.checked(text, what)


def _approved(session: WriteSession, actor: Actor, row: Change, text: str) -> ChangeView:
    repository.add_step(session, row.id, actor, "approved", reasons.checked(text, "comment"))
    given = lifecycle.approvers(session, row)
    audit.record(
        session,
        actor,
        "changes:request:approve",
        subject=gate.subject(row),
        outcome="approved",
        details={"requester": row.requester_name, "given": len(given), "needed": row.needed},
    )
    if len(given) >= row.needed:
        row.state, row.decided_at = "approved", database_now(session)
        told.decided(session, row, actor)
        if row.after_id is None:  # else `lifecycle.track` begins it in its turn
            lifecycle.send(session, actor, row)
    session.flush()
    return views.one(session, row)


def _may_approve(session: WriteSession, actor: Actor, row: Change) -> None:
    refusal = _refusal(session, actor, row)
    if refusal is not None:
        raise refusal


def _refusal(session: ReadSession, actor: Actor, row: Change) -> PortalError | None:
    """Why the actor cannot decide about it now, sign-in aside."""
    try:
        access.require(actor, actions.get(row.action).permission)
        _in_reach(row)
        _is_waiting(session, row)
        if actor.kind == "system":
            raise NotPermitted("Only a person approves.")
        mine = identity.of(session, kind=actor.kind, id=actor.id, name=actor.name)
        if mine.is_person_of(lifecycle.requester(session, row)):
            raise NotPermitted("Somebody else must decide: this change was asked for by you.")
        for name, given in lifecycle.approvers(session, row):
            if mine.is_person_of(given):
                raise Conflict(f"You have approved change {row.id} already, as {name}.")
    except PortalError as exc:
        return exc
    return None


def _in_reach(row: Change) -> None:
    """A token that is limited to other environments neither sees nor touches it."""
    access.require_environment(row.environment_id, row.environment or "the portal")


def _is_waiting(session: ReadSession, row: Change) -> None:
    if row.state != "waiting":
        raise Conflict(f"Change {row.id} is {row.state}; there is nothing to decide any more.")
    if row.expires_at <= database_now(session):
        raise Conflict(f"Change {row.id} has expired. Whoever needs it asks again.")
    if row.environment_id and repository.environment_name(session, row.environment_id) is None:
        raise Conflict(f"The environment {row.environment} of change {row.id} was deleted.")
