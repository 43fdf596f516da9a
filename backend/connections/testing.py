"""Test connections: one kind, a draft before it is saved, or all of an environment at once.

These functions talk to outside systems, so they take the Database and open short units of work
around the calls, never across them.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from datetime import timedelta

from backend.connections import (
    client_info,
    environments,
    kinds,
    probing,
    repository,
    resolve,
    rules,
    service,
    tls,
    visibility,
)
from backend.connections.errors import set_command
from backend.connections.schemas import ConnectionConfig, EnvironmentView, TestResult
from backend.core import access, audit, choices, clock, stopping
from backend.core.access import Actor, Permission
from backend.core.database import Database, ReadSession, WriteSession
from backend.core.errors import PortalError
from backend.core.log import get_logger
from backend.core.views import of_row
from backend.models import ConnectionTest

log = get_logger(__name__)

KEEP = 50
#: So old a test may be before the schedule makes another one: nobody looks at night, and what
#: fails then, or ends soon, is told.
EVERY = timedelta(hours=6)


@dataclass(frozen=True)
class Draft:
    """Unsaved edits, laid over what is stored: "" clears a setting, and a blank secret means the
    stored one."""

    settings: Mapping[str, str]
    secrets: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return "Draft(…)"  # may hold secrets


def run(
    database: Database,
    actor: Actor,
    *,
    environment: str | None,
    kind: str,
    draft: Draft | None = None,
) -> TestResult:
    """Test one kind and keep the result; a kind that is not configured is a failed result.

    After a successful test of saved DataHub settings its client info is fetched and stored.
    Raises NotFound for the environment, InvalidInput for the kind or a draft that cannot be right.
    """
    access.require(actor, Permission.CONNECTIONS_TEST)
    if draft is not None:
        # A draft may name another address, and the stored secrets go there.
        access.require(actor, Permission.CONNECTIONS_WRITE)
    with database.read() as session:
        row = resolve.environment(session, environment)
        config = _config(session, row, kind, draft)
    if config is None:
        return _not_configured(row.name, kind)
    return _test(database, actor, config, is_draft=draft is not None)


def run_all(database: Database, actor: Actor, *, environment: str | None) -> tuple[TestResult, ...]:
    """Test every configured kind at the same time; takes as long as the slowest (10 s at most)."""
    access.require(actor, Permission.CONNECTIONS_TEST)
    with database.read() as session:
        row = resolve.environment(session, environment)
        stored = {item.kind for item in repository.list_connections(session, row.id)}
        stored |= {item.kind for item in repository.list_secrets(session, row.id)}
        configs = [
            config
            for kind in kinds.KINDS
            if kind in stored and (config := _config(session, row, kind, None)) is not None
        ]
    if not configs:
        return ()
    stopping.step(f"0 of {len(configs)} answered")
    with ThreadPoolExecutor(max_workers=len(configs)) as pool:
        asked = [pool.submit(_test, database, actor, config) for config in configs]
        for number, _ in enumerate(as_completed(asked), 1):
            stopping.step(f"{number} of {len(configs)} answered", number / len(configs))
    return tuple(each.result() for each in asked)


def history(
    session: ReadSession, actor: Actor, *, environment: str, kind: str, limit: int = KEEP
) -> tuple[TestResult, ...]:
    """Past tests of one kind, newest first: all that are kept, at most 50."""
    access.require(actor, Permission.CONNECTIONS_READ)
    choices.check_limit(limit, KEEP)
    kinds.get_kind(kind)
    row = environments.require_row(session, environment)
    rows = repository.list_tests(session, row.id, kind, limit=limit)
    return tuple(visibility.shown_to(actor, view(item)) for item in rows)


def latest(session: ReadSession, actor: Actor, *, environment: str) -> dict[str, TestResult]:
    """Kind -> last test of its saved settings."""
    access.require(actor, Permission.CONNECTIONS_READ)
    row = environments.require_row(session, environment)
    rows = repository.newest_tests(session, row.id)
    return {item.kind: visibility.shown_to(actor, view(item)) for item in rows}


def view(row: ConnectionTest) -> TestResult:
    return of_row(TestResult, row, warnings=tuple(row.warnings), ends=row.ends or {})


def _config(
    session: ReadSession, row: EnvironmentView, kind: str, draft: Draft | None
) -> ConnectionConfig | None:
    known = kinds.get_kind(kind)
    saved = resolve.find_in(session, row.id, kind=kind)
    if draft is None:
        return saved
    kept = {f.name: saved.settings.get(f.name, "") for f in known.settings} if saved else {}
    plain, sealed = service.merge(known, kept, draft.settings, draft.secrets)
    stored = dict(saved.secrets) if saved else {}
    service.check_addresses(
        known,
        saved.settings if saved else {},
        plain,
        sandbox=row.is_sandbox,
        kept=set(stored) - set(sealed),
    )
    rules.check_complete(known, plain, frozenset(stored | sealed))
    return ConnectionConfig(
        environment=row,
        kind=kind,
        settings=rules.with_defaults(known, plain) | row.trust.as_settings(),
        secrets={**stored, **sealed},
        version=saved.version if saved else 0,
    )


def _test(
    database: Database,
    actor: Actor,
    config: ConnectionConfig,
    *,
    is_draft: bool = False,
    by_schedule: bool = False,
) -> TestResult:
    result = replace(probing.run(config), tested_by=actor.name, draft=is_draft)
    stopping.step("keeping the result")  # who stopped it wants none of it
    result = database.change(_record, actor, config, result, by_schedule)
    if config.kind == "datahub" and not result.draft:
        client_info.after_test(database, actor, config, result)
    return result


def _record(
    session: WriteSession,
    actor: Actor,
    config: ConnectionConfig,
    result: TestResult,
    by_schedule: bool,
) -> TestResult:
    """Keep the result; settings that were replaced while the test ran count as a draft's."""
    environment = config.environment
    version = repository.lock_version(session, environment.id, config.kind)
    if version is None:
        return result  # deleted while the test ran; there is nothing to keep the result with
    if version != config.version:
        result = replace(result, draft=True)
    kept = {
        "tested_at": result.tested_at,
        "latency_ms": result.latency_ms,
        "server_version": result.server_version,
        "advice": result.advice,
        "warnings": list(result.warnings),
        "tls": dict(result.tls) if result.tls else None,
        "ends": dict(result.ends),
    }
    if by_schedule and (last := _same_as_last(session, config, result)):
        for name, value in kept.items():
            setattr(last, name, value)
        return result
    session.add(
        ConnectionTest(
            environment_id=environment.id,
            kind=result.kind,
            tested_by=actor.name,
            draft=result.draft,
            version=config.version,
            ok=result.ok,
            cause=result.cause,
            **kept,
        )
    )
    session.flush()
    repository.trim_tests(session, environment.id, result.kind, keep=KEEP)
    audit.record(
        session,
        actor,
        Permission.CONNECTIONS_TEST.value,
        subject=f"{result.kind} of {environment.name}",
        outcome="succeeded" if result.ok else "failed",
        details={"latency_ms": result.latency_ms, "draft": result.draft, "cause": result.cause},
    )
    return result


