"""Environments: add, rename, mark as default, delete. One is the default."""

import re

from sqlalchemy.exc import IntegrityError

from backend.changes import policy
from backend.connections import approval, repository
from backend.connections.errors import ChangedMeanwhile, EnvironmentNotFound, NameTaken
from backend.connections.schemas import EnvironmentView
from backend.core import access, audit, clock, trust
from backend.core.access import Actor, Permission
from backend.core.database import ReadSession, WriteSession
from backend.core.errors import Conflict, InvalidInput
from backend.core.trust import Trust
from backend.core.views import of_row
from backend.core.words import counted
from backend.models import Environment

MAX_NAME = 80
DEFAULT_MEANS = "It is the default now, used where no environment is named."
#: Tables whose rows go with an environment, as people call the rows; secrets, tests, client info,
#: favourites and the mapping's version go with what is named here.
BELONGINGS = {
    "connections": ("connection", ""),
    "ingestion_rules": ("ingestion rule", ""),
    "ingestion_schedules": ("ingestion schedule", ""),
    "mount_targets": ("target template", ""),
    "notification_channels": ("notification channel", ""),
    "change_policies": ("rule of its policy", "rules of its policy"),
}
_NAME = re.compile(r"^[^\W_][\w .()-]*$")


def list_all(session: ReadSession, actor: Actor) -> tuple[EnvironmentView, ...]:
    """Every environment that is in reach, the default one first."""
    access.require(actor, Permission.CONNECTIONS_READ)
    rows = repository.list_environments(session)
    return tuple(view(row) for row in rows if access.in_reach(row.id))


def get(session: ReadSession, actor: Actor, *, name: str) -> EnvironmentView:
    """One environment by name, case does not count; raises EnvironmentNotFound."""
    access.require(actor, Permission.CONNECTIONS_READ)
    return view(require_row(session, name))


def add(
    session: WriteSession,
    actor: Actor,
    *,
    name: str,
    default: bool = False,
    is_production: bool = False,
    is_sandbox: bool = False,
) -> EnvironmentView:
    """Add an environment; the first one becomes the default, and so does the first real one: the
    sandbox goes, and what names no environment would then go nowhere.

    Raises InvalidInput for a bad name or one too many, NameTaken when there is one already.
    """
    access.require(actor, Permission.ENVIRONMENTS_WRITE)
    access.require_everywhere("Adding an environment")
    name = clean_name(name)
    repository.lock_environments(session)
    if repository.find_environment(session, name) is not None:
        raise NameTaken(name)
    _check_room(session)
    first = repository.count_environments(session, real_only=not is_sandbox) == 0
    if default or first:
        repository.clear_default(session)
    now = clock.now()
    row = Environment(
        name=name,
        name_key=repository.name_key(name),
        default_marker=1 if default or first else None,
        is_sandbox=is_sandbox,
        is_production=is_production,
        version=1,
        created_at=now,
        updated_at=now,
        updated_by=actor.name,
    )
    session.add(row)
    _flush(session, name)
    if is_production:
        policy.start(session, row.id, actor.name)
    audit.done(
        session,
        actor,
        "connections:environment:add",
        name,
        default=row.default_marker == 1,
        production=is_production,
    )
    return view(row)


def _check_room(session: ReadSession) -> None:
    """So that a list shows all. Raises InvalidInput."""
    if repository.count_environments(session) >= repository.MAX_ENVIRONMENTS:
        raise InvalidInput(
            f"There are {repository.MAX_ENVIRONMENTS} environments, as many as there may be. "
            "Remove one first."
        )


def update(
    session: WriteSession,
    actor: Actor,
    *,
    name: str,
    version: int | None = None,
    new_name: str | None = None,
    is_production: bool | None = None,
) -> EnvironmentView:
    """Rename or change the production mark. What was kept about it is renamed with it, but for the
    audit log.

    version: the one the person saw; raises ChangedMeanwhile when somebody saved in between.
    None: no check (CLI, REST).
    """
    access.require(actor, Permission.ENVIRONMENTS_WRITE)
    row = _locked(session, name, version)
    before = {"name": row.name, "production": row.is_production}
    if new_name is not None:
        row.name = clean_name(new_name)
        row.name_key = repository.name_key(row.name)
    if is_production is not None:
        row.is_production = is_production
    _touch(row, actor)
    _flush(session, row.name)
    if row.name != before["name"]:
        repository.rename_records(session, row.id, str(before["name"]), row.name)
    after = {"name": row.name, "production": row.is_production}
    audit.done(
        session, actor, "connections:environment:update", row.name, before=before, after=after
    )
    return view(row)


