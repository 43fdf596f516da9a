"""`python -m backend connections`: set, show, test, history, remove."""

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from backend.cli import common
from backend.cli.common import Json, emit, new_app
from backend.connections import checklist, kinds, resolve, rules, service, testing
from backend.connections.errors import set_command
from backend.connections.kinds import Kind
from backend.connections.schemas import ConnectionView, TestResult
from backend.core import clock
from backend.core.errors import InvalidInput

app = new_app(f"Connections of an environment. Kinds: {', '.join(kinds.KINDS)}.")
Env = Annotated[str, typer.Argument(metavar="ENV", help="The environment's name.")]
_KINDS = ", ".join(kinds.KINDS)
KindName = Annotated[str, typer.Argument(metavar="KIND", help=_KINDS)]
Pairs = Annotated[
    list[str] | None, typer.Argument(metavar="KEY=VALUE…", help="Settings; KEY= clears one.")
]
SecretNames = Annotated[
    list[str] | None,
    typer.Option("--secret", metavar="KEY", help="Read this secret: KEY (stdin) or KEY=@FILE."),
]
Limit = Annotated[int, typer.Option(min=1, max=testing.KEEP, help="At most so many.")]
MAX_SECRET_FILE = 64_000
#: Where the first run of each job begins.
STARTS = {
    "User sync": "users plan {}",
    "Mounts": "mounts active --environment {}",
    "Tokenization": "tokenize tables --environment {}",
    "Ingestion": "ingest datasets --environment {}",
}


@app.command("set")
@common.may_wait
def set_(
    environment: Env,
    kind: KindName,
    pairs: Pairs = None,
    secret: SecretNames = None,
    clear_secret: Annotated[
        list[str] | None,
        typer.Option("--clear-secret", metavar="KEY", help="Forget this secret."),
    ] = None,
    json: Json = False,
) -> None:
    """Set settings and secrets of one connection; what is not named stays as it is.

    A secret never stands in the argument list, where every user of the machine can read it: it
    comes from stdin (one line per --secret, in their order) or from a file.
    """
    known = kinds.get_kind(kind)
    settings, secrets_in = _given(known, pairs, secret)
    saved = common.write(
        service.save,
        environment=environment,
        kind=kind,
        settings=settings,
        secrets_in=secrets_in,
        clear_secrets=clear_secret or (),
    )
    text = f"Saved the {known.label} connection of '{saved.environment}'."
    if _moved_password(known, settings):
        text += (
            " The password inside the URL is stored as the secret, not in the URL. Other users of "
            "this machine may have seen it in the argument list; next time use --secret."
        )
    emit(_document(saved), json, text)


@app.command("try")
def try_(
    environment: Env,
    kind: KindName,
    pairs: Pairs = None,
    secret: SecretNames = None,
    json: Json = False,
) -> None:
    """Test these values without saving them; what is not named is as stored."""
    draft = testing.Draft(*_given(kinds.get_kind(kind), pairs, secret))
    database, actor = common.database(), common.actor()
    with database.read() as session:
        name = resolve.environment(session, environment).name
    _tested(name, (testing.run(database, actor, environment=name, kind=kind, draft=draft),), json)


@app.command("show")
def show(
    environment: Env,
    kind: Annotated[str | None, typer.Argument(metavar="[KIND]", help=_KINDS)] = None,
    json: Json = False,
) -> None:
    """Show settings, and which secrets are set since when; never a secret."""
    with common.unit_read() as (session, actor):
        environment = resolve.environment(session, environment).name
        if kind:
            found: Iterable[ConnectionView] = [
                service.get_connection(session, actor, environment=environment, kind=kind)
            ]
        else:
            found = service.list_connections(session, actor, environment=environment)
    documents = [_document(item) for item in found]
    text = "\n".join(line for item in found for line in _lines(item))
    emit({"environment": environment, "connections": documents}, json, text)


@app.command("test")
def check(
    environment: Env,
    kind: Annotated[str | None, typer.Argument(metavar="[KIND]", help=_KINDS)] = None,
    json: Json = False,
) -> None:
    """Test one connection, or all of an environment at once; exit status 1 when one failed."""
    database, actor = common.database(), common.actor()
    with database.read() as session:
        name = resolve.environment(session, environment).name
    if kind:
        results: tuple[TestResult, ...] = (
            testing.run(database, actor, environment=name, kind=kind),
        )
    else:
        results = testing.run_all(database, actor, environment=name)
    _tested(name, results, json)


def _tested(name: str, results: tuple[TestResult, ...], json: bool) -> None:
    emit(testing.document(name, results), json, "\n".join(map(_result_line, results)))
    if not results:
        raise common.Failed(f"'{name}' has no connections to test yet.")
    failed = [item.kind for item in results if not item.ok]
    if failed:
        raise common.Failed(f"{len(failed)} of {len(results)} failed: {', '.join(failed)}.")


