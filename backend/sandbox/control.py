"""When the sandbox runs, what the banner says, and how one leaves it."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.accounts import step_up
from backend.connections import environments, service, testing
from backend.connections.schemas import EnvironmentView
from backend.core import access
from backend.core.access import SYSTEM, Actor, Permission
from backend.core.database import Database, ReadSession
from backend.core.errors import PortalError
from backend.core.log import get_logger
from backend.core.settings import get_settings
from backend.ingestion import mapping
from backend.jobs import schedule
from backend.sandbox import process
from backend.sandbox.aws import part as aws

log = get_logger(__name__)

ENVIRONMENT = "Sandbox"
PRETENDED = "stand-ins and embedded servers on this machine"
ALL_SANDBOX = f"{PRETENDED.capitalize()}. Nothing here touches a real system."

_lock = threading.Lock()
_child: process.Child | None = None
_problem = ""


@dataclass(frozen=True)
class SandboxState:
    """active: the sandbox environment exists. message: one sentence for the banner."""

    active: bool
    ready: bool
    message: str


def state(known: Sequence[EnvironmentView]) -> SandboxState:
    """What the banner says where these are the environments."""
    exists = any(e.is_sandbox for e in known)
    if _problem:
        return SandboxState(exists, False, _problem)
    if not exists:
        return SandboxState(False, False, "")
    if _child is not None and not _child.alive:
        return SandboxState(True, False, "Its servers have stopped: restart the portal.")
    if all(e.is_sandbox for e in known):
        return SandboxState(True, True, ALL_SANDBOX)
    return SandboxState(
        True, True, f"{ENVIRONMENT} is {PRETENDED}; the other environments are real."
    )


def wanted(session: ReadSession) -> bool:
    """PORTAL_SANDBOX: on, off, or auto = while no real environment exists and nobody left."""
    choice = get_settings().sandbox
    if choice != "auto":
        return choice == "on"
    real = [e for e in environments.list_all(session, SYSTEM) if not e.is_sandbox]
    return not real and not process.left(folder())


def folder() -> Path:
    return get_settings().data_dir / "sandbox"


def start(database: Database, stopping: threading.Event) -> bool:
    """Start the stand-ins and describe them as the environment "Sandbox"; True when it runs.

    stopping: set from another thread when the portal is to end; the start is given up.
    """
    global _child, _problem
    with database.read() as session:
        if not wanted(session):
            return False
    with _lock:
        if _child is not None and _child.alive:
            return True
        try:
            _child = process.launch(folder(), stopping)
        except process.PortalStops:
            return False
        except PortalError as exc:
            _problem = exc.message
            log.error("The sandbox did not start.", error=exc.message)
            return False
        _problem = ""
        report = _child.report
    if stopping.is_set():
        return False
    for problem in report["problems"]:
        log.error("A part of the sandbox is missing.", part=problem)
    _describe(database, report["connections"])
    log.info("The sandbox is ready.", connections=[c["kind"] for c in report["connections"]])
    _first_tests(database)
    schedule.make_due(database, ["mounts.orphans"])
    return True


def stop() -> None:
    """End the stand-ins; what they remember stays in the data folder."""
    global _child
    with _lock:
        if _child is not None:
            _child.stop()
            _child = None


def leave(database: Database, actor: Actor) -> bool:
    """Remove the sandbox environment and stop its servers; real environments are untouched."""
    access.require(actor, Permission.ENVIRONMENTS_WRITE)
    with database.write() as session:
        step_up.require(session, actor)
        for environment in environments.list_all(session, actor):
            if environment.is_sandbox:
                environments.remove(
                    session, actor, name=environment.name, confirm_name=environment.name
                )
    _end()
    return True


def remove(database: Database, actor: Actor, *, name: str, confirm_name: str) -> EnvironmentView:
    """`environments.remove`; with the sandbox's environment its servers end, as when it is left."""
    access.require_to_ask(actor, Permission.ENVIRONMENTS_WRITE)
    with database.write() as session:
        gone = environments.remove(session, actor, name=name, confirm_name=confirm_name)
    if gone.is_sandbox:
        _end()
    return gone


def _end() -> None:
    """Here, and in whichever process of the portal holds the servers: they look at the mark."""
    process.mark_left(folder())
    stop()


def _describe(database: Database, connections: list[dict[str, dict[str, str]]]) -> None:
    """A port that was taken meanwhile has changed, so the stored connections follow."""
    with database.write() as session:
        known = {e.name for e in environments.list_all(session, SYSTEM) if e.is_sandbox}
        if ENVIRONMENT not in known:
            environments.add(session, SYSTEM, name=ENVIRONMENT, is_sandbox=True)
            mapping.import_text(
                session, SYSTEM, text=aws.RULES, replace_all=False, environment=ENVIRONMENT
            )
        for connection in connections:
            service.save(
                session,
                SYSTEM,
                environment=ENVIRONMENT,
                kind=str(connection["kind"]),
                settings=connection["settings"],
                secrets_in=connection["secrets"],
            )


def _first_tests(database: Database) -> None:
    """Test every part once, so that the Overview is alive and client info is there."""
    try:
        testing.run_all(database, SYSTEM, environment=ENVIRONMENT)
    except PortalError as exc:
        log.warning("The sandbox's first connection tests did not run.", error=exc.message)