def _same_as_last(
    session: WriteSession, config: ConnectionConfig, result: TestResult
) -> ConnectionTest | None:
    """The last test of the schedule when it found the same and nobody has tested since: a history
    and an audit log of people's tests are worth more than a line each time."""
    rows = repository.list_tests(session, config.environment.id, config.kind, limit=1)
    last = rows[0] if rows else None
    if last is None or last.tested_by != access.SYSTEM.name:
        return None
    found = (last.ok, last.cause, last.draft, last.version)
    return last if found == (result.ok, result.cause, result.draft, config.version) else None


def run_overdue(
    database: Database, actor: Actor, *, progress: Callable[[int, int], None]
) -> dict[str, int]:
    """Test every connection that was not tested for `EVERY`, one after the other; how many were
    ok and failed. progress: (done, of how many)."""
    access.require(actor, Permission.CONNECTIONS_TEST)
    due = database.ask(overdue)
    counts = {"ok": 0, "failed": 0}
    for number, (environment_id, kind) in enumerate(due):
        progress(number, len(due))
        with database.read() as session:
            try:
                config = resolve.find_in(session, environment_id, kind=kind)
            except PortalError as exc:
                log.warning("A connection cannot be tested.", kind=kind, error=exc.message)
                continue
        if config is not None:
            counts["ok" if _test(database, actor, config, by_schedule=True).ok else "failed"] += 1
    progress(len(due), len(due))
    return counts


def overdue(session: ReadSession) -> list[tuple[int, str]]:
    """(environment, kind) of the connections that were last saved or tested longer ago, but for
    those whose test costs money."""
    tests = {
        (row.environment_id, row.kind): row.tested_at for row in repository.newest_tests(session)
    }
    saved = repository.list_all_connections(session)
    since = {(row.environment_id, row.kind): row.updated_at for row in saved} | tests
    return sorted(
        one
        for one, at in since.items()
        if clock.now() - at >= EVERY and not kinds.KINDS[one[1]].costs
    )


def _not_configured(environment: str, kind: str) -> TestResult:
    return TestResult(
        kind=kind,
        ok=False,
        latency_ms=0,
        cause=f"{kind} is not configured in '{environment}'.",
        advice=f"Set it on the Connections page or with: {set_command(environment, kind)}",
    )


def document(environment: str, results: Sequence[TestResult]) -> dict[str, object]:
    """The JSON document of a test (DESIGN 5.3), for CLI and REST alike."""
    return {
        "environment": environment,
        "results": [
            {
                "kind": item.kind,
                "ok": item.ok,
                "latency_ms": item.latency_ms,
                "server_version": item.server_version,
                "cause": item.cause,
                "advice": item.advice,
                "warnings": list(item.warnings),
                "tested_at": clock.iso(item.tested_at),
                "tls": dict(item.tls, days_left=tls.days_left(item.tls)) if item.tls else None,
            }
            for item in results
        ],
    }
