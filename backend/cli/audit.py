"""`python -m backend audit`."""

from backend.accounts import audit_log
from backend.cli import common as cli
from backend.cli.common import Failed, Json, new_app

app = new_app("The audit log.")


@app.callback()
def _group() -> None:
    """The audit log."""


@app.command("verify")
def verify(as_json: Json = False) -> None:
    """Walk the hash chain; exit status 1 and the first broken row when it does not hold."""
    with cli.unit_read() as (session, actor):
        found = audit_log.verify(session, actor)
    document = {
        "ok": found.ok,
        "events": found.events,
        "first_broken": found.first_broken,
        "problem": found.problem,
    }
    cli.emit(
        document, as_json, f"The audit log is whole: {found.events} events." if found.ok else None
    )
    if not found.ok:
        raise Failed(
            f"The audit log was changed: {found.problem} (first broken row: {found.first_broken})."
        )
