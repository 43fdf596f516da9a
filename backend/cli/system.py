"""init, worker, migrate, doctor, secrets rotate."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from cryptography.fernet import Fernet

from backend.cli import common
from backend.cli.common import Json, emit, new_app
from backend.core import crypto, log, secret_rotation, secret_store, startup
from backend.core.database import get_database
from backend.core.doctor import examine
from backend.core.errors import InvalidInput
from backend.core.settings import get_settings

#: Characters that are read of a pasted token: far more than a header may hold.
_LONGEST_TOKEN = 1_000_000

secrets_app = new_app("Keys of the secrets at rest.")


@secrets_app.command("rotate")
def rotate(json: Json = False) -> None:
    """Re-encrypt every stored secret with the newest key (a new one with a key file)."""
    common.database()
    settings = get_settings()
    if not settings.secret_keys.get_secret_value():
        crypto.add_key_to_file(settings.data_dir)
    vault = secret_store.get_vault()
    counts = common.write(secret_rotation.rotate, vault=vault)
    total = sum(counts.values())
    emit(
        {"key_id": vault.key_id, "rotated": counts, "left_on_old_keys": 0},
        json,
        f"{total} secrets are now under key {vault.key_id}; none is left on an older key.",
    )


@secrets_app.command("new-key")
def new_key() -> None:
    """Print a fresh key to put in front of PORTAL_SECRET_KEYS."""
    emit(None, False, Fernet.generate_key().decode())


def init(json: Json = False) -> None:
    """Make a new state at the place the settings name; one that is there stays as it is."""
    database, there = common.create()
    place = startup.place(database)
    document = {"state": place, "created": not there, "revision": startup.SCHEMA_REVISION}
    made = f"A state was there already: {place}." if there else f"A new state was made: {place}."
    emit(document, json, made)


def worker() -> None:
    """Run background jobs until stopped; start as many as you like, on any machine."""
    from backend.jobs import worker as jobs_worker

    database = common.database()
    log.configure(get_settings().log_level)
    jobs_worker.serve(database)


def migrate() -> None:
    """Bring the state database to the newest schema."""
    common.database()
    emit(None, False, f"The state database is at revision {startup.SCHEMA_REVISION}.")


def doctor(
    through: Annotated[
        str, typer.Option(help="Address of the portal: what it believes of a request sent there.")
    ] = "",
    token_file: Annotated[
        str,
        typer.Option(help="An id token or its claims (- is stdin): which claim gives which role."),
    ] = "",
    provider: Annotated[str, typer.Option(help="With --token-file: the provider's name.")] = "",
    json: Json = False,
) -> None:
    """Say what is set and what is wrong, all problems at once."""
    from backend.accounts import provider_check
    from backend.ingestion import static_mapping
    from backend.jobs import readiness

    log.configure("ERROR")
    if through:
        _doctor_through(through, json)
        return
    if token_file:
        _doctor_token(token_file, provider, json)
        return
    report = examine(
        get_database, (static_mapping.problems, provider_check.check, readiness.problems)
    )
    lines = [f"{item.name} = {item.value}" for item in report.settings]
    lines += [f"ok: {line}" for line in report.fine]
    lines += [f"PROBLEM: {line}" for line in report.problems]
    emit(report, json, "\n".join(lines))
    if report.problems:
        count = len(report.problems)
        raise common.Failed(f"{count} problem{'' if count == 1 else 's'} found.")


def _doctor_token(file: str, provider: str, json: Json) -> None:
    """The token is never an argument: other people of the machine see those."""
    from backend.accounts import provider_check

    try:
        text = sys.stdin.read(_LONGEST_TOKEN) if file == "-" else Path(file).read_text("utf-8")
    except (OSError, UnicodeError) as exc:
        raise InvalidInput(f"{file} cannot be read: {exc}.") from exc
    report = provider_check.explain(text, provider=provider)
    lines = [f"{name} = {getattr(report, name)}" for name in ("provider", "signature", "name")]
    lines += [f"role = {report.role or 'none'}", *report.grants]
    lines += [f"PROBLEM: {report.error}"] if report.error else []
    emit(report, json, "\n".join(lines))
    if report.role is None or report.error:
        raise common.Failed("Nobody gets in with this token.")


def _doctor_through(url: str, json: Json) -> None:
    from backend.accounts import deployment

    found = common.call(deployment.prove, url=url)
    hidden = {"warnings", "checks"}
    lines = [f"{name} = {value}" for name, value in found.model_dump(exclude=hidden).items()]
    for check in found.checks:
        lines.append(f"{'ok' if check.ok else 'PROBLEM'}: {check.name}. {check.seen}")
        lines += [f"  {check.mend}"] if check.mend else []
    emit(found, json, "\n".join(lines))
    if not all(check.ok for check in found.checks):
        raise common.Failed("What stands between does not fit the settings.")


def mcp(
    role: Annotated[str, typer.Option(help="What it may look at and ask for.")] = "steward",
) -> None:
    """Serve the Model Context Protocol on stdin and stdout: look, and ask for changes.

    With PORTAL_API_TOKEN as that token, whose role and limits hold; --role is for a login.
    """
    from backend.accounts.names import checked_role
    from backend.mcp import server

    server.build(common.database(), server.actor(common.actor(), checked_role(role))).run("stdio")


COMMANDS = {
    "mcp": mcp,
    "init": init,
    "secrets": secrets_app,
    "worker": worker,
    "migrate": migrate,
    "doctor": doctor,
}