def set_trust(
    session: WriteSession,
    actor: Actor,
    *,
    name: str,
    ca: str | None = None,
    verify: bool | None = None,
    version: int | None = None,
) -> EnvironmentView:
    """Whose certificates its connections trust, beside the machine's and the portal's.

    ca: PEM, "" for none; None leaves it. verify: False checks nothing, which pages, tests and
    alerts then keep saying. Raises InvalidInput for what is no certificate, ChangedMeanwhile;
    Waiting where the policy asks for an approval to change connections.
    """
    access.require_to_ask(actor, Permission.ENVIRONMENTS_WRITE)
    found = trust.authorities(ca or "")
    row = _locked(session, name, version)
    before = view(row).trust
    names = [item.subject.rfc4514_string() for item in found][:20]
    approval.check(
        session,
        actor,
        row,
        "trust",
        f"trust of {row.name}",
        parameters={"ca": ca, "verify": verify, "version": row.version},
        shown={
            "verify certificates": "as before" if verify is None else ("yes" if verify else "no"),
            "authorities": "as before" if ca is None else (names or "none"),
        },
    )
    row.ca = before.ca if ca is None else ca.strip()
    row.verify_tls = before.verify if verify is None else verify
    _touch(row, actor)
    audit.done(
        session,
        actor,
        "connections:environment:trust",
        row.name,
        verify={"before": before.verify, "after": row.verify_tls},
        authorities=names,
        changed_authorities=ca is not None and before.ca != row.ca,
    )
    return view(row)


def make_default(session: WriteSession, actor: Actor, *, name: str) -> EnvironmentView:
    """Make this the one default environment."""
    access.require(actor, Permission.ENVIRONMENTS_WRITE)
    access.require_everywhere("Choosing the default environment")
    repository.lock_environments(session)
    row = _locked(session, name, None)
    if row.default_marker != 1:
        before = repository.find_default(session)
        repository.clear_default(session)
        row.default_marker = 1
        _touch(row, actor)
        _flush(session, row.name)
        audit.done(
            session,
            actor,
            "connections:environment:default",
            row.name,
            before=before.name if before else None,
        )
    return view(row)


def remove(session: WriteSession, actor: Actor, *, name: str, confirm_name: str) -> EnvironmentView:
    """Delete an environment with its connections, secrets, tests and client info; returns it.

    confirm_name: the name typed once more; raises InvalidInput when it differs. When the default
    one goes there is no default until an admin chooses: work must not move silently elsewhere.
    Raises Waiting where its policy asks for an approval to change connections.
    """
    access.require_to_ask(actor, Permission.ENVIRONMENTS_WRITE)
    row = _locked(session, name, None)
    if confirm_name.strip() != row.name:
        raise InvalidInput(
            f"Type the environment's name exactly ('{row.name}') to delete it. Nothing was deleted."
        )
    approval.check(
        session,
        actor,
        row,
        "delete",
        f"environment {row.name}",
        parameters={},
        shown={"delete": "the environment with its connections, secrets and policies"},
        touches_secrets=True,
    )
    audit.done(
        session,
        actor,
        "connections:environment:remove",
        row.name,
        was_default=row.default_marker == 1,
    )
    gone = view(row)
    repository.delete_environment(session, row.id)
    return gone


def belongings(session: ReadSession, actor: Actor, *, name: str) -> str:
    """What `remove` takes along: "7 connections, 5 ingestion rules", "" for nothing."""
    access.require(actor, Permission.CONNECTIONS_READ)
    found = repository.count_belongings(session, require_row(session, name).id)
    told = [(found[table], *words) for table, words in BELONGINGS.items()]
    return ", ".join(counted(*each) for each in told if each[0])


def clean_name(name: str) -> str:
    """The name as stored; raises InvalidInput saying what a name may be."""
    name = " ".join(name.split())
    if not name or len(name) > MAX_NAME or not _NAME.match(name):
        raise InvalidInput(
            f"An environment's name has 1 to {MAX_NAME} letters, digits, spaces or . _ - ( ), "
            "and starts with a letter or digit."
        )
    return name


def require_row(session: ReadSession, name: str) -> Environment:
    """The row by name; raises EnvironmentNotFound naming those that exist."""
    row = repository.find_environment(session, " ".join(name.split()))
    if row is None:
        known = [item.name for item in repository.list_environments(session)][:20]
        raise EnvironmentNotFound(name[:MAX_NAME], known)
    access.require_environment(row.id, row.name)
    return row


def view(row: Environment) -> EnvironmentView:
    trust = Trust(row.ca or "", row.verify_tls)
    return of_row(EnvironmentView, row, is_default=row.default_marker == 1, trust=trust)


def _locked(session: WriteSession, name: str, version: int | None) -> Environment:
    row = repository.lock_environment(session, require_row(session, name).id)
    if row is None:
        raise EnvironmentNotFound(name, ())
    if version is not None and version != row.version:
        raise ChangedMeanwhile(f"Environment '{row.name}'", row.updated_by, row.updated_at)
    return row


def _touch(row: Environment, actor: Actor) -> None:
    row.version += 1
    row.updated_at = clock.now()
    row.updated_by = actor.name


def _flush(session: WriteSession, name: str) -> None:
    try:
        session.flush()
    except IntegrityError as exc:
        # Somebody added the same name, or another default, between our look and our write.
        if "name_key" in str(exc.orig):
            raise NameTaken(name) from exc
        raise Conflict(
            "Another environment became the default at the same moment. Nothing of yours was "
            "saved: try again."
        ) from exc
