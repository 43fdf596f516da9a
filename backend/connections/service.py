"""Connections of an environment: see, save, remove. Secrets go in and never come out."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.accounts import step_up
from backend.connections import (
    approval,
    credentials,
    environments,
    guard,
    kinds,
    repository,
    rules,
    secrets,
)
from backend.connections.errors import ChangedMeanwhile, EnvironmentDeleted, SecretsAskedAgain
from backend.connections.kinds import Kind
from backend.connections.schemas import ConnectionView, SecretState
from backend.core import access, audit, clock
from backend.core.access import Actor, Permission
from backend.core.database import ReadSession, WriteSession
from backend.core.errors import Conflict, FieldInvalid
from backend.models import Connection, ConnectionSecret, Environment


def list_connections(
    session: ReadSession, actor: Actor, *, environment: str
) -> tuple[ConnectionView, ...]:
    """All ten kinds of an environment, configured or not.

    Settings are filled only for those who may change them; secrets never are.
    """
    access.require(actor, Permission.CONNECTIONS_READ)
    row = environments.require_row(session, environment)
    stored = {item.kind: item for item in repository.list_connections(session, row.id)}
    sealed = repository.list_secrets(session, row.id)
    return tuple(
        _view(actor, row, kind, stored.get(kind.name), [s for s in sealed if s.kind == kind.name])
        for kind in kinds.KINDS.values()
    )


def get_connection(
    session: ReadSession, actor: Actor, *, environment: str, kind: str
) -> ConnectionView:
    """One kind of an environment, configured or not."""
    access.require(actor, Permission.CONNECTIONS_READ)
    known = kinds.get_kind(kind)
    row = environments.require_row(session, environment)
    stored = repository.find_connection(session, row.id, kind)
    return _view(actor, row, known, stored, repository.list_secrets(session, row.id, kind))


def save(
    session: WriteSession,
    actor: Actor,
    *,
    environment: str,
    kind: str,
    settings: Mapping[str, str],
    secrets_in: Mapping[str, str] | None = None,
    clear_secrets: Sequence[str] = (),
    version: int | None = None,
) -> ConnectionView:
    """Store settings and secrets of one kind.

    settings: the named ones change, others stay; "" clears one. secrets_in: a blank one keeps
    what is stored. version: the one the person saw (0: not configured); None: no check (CLI).
    Raises InvalidInput (names, values, incomplete), SecretsAskedAgain, ChangedMeanwhile,
    EnvironmentNotFound, EnvironmentDeleted, NotFresh; Waiting where the policy asks for approval.
    """
    access.require_to_ask(actor, Permission.CONNECTIONS_WRITE)
    known = kinds.get_kind(kind)
    row = environments.require_row(session, environment)
    # Two first saves: one after the other.
    if repository.lock_environment(session, row.id) is None:
        raise EnvironmentDeleted
    stored = repository.lock_connection(session, row.id, kind)
    _check_version(f"The {known.label} connection of '{row.name}'", stored, version)
    old = dict(stored.settings) if stored else {}
    plain, sealed = merge(known, old, settings, secrets_in or {})
    if sealed or clear_secrets:
        step_up.require(session, actor)
    rules.check_names(known, {}, dict.fromkeys(clear_secrets, ""))
    kept = {item.field for item in repository.list_secrets(session, row.id, kind)}
    kept -= set(clear_secrets)
    check_addresses(known, old, plain, sandbox=row.is_sandbox, kept=kept - set(sealed))
    rules.check_complete(known, plain, frozenset(kept | set(sealed)))
    edit = _Edit(known, row, old, plain, sorted(sealed), sorted(clear_secrets))
    seen = stored.version if stored else 0
    asked = {"kind": kind, "settings": dict(settings), "clear_secrets": list(clear_secrets)}
    _check_approved(session, actor, edit, {**asked, "version": seen}, dict(secrets_in or {}))
    if kind == "datahub" and old.get("server") != plain.get("server"):
        # What the server at the old address said of itself is not the new one's.
        repository.delete_client_info(session, row.id)
    _store(session, actor, row, known, stored, plain)
    secrets.forget(session, row.id, kind, list(clear_secrets))
    secrets.bind(session, row.id, kind, plain, kept - set(sealed))
    secrets.seal(session, actor, row.id, kind, sealed, plain)
    _record_saved(session, actor, edit)
    return get_connection(session, actor, environment=row.name, kind=kind)


def remove(session: WriteSession, actor: Actor, *, environment: str, kind: str) -> None:
    """Forget the settings and secrets of one kind; nothing happens when there are none.

    Raises Waiting where the policy asks for an approval.
    """
    access.require_to_ask(actor, Permission.CONNECTIONS_WRITE)
    known = kinds.get_kind(kind)
    row = environments.require_row(session, environment)
    stored = repository.lock_connection(session, row.id, kind)
    approval.check(
        session,
        actor,
        row,
        "remove",
        f"{kind} of {row.name}",
        parameters={"kind": kind},
        shown={"forget": known.label, "version": stored.version if stored else 0},
        touches_secrets=bool(repository.list_secrets(session, row.id, kind)),
    )
    repository.delete_secrets(session, row.id, kind)
    if kind == "datahub":
        repository.delete_client_info(session, row.id)
    if stored is not None:
        session.delete(stored)
        audit.done(session, actor, "connections:connection:remove", f"{kind} of {row.name}")


def merge(
    kind: Kind,
    stored: Mapping[str, str],
    settings: Mapping[str, str],
    secrets_in: Mapping[str, str],
) -> tuple[dict[str, str], dict[str, str]]:
    """Stored settings with the given ones checked and laid over, and the non-blank secrets.

    Raises InvalidInput for unknown names, FieldInvalid for all values that cannot be right.
    """
    rules.check_names(kind, settings, secrets_in)
    plain, sealed = credentials.take_out(kind.name, settings, secrets_in)
    given = {name: value for name, value in sealed.items() if value.strip()}
    clean: dict[str, str] = {}
    problems: dict[str, str] = {}
    for name, value in {**plain, **given}.items():
        field = kind.setting(name) or kind.secret(name)
        try:
            clean[name] = field.clean(kind.label, value) if field else value
        except FieldInvalid as exc:
            problems |= exc.problems
    if problems:
        raise FieldInvalid(problems)
    merged = dict(stored) | {name: clean[name] for name in plain}
    return {k: v for k, v in merged.items() if v}, {name: clean[name] for name in given}


def check_addresses(
    kind: Kind,
    old: Mapping[str, str],
    new: Mapping[str, str],
    *,
    sandbox: bool,
    kept: Collection[str],
) -> None:
    """Raise InvalidInput for an address that no connection may use, and SecretsAskedAgain when the
    `kept` secrets, which are not given with `new`, would go to somebody else than until now."""
    guard.check_embedded(kind.name, new, sandbox=sandbox)
    guard.check_literal(kind.name, new)
    changed = rules.moved(kind, old, new)
    if kept and changed:
        raise SecretsAskedAgain(kind.label, changed, kept)


@dataclass(frozen=True)
class _Edit:
    """What a save changes. secrets_set, secrets_cleared: names of fields, sorted."""

    kind: Kind
    environment: Environment
    old: Mapping[str, str]
    new: Mapping[str, str]
    secrets_set: list[str]
    secrets_cleared: list[str]

    @property
    def subject(self) -> str:
        return f"{self.kind.name} of {self.environment.name}"

    @property
    def changed(self) -> list[str]:
        names = self.new.keys() | self.old.keys()
        return sorted(name for name in names if self.new.get(name) != self.old.get(name))


def _check_approved(
    session: WriteSession,
    actor: Actor,
    edit: _Edit,
    asked: Mapping[str, Any],
    secrets_in: Mapping[str, str],
) -> None:
    """Raises Waiting where the policy asks for an approval of what was asked."""
    approval.check(
        session,
        actor,
        edit.environment,
        "save",
        edit.subject,
        parameters=dict(asked),
        secrets={"secrets_in": dict(secrets_in)},
        shown={
            "connection": edit.kind.label,
            "settings changed": edit.changed,
            "secrets set": edit.secrets_set,
            "secrets cleared": edit.secrets_cleared,
        },
        details={
            name: f"{edit.old.get(name, '')} → {edit.new.get(name, '')}" for name in edit.changed
        },
        touches_secrets=bool(edit.secrets_set or edit.secrets_cleared),
    )


def _record_saved(session: WriteSession, actor: Actor, edit: _Edit) -> None:
    audit.done(
        session,
        actor,
        "connections:connection:save",
        edit.subject,
        before={name: edit.old.get(name, "") for name in edit.changed},
        after={name: edit.new.get(name, "") for name in edit.changed},
        secrets_set=edit.secrets_set,
        secrets_cleared=edit.secrets_cleared,
    )


def _store(
    session: WriteSession,
    actor: Actor,
    environment: Environment,
    kind: Kind,
    row: Connection | None,
    settings: dict[str, str],
) -> None:
    now = clock.now()
    if row is None:
        row = Connection(environment_id=environment.id, kind=kind.name, version=0, created_at=now)
        session.add(row)
    row.settings = settings
    row.version += 1
    row.updated_at = now
    row.updated_by = actor.name
    session.flush()


def _check_version(what: str, row: Connection | None, version: int | None) -> None:
    if version is None:
        return
    if row is None and version != 0:
        raise Conflict(f"{what} was removed while you were editing. Reload the page.")
    if row is not None and version != row.version:
        raise ChangedMeanwhile(what, row.updated_by, row.updated_at)


def _view(
    actor: Actor,
    environment: Environment,
    kind: Kind,
    row: Connection | None,
    sealed: Sequence[ConnectionSecret],
) -> ConnectionView:
    by_field = {item.field: item for item in sealed}
    states = tuple(
        SecretState(
            field.name, True, by_field[field.name].updated_at, by_field[field.name].updated_by
        )
        if field.name in by_field
        else SecretState(field.name, False)
        for field in kind.secrets
    )
    may_see = actor.may(Permission.CONNECTIONS_WRITE)
    return ConnectionView(
        environment=environment.name,
        kind=kind.name,
        configured=row is not None or kind.implicit,
        settings=dict(row.settings) if row and may_see else {},
        secrets=states,
        version=row.version if row else 0,
        updated_at=row.updated_at if row else None,
        updated_by=row.updated_by if row else "",
    )
