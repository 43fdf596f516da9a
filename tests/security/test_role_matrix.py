"""Role × action, called directly on the services: every one asks first, and refuses who may not.

Found by their shape: a public function whose parameters start with (session | database, actor).
"""

import ast
import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.composition import DOMAINS
from backend.core import access
from backend.core.access import PERMISSIONS, Actor, Permission, Role
from backend.core.database import Database
from backend.core.errors import NotPermitted, PortalError

ROOT = Path(__file__).resolve().parents[2]
ROOMS = (*(domain.name for domain in DOMAINS), "sandbox")
#: Functions that take an actor and need no permission of their own, each with the reason.
NEEDS_NONE = {
    "backend.jobs.enqueue.enqueue": "the service that enqueues has asked already",
    "backend.accounts.service.add_account": "for its own room's callers, which have asked",
    "backend.accounts.service.ask_approval": "part of a change, whose service has asked",
    "backend.accounts.service.changed": "part of a change, whose service has asked",
    "backend.accounts.sessions.end": "one's own session may be ended by anyone; others ask",
    "backend.accounts.identity.is_fresh": "about whoever acts, not what they may",
    "backend.accounts.identity.require_admin_behind": "of a service that has asked already",
    "backend.accounts.step_up.is_proven": "about whoever acts, not what they may",
    "backend.accounts.step_up.require": "about whoever acts, not what they may",
    "backend.accounts.step_up.record": "part of a step-up, which has asked",
    "backend.accounts.approval.check": "the service that is about to act has asked already",
    "backend.connections.approval.check": "the service that is about to act has asked already",
    "backend.mounts.host_work.audited": "part of a release or verification, which has asked",
    "backend.mounts.host_work.check": "part of a release or verification, which has asked",
    "backend.mounts.sealed_requests.enqueue": "the service that enqueues has asked already",
    "backend.notifications.owners.person": "who a mark is for; the service that marks has asked",
    "backend.notifications.owners.find": "asks by whose channels are meant; see channels",
    "backend.notifications.channels.send_test": "asks by `owners.find`, before anything is sent",
    "backend.changes.gate.check": "the service that is about to act has asked already",
    "backend.changes.lifecycle.end": "part of deciding or carrying out, which has asked",
    "backend.changes.lifecycle.send": "part of an approval, which has asked",
    "backend.connections.client_info.after_test": "part of a test, which has asked",
    "backend.connections.secrets.ensure_tokenization_key": "part of a run, which has asked",
    "backend.connections.secrets.seal": "part of saving a connection, which has asked",
    "backend.ingestion.held.hand_over": "part of starting a run, which has asked",
    "backend.ingestion.managed.only_one": "part of starting a source, which has asked",
    "backend.ingestion.dispatch.record": "part of a run, which has asked",
    "backend.ingestion.dispatch.send": "part of a run, which has asked",
    "backend.tokenization.sources.tokenizer": "part of a preview or run, which has asked",
    "backend.user_sync.planning.run": "the job behind a plan, whose service has asked",
    "backend.user_sync.plans.create": "for its own room's service, which has asked",
}


SHAPES = (["session", "actor"], ["database", "actor"])


def _has_services(path: Path) -> bool:
    """What has none is not imported: one such module takes ten seconds."""
    functions = (node for node in ast.parse(path.read_text()).body if hasattr(node, "args"))
    return any([arg.arg for arg in each.args.args[:2]] in SHAPES for each in functions)


def _services() -> Iterator[tuple[str, Callable[..., Any]]]:
    for room in ROOMS:
        for path in sorted((ROOT / "backend" / room).glob("*.py")):
            if path.stem.startswith("_") or not _has_services(path):
                continue
            module = importlib.import_module(f"backend.{room}.{path.stem}")
            for name, function in inspect.getmembers(module, inspect.isfunction):
                if name.startswith("_") or function.__module__ != module.__name__:
                    continue
                parameters = list(inspect.signature(function).parameters)
                if parameters[:2] in SHAPES:
                    yield f"{module.__name__}.{name}", function


SERVICES = dict(_services())
#: What the Overview shows of each room: answers an empty list instead of refusing.
ALERTS = sorted(name for name in SERVICES if name.endswith(".alerts.alerts"))
ASKING = sorted(set(SERVICES) - set(NEEDS_NONE) - set(ALERTS))