@app.command("checklist")
def show_checklist(environment: Env, json: Json = False) -> None:
    """Show what each job still needs before its first run, and the command that comes next."""
    with common.unit_read() as (session, actor):
        environment = resolve.environment(session, environment).name
        found = checklist.checklist(session, actor, environment=environment)
    rows = [
        [
            job.job,
            " or ".join(step.kinds) + (" (optional)" if step.optional else ""),
            f"{step.kind} {step.status}",
            _next(environment, step),
        ]
        for job in found
        for step in job.steps
    ]
    starts = [
        f"{job.job} can start: {STARTS[job.job].format(shlex.quote(environment))}"
        for job in found
        if job.ready
    ]
    text = "\n".join([common.table(["JOB", "NEEDS", "STATUS", "NEXT"], rows), *starts])
    emit(checklist.document(environment, found), json, text)


def _next(environment: str, step: checklist.Step) -> str:
    if step.status == "ok":
        return ""
    if step.status == "untested":
        return f"connections test {shlex.quote(environment)} {step.kind}"
    known = kinds.KINDS[step.kind]
    needed = [f"{field.name}=…" for field in known.settings if field.required]
    secrets = [f"--secret {field.name}" for field in known.secrets[:1]]
    return " ".join([set_command(environment, step.kind), *needed, *secrets])


@app.command("history")
def history(
    environment: Env, kind: KindName, limit: Limit = testing.KEEP, json: Json = False
) -> None:
    """Show past tests, newest first; at most 50 are kept per connection."""
    with common.unit_read() as (session, actor):
        environment = resolve.environment(session, environment).name
        found = testing.history(session, actor, environment=environment, kind=kind, limit=limit)
    lines = [f"{clock.to_the_second(item.tested_at)}  {_result_line(item)}" for item in found]
    text = "\n".join(lines) or "No test yet."
    emit(testing.document(environment, found), json, text)


@app.command("remove")
@common.may_wait
def remove(environment: Env, kind: KindName) -> None:
    """Forget the settings and secrets of one connection."""
    with common.unit_write() as (session, actor):
        environment = resolve.environment(session, environment).name
        service.remove(session, actor, environment=environment, kind=kind)
    emit(None, False, f"Removed the {kinds.get_kind(kind).label} connection of '{environment}'.")


def _given(
    kind: Kind, pairs: list[str] | None, secret: list[str] | None
) -> tuple[dict[str, str], dict[str, str]]:
    settings, from_files = _split(kind, pairs or [])
    return settings, {**from_files, **_secrets(kind, secret or [])}


def _split(kind: Kind, pairs: list[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Settings, and secrets given as KEY=@FILE; a secret given openly is refused."""
    settings, from_files = {}, {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"'{name}' is not KEY=VALUE.")
        if kind.secret(name) is None:
            settings[name] = value
        elif value.startswith("@"):
            from_files[name] = read_file(name, value[1:])
        else:
            raise _OpenSecret(name)
    return settings, from_files


def _secrets(kind: Kind, names: list[str]) -> dict[str, str]:
    rules.check_names(kind, {}, {item.partition("=")[0]: "" for item in names})
    found = {}
    for item in names:
        name, equals, value = item.partition("=")
        if equals and not value.startswith("@"):
            raise _OpenSecret(name)
        found[name] = read_file(name, value[1:]) if equals else common.read_secret(name)
    return found


class _OpenSecret(InvalidInput):
    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} is a secret and may not stand in the argument list, where others can read it. "
            f"Pipe it in with --secret {name}, or name a file with --secret KEY=@FILE. "
            "Nothing was saved."
        )


def read_file(name: str, path: str, *, most: int = MAX_SECRET_FILE) -> str:
    """The text of a file that an option names. Raises InvalidInput."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        reason = getattr(exc, "strerror", None) or "it is not text"
        raise InvalidInput(f"The file for {name} cannot be read: {path} ({reason}).") from exc
    if not text.strip() or len(text) > most:
        raise InvalidInput(f"The file for {name}, {path}, is empty or too long.")
    return text.strip()


def _moved_password(kind: Kind, settings: dict[str, str]) -> bool:
    from backend.connections import credentials

    _, taken = credentials.take_out(kind.name, settings, {})
    return bool(taken)


def _lines(item: ConnectionView) -> list[str]:
    if not item.configured:
        return [f"{item.kind}: not configured"]
    settings = " ".join(f"{name}={value}" for name, value in item.settings.items())
    sealed = [
        f"  {state.field}: set, changed on {clock.to_the_second(state.changed_at)} "
        f"by {state.changed_by}"
        if state.is_set
        else f"  {state.field}: not set"
        for state in item.secrets
    ]
    return [f"{item.kind}: {settings}".rstrip(), *sealed]


def _result_line(item: TestResult) -> str:
    head = f"{item.kind}: {'ok' if item.ok else 'FAILED'} ({item.latency_ms} ms)"
    parts = [item.server_version, item.cause, item.advice, *item.warnings]
    return " ".join([head, *[part for part in parts if part]])


def _document(item: ConnectionView) -> dict[str, object]:
    return {
        "environment": item.environment,
        "kind": item.kind,
        "configured": item.configured,
        "settings": dict(item.settings),
        "secrets": [
            {
                "field": state.field,
                "set": state.is_set,
                "changed_at": clock.iso(state.changed_at),
                "changed_by": state.changed_by,
            }
            for state in item.secrets
        ],
        "updated_at": clock.iso(item.updated_at),
        "updated_by": item.updated_by,
    }
