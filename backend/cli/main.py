"""The command line's table of contents."""

from backend.cli import (
    accounts,
    audit,
    backup,
    client_info,
    connections,
    environments,
    ingest,
    mounts,
    system,
    tokenize,
    users,
)
from backend.cli.common import new_app, run

app = new_app("Steward Portal: every job of the portal from the command line.")
for name, room in (
    ("environments", environments),
    ("connections", connections),
    ("users", users),
    ("mounts", mounts),
    ("tokenize", tokenize),
    ("ingest", ingest),
    ("accounts", accounts),
    ("audit", audit),
    ("client_info", client_info),
):
    app.add_typer(room.app, name=name)
app.add_typer(accounts.tokens_app, name="tokens")
app.add_typer(system.secrets_app, name="secrets")
app.command("refresh_client_info")(client_info.refresh_client_info)
app.command("worker")(system.worker)
app.command("migrate")(system.migrate)
app.command("doctor")(system.doctor)
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)


def main() -> int:
    """Run; returns the exit status."""
    return run(app)