class _Untouchable:
    """Stands for a session, a database or an argument: any use of it is a use before the check."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"used .{name} before asking for the permission")

    def __bool__(self) -> bool:
        raise AssertionError("looked at an argument before asking for the permission")


def _call(function: Callable[..., Any], actor: Actor) -> None:
    """Call with arguments that must not be touched before the check."""
    untouchable: Any = _Untouchable()
    required = {
        parameter.name: untouchable
        for parameter in list(inspect.signature(function).parameters.values())[2:]
        if parameter.default is inspect.Parameter.empty
        and parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    }
    result = function(untouchable, actor, **required)
    if inspect.isgenerator(result):
        next(result)


def _needed(function: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Permission | None:
    """The permission the function asks for first."""

    class Asked(Exception):
        pass

    def require(_actor: Actor, permission: Permission) -> None:
        raise Asked(permission)

    monkeypatch.setattr(access, "require", require)
    with monkeypatch.context():
        try:
            _call(function, Actor(1, "x", Role.ADMIN, "user"))
        except Asked as exc:
            return Permission(exc.args[0])
        except (AssertionError, PortalError):
            return None
    return None


@pytest.mark.parametrize("name", ASKING)
def test_every_service_asks_before_it_touches_anything(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _needed(SERVICES[name], monkeypatch) is not None, f"{name} does not ask first"


@pytest.mark.parametrize("role", [r for r in Role if r is not Role.ADMIN])
@pytest.mark.parametrize("name", ASKING)
def test_a_role_without_the_permission_is_refused(
    name: str, role: Role, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        permission = _needed(SERVICES[name], patch)
    assert permission is not None
    if permission in PERMISSIONS[role]:
        return
    with pytest.raises(NotPermitted, match=re.escape(f"({permission.value})")):
        _call(SERVICES[name], Actor(1, "x", role, "user"))


def test_a_refusal_is_logged_with_who_and_what(caplog: pytest.LogCaptureFixture) -> None:
    """By number: names of people stay out of the log (ASVS 16.3.2)."""
    with pytest.raises(NotPermitted):
        access.require(Actor(77, "ann", Role.VIEWER, "user"), Permission.MOUNTS_WRITE)
    assert "A permission was refused." in caplog.text
    assert "mounts:mount:write" in caplog.text
    assert "77" in caplog.text
    assert "ann" not in caplog.text


@pytest.mark.parametrize("name", ALERTS)
def test_the_overview_shows_nothing_of_a_room_to_who_may_not_read_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Actor, "may", lambda _actor, _permission: False)
    untouchable: Any = _Untouchable()
    assert SERVICES[name](untouchable, Actor(1, "x", Role.VIEWER, "user")) == []


def test_every_exception_is_still_a_function() -> None:
    assert set(NEEDS_NONE) <= set(SERVICES)


def test_the_table_is_the_one_of_the_design() -> None:
    steward, operator = PERMISSIONS[Role.STEWARD], PERMISSIONS[Role.OPERATOR]
    assert PERMISSIONS[Role.VIEWER] < steward < PERMISSIONS[Role.ADMIN]
    assert PERMISSIONS[Role.VIEWER] < operator < PERMISSIONS[Role.ADMIN]
    auditor = PERMISSIONS[Role.AUDITOR]
    assert PERMISSIONS[Role.VIEWER] < auditor
    assert {p for p in Permission if p.endswith(":read")} == auditor - {Permission.OWN_ACCOUNT}
    assert {Permission.USER_SYNC_APPLY, Permission.TOKENIZATION_RUN} <= steward - operator
    assert {Permission.MOUNTS_WRITE, Permission.INGESTION_RUN} <= operator - steward
    for only_admin in (
        Permission.ENVIRONMENTS_WRITE,
        Permission.CONNECTIONS_WRITE,
        Permission.INGESTION_MAPPING_WRITE,
        Permission.ACCOUNTS_WRITE,
        Permission.API_TOKENS_WRITE,
        Permission.AUDIT_EXPORT,
    ):
        assert only_admin not in steward | operator


def test_there_are_services_to_check(database: Database) -> None:
    assert len(SERVICES) > 60
