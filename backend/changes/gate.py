"""The one call that a service makes: go on, or wait for an approval.

`check` stands right before the service's first write, in the transaction that begins the work. It
does one of four things there:

- the policy asks for nothing: it returns;
- the policy asks for an approval: it files a change request and raises `Waiting`;
- an approved request is being carried out (`carrying`): it compares what the service is about to
  do with what was approved, marks the request as begun, and returns; begun is committed with the
  service's own row or not at all, so that a process killed in between carries nothing out twice;
- somebody asks what a request would do now (`probing`): it raises `Probed` with what has moved.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy.exc import IntegrityError

from backend.changes import actions, repository, rules, told
from backend.changes.rules import Rule
from backend.core import audit, reasons, secret_store
from backend.core.access import Actor
from backend.core.database import ReadSession, WriteSession, database_now
from backend.core.errors import Conflict, InvalidPayload, Waiting
from backend.core.settings import get_settings
from backend.models.changes import Change

#: A request that nobody decided about in this time has to be made again.
EXPIRES = timedelta(hours=24)
#: How often a request is looked for, and added where there is none, until its refusal is raised.
TRIES = 10
MAX_PARAMETERS = 8_000_000
#: Beside the sealed parameters: what those see who could ask for the same.
DETAILS = "_details"
#: And what it rested on when it was asked for: a digest each, by its name.
RESTING = "_resting"


@dataclass(frozen=True)
class Intent:
    """What a service is about to do.

    parameters: what its CarryOut needs to do exactly this later; sealed at rest.
    secrets: more of them, of which only a keyed fingerprint counts in the digest.
    shown: what everybody sees, the resolved target and numbers; no personal values, no secrets.
    beside: more of them, which say how it was asked for and not what is done: in no digest.
    details: what only those see who could ask for the same; sealed as the parameters are.
    size: users or rows, None when nobody knows. digest: of the plan or preview behind it.
    rests: what else it rests on that not everybody may read, by its name; only that it moved is
    said. through: the kinds of connection that it goes through; where they lead is part of it.
    run_id: reserved for its run, when it can be known before; its CarryOut gets it as a parameter.
    reason: why, where the action itself keeps it; else what its face was told (`core.reasons`).
    environment "": none is configured. environment_id: for what may bear an old name.
    also: other actions that this amounts to; the strictest rule decides.
    everywhere: it is about every environment, or only_in these: the strictest of them decides.
    """

    action: str
    environment: str
    subject: str
    parameters: Mapping[str, Any]
    shown: Mapping[str, Any] = field(default_factory=dict)
    size: int | None = None
    digest: str = ""
    rests: Mapping[str, str] = field(default_factory=dict)
    through: tuple[str, ...] = ()
    run_id: str = ""
    reason: str = ""
    environment_id: int | None = None
    secrets: Mapping[str, Any] = field(default_factory=dict)
    beside: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    also: tuple[str, ...] = ()
    everywhere: bool = False
    only_in: tuple[int, ...] = ()

    def frozen(self, session: ReadSession, environment_id: int) -> str:
        """SHA-256 over everything that decides what is done, and where."""
        parts: list[Any] = [
            self.action,
            environment_id,
            self.parameters,
            self.shown,
            self.digest,
        ]
        if self.secrets:
            text = json.dumps(self.secrets, sort_keys=True, ensure_ascii=False)
            parts.append(secret_store.fingerprint(session, "secrets of a change", text))
        resting = self.resting(session, environment_id)
        if resting:
            parts.append(resting)
        text = json.dumps(parts, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def resting(self, session: ReadSession, environment_id: int) -> dict[str, str]:
        """A digest of each thing that it rests on, by its name."""
        found = {**self.rests, **repository.leads(session, environment_id, self.through)}
        return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in found.items()}


class MovedSince(Conflict):
    """What an approved request would do now is not what was approved."""

    def __init__(self, change_id: int, moved: list[str]) -> None:
        self.moved = moved
        super().__init__(
            f"Change {change_id} was not carried out: {', '.join(moved)} moved since it was asked "
            "for. Ask again, so that what is approved is what is done."
        )


class AlreadyBegun(Conflict):
    """Somebody else carries the request out, or it has ended: it is theirs to say how."""

    def __init__(self, row: Change) -> None:
        super().__init__(f"Change {row.id} is {row.state}; it is carried out once.")


class Probed(Exception):
    """The answer to a probe. moved: what differs from what was asked for."""

    def __init__(self, moved: list[str]) -> None:
        super().__init__()
        self.moved = moved


@dataclass(frozen=True)
class _Carried:
    change_id: int
    probe: bool


_carried: ContextVar[_Carried | None] = ContextVar("changes.carried", default=None)


@contextlib.contextmanager
def carrying(change_id: int, *, probe: bool = False) -> Iterator[None]:
    """Within the block the services of this thread carry this request out, or only say if they
    still would."""
    token = _carried.set(_Carried(change_id, probe))
    try:
        yield
    finally:
        _carried.reset(token)


def check(session: WriteSession, actor: Actor, intent: Intent, *, at_least: int = 0) -> None:
    """Return when the work may begin now. Call it before the first write of the transaction.

    at_least: approvals that are needed whatever the policy says.
    Raises Waiting (the request is filed: the unit of work commits it), MovedSince, Probed,
    Conflict when the request being carried out is not approved (any more).
    """
    if session.new or session.dirty or session.deleted:
        raise RuntimeError("gate.check comes before the first write: a request is filed alone")
    environment_id = intent.environment_id
    if environment_id is None:
        environment_id = repository.environment_id(session, intent.environment)
    carried = _carried.get()
    if carried is not None:
        _go_on(session, intent, environment_id, carried)
        return
    asking = _asking(session, actor, intent, environment_id)
    needed = max([at_least, int(actor.ask_only), *asking])
    if needed:
        unit = actions.get(intent.action).unit
        words = asking[max(asking)].in_words(unit) if asking else ""
        row = _file(session, actor, intent, environment_id, needed, words)
        raise waiting(row)


def _asking(
    session: WriteSession, actor: Actor, intent: Intent, environment_id: int
) -> dict[int, Rule]:
    """The rules that ask for an approval of this, by how many they ask for."""
    names = (intent.action, *intent.also)
    if intent.everywhere:
        found = rules.of_environments(session, names, intent.only_in)
    else:
        found = [rules.find(session, environment_id, name) for name in names]
    now = database_now(session)
    counted = {rule.approvers_for(actor, intent.size, now): rule for rule in found}
    return {many: rule for many, rule in counted.items() if many}


def waiting(row: Change) -> Waiting:
    """The answer for a request that waits."""
    where = address(row.id)
    document = {
        "status": "waiting",
        "state": row.state,
        "change": where,
        "change_id": row.id,
        "runId": row.run_id,
        "action": row.action,
        "environment": row.environment,
        "expires_at": row.expires_at.isoformat().replace("+00:00", "Z"),
    }
    first = f"Nothing was done yet: {row.environment or 'the portal'} asks for an approval."
    then = f"Change {row.id} waits at {where}"
    if row.state != "waiting":
        first = "Exactly this was asked for before and decided about."
        then = f"Change {row.id} is {row.state}: {where}"
    return Waiting(f"{first} {then}", document)


def address(change_id: int) -> str:
    """Where a person decides about it."""
    return f"{get_settings().public_url.rstrip('/')}/changes?change={change_id}"


def _file(
    session: WriteSession,
    actor: Actor,
    intent: Intent,
    environment_id: int,
    needed: int,
    words: str,
) -> Change:
    digest = intent.frozen(session, environment_id)
    row = _row(session, actor, intent, environment_id, digest)
    row.needed = needed
    row.rule = words or "asked by who may ask only, or for a weaker policy"
    known = _known_or_added(session, digest, row)
    if known is not None:
        if known.state == "waiting" and needed > known.needed:
            # Asked for again under a stricter rule, or by who needs more: so many must approve it.
            known.needed, known.rule = needed, words or known.rule
        _also_because(session, known, actor, intent)
        return known
    row.run_id = row.run_id or f"change-{row.id}"
    repository.add_text(session, row)
    repository.add_step(session, row.id, actor, "asked", row.reason)
    told.waits(session, row)
    audit.record(
        session,
        actor,
        "changes:request:ask",
        subject=subject(row),
        phase="intent",
        details={
            "digest": digest,
            "size": intent.size,
            "needed": needed,
            "rule": row.rule,
            **({"reason": row.reason} if row.reason else {}),
        },
    )
    return row


def _known_or_added(session: WriteSession, digest: str, row: Change) -> Change | None:
    """The request for exactly this that is there already; None when `row` is it from now on."""
    for _ in range(TRIES):
        known = _known(session, digest)
        if known is not None or _added(session, row):
            return known
    # Nobody asks for it between the two, and has it ended, so often: it is refused for something.
    session.add(row)
    session.flush()
    return None


def _known(session: WriteSession, digest: str) -> Change | None:
    """The request for exactly this that somebody may still decide about or that is on its way."""
    found = repository.find_open(session, digest)
    row = repository.lock(session, found.id) if found is not None else None
    if row is None or row.open_key is None:  # it ended while its lock was waited for
        return None
    if row.state == "waiting" and row.expires_at <= database_now(session):
        row.open_key = None  # `lifecycle.track` ends it
        session.flush()
        return None
    return row


def _added(session: WriteSession, row: Change) -> bool:
    """False when the same is there already."""
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        return False
    return True


def _because(intent: Intent) -> str:
    return (intent.reason or reasons.current())[: reasons.MAX_TEXT]


def _also_because(session: WriteSession, row: Change, actor: Actor, intent: Intent) -> None:
    """Asked for again with another reason: the first one stays as it was frozen, and this one is
    said beside it, once."""
    reason = _because(intent)
    said = {row.reason, *(step.text for step in repository.steps(session, [row.id])[row.id])}
    if reason and reason not in said:
        repository.add_step(session, row.id, actor, "commented", reason)


def _row(
    session: WriteSession, actor: Actor, intent: Intent, environment_id: int, digest: str
) -> Change:
    reserved = {"run_id": intent.run_id} if intent.run_id else {}
    sealed = {**intent.parameters, **intent.secrets, **intent.beside, **reserved}
    if intent.details:
        sealed[DETAILS] = dict(intent.details)
    sealed[RESTING] = intent.resting(session, environment_id)
    text = json.dumps(sealed, ensure_ascii=False)
    if len(text) > MAX_PARAMETERS:
        raise InvalidPayload("The change is too large to wait for an approval. Ask in parts.")
    now = database_now(session)
    return Change(
        environment_id=environment_id,
        environment=intent.environment,
        action=intent.action,
        subject=intent.subject[:500],
        reason=_because(intent),
        shown=dict(intent.shown),
        ciphertext=secret_store.get_vault().encrypt(text, binding=binding(digest)),
        digest=digest,
        open_key=digest,
        size=intent.size,
        state="waiting",
        requester_id=actor.id,
        requester_name=actor.name[:255],
        requester_kind=actor.kind,
        created_at=now,
        expires_at=now + EXPIRES,
        run_id=intent.run_id,
        outcome="",
    )


def _go_on(session: WriteSession, intent: Intent, environment_id: int, carried: _Carried) -> None:
    row = repository.lock(session, carried.change_id)
    moved = _moved(session, row, intent, environment_id)
    if carried.probe:
        raise Probed(moved)
    if row.state != "approved":
        raise AlreadyBegun(row)
    if moved:
        raise MovedSince(row.id, moved)
    row.state = "running"
    session.flush()


def _moved(session: ReadSession, row: Change, intent: Intent, environment_id: int) -> list[str]:
    """In words, what differs; [] when nothing does."""
    if intent.frozen(session, environment_id) == row.digest:
        return []
    if environment_id != row.environment_id:
        return ["the environment"]
    keys = sorted({*row.shown, *intent.shown})
    differ = [key for key in keys if row.shown.get(key) != intent.shown.get(key)]
    then, now = opened(row).get(RESTING, {}), intent.resting(session, environment_id)
    differ += [name for name in sorted({*then, *now}) if then.get(name) != now.get(name)]
    return [f"the {key.replace('_', ' ')}" for key in differ] or ["what it rests on"]


def opened(row: Change) -> dict[str, Any]:
    """The sealed parameters and what is beside them; {} when the request has ended."""
    if not row.ciphertext:
        return {}
    text = secret_store.get_vault().decrypt(row.ciphertext, binding=binding(row.digest))
    return dict(json.loads(text))


def subject(row: Change) -> str:
    """The audit log's name for it."""
    return f"change {row.id}: {row.action} of {row.subject}"


def binding(digest: str) -> str:
    """What the sealed parameters are bound to."""
    return f"change {digest}"
