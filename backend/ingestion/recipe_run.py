"""The job of a recipe: `datahub ingest` in the environment that its packages need."""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backend.connections import resolve as connections
from backend.connections.schemas import ConnectionConfig
from backend.core import audit, secret_store, trust
from backend.core.database import ReadSession, WriteSession
from backend.core.errors import InvalidInput, JobError
from backend.core.log import names_secret
from backend.ingestion import recipe_packages
from backend.ingestion.child import Child
from backend.ingestion.recipes import VARIABLES, own_packages, recipe_path
from backend.integrations.datahub import recipes
from backend.jobs.registry import JobContext

_AUTHORITIES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
_OF_THE_COMMAND = {"DATAHUB_GMS_URL", "DATAHUB_GMS_TOKEN"}


def run(
    ctx: JobContext,
    *,
    name: str,
    environment: str,
    values: Mapping[str, str] | None = None,
    sealed: str = "",
) -> dict[str, Any]:
    """Install what the recipe needs where that was not done yet, and run `datahub ingest -c -`.

    Recipe and values reach the command on its standard input, in the envelope that DataHub's own
    loader reads: no argument list and no environment of a process shows a secret. A cancelled job
    ends the whole process group. Raises JobError when the command fails.
    """
    path = recipe_path(name)
    with ctx.database.write() as session:
        typed = _typed(session, sealed)
        filled, authorities = _values(session, path, environment)
    missing = sorted(key for key, value in filled.items() if not value)
    if missing:
        ctx.log(f"Not set by a connection of {environment}: {', '.join(missing)}")
    try:
        recipe = recipes.load(path)
        needed = recipes.requirements(recipe, own_packages(path)), recipes.plugins(recipe)
    except InvalidInput as exc:
        raise JobError(f"The recipe {name} cannot be run: {exc.message}.") from exc
    with recipe_packages.ready(ctx, *needed) as python:
        status = _execute(ctx, python, path, {**(values or {}), **filled}, typed, authorities)
    ctx.database.change(
        audit.record,
        ctx.actor,
        "ingestion:recipe:start",
        subject=name,
        phase="outcome",
        outcome="succeeded" if status == 0 else "failed",
        details={"exit_status": status, "environment": environment},
    )
    if status != 0:
        raise JobError(f"datahub ingest ended with status {status}; its last lines are in the log.")
    return {"recipe": name, "exit_status": status}


def _typed(session: WriteSession, sealed: str) -> dict[str, str]:
    """The secrets that somebody typed for this job; they are gone afterwards."""
    if not sealed:
        return {}
    kept = secret_store.take(session, sealed)
    if kept is None:
        raise JobError("The secrets of this run are gone; start it again and enter them anew.")
    return dict(json.loads(kept))


def _execute(
    ctx: JobContext,
    python: tuple[str, ...],
    path: Path,
    values: Mapping[str, str],
    typed: Mapping[str, str],
    authorities: str,
) -> int:
    command = (*python, "-m", "datahub", "ingest", "run", "-c", "-")
    envelope = {
        "__recipe_yaml__": path.read_text(encoding="utf-8"),
        "__secrets__": {**values, **typed},
    }
    secret = [values[key] for key in values if names_secret(key) and values[key]]
    secret += typed.values()
    with tempfile.TemporaryDirectory(prefix="portal-recipe-") as home:
        environment = {
            # A recipe without a sink: the command itself reads these two.
            **{key: values[key] for key in _OF_THE_COMMAND if values.get(key)},
            **dict.fromkeys(_AUTHORITIES if authorities else (), authorities),
            "PATH": f"{Path(python[0]).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "HOME": home,
            "DATAHUB_TELEMETRY_ENABLED": "false",
        }
        with Child(command, environment=environment, told=json.dumps(envelope)) as child:
            for number, line in enumerate(child.lines(ctx), start=1):
                for value in secret:
                    line = line.replace(value, "***")
                ctx.log(line)
                ctx.progress(number, note=line[:200])
        return child.status


def _values(session: ReadSession, path: Path, environment: str) -> tuple[dict[str, str], str]:
    """What connections fill, and a file with the authorities that the environment adds, "" for
    none.
    """
    # A recipe without a sink goes to the environment's DataHub: the command reads these two.
    wanted = {key for key in recipes.variables(recipes.load(path)) if key in VARIABLES}
    wanted |= _OF_THE_COMMAND
    found: dict[str, ConnectionConfig | None] = {}
    values = {}
    for key in sorted(wanted):
        kind, name = VARIABLES[key]
        if kind not in found:
            found[kind] = connections.find(session, kind=kind, environment=environment)
        values[key] = _value(found[kind], name)
    config = found["datahub"]
    trusted = trust.Trust.of(config.settings if config is not None else {})
    return values, trusted.bundle() if trusted.ca or trust.portal_authorities() else ""


def _value(config: ConnectionConfig | None, name: str) -> str:
    if config is None:
        return ""
    settings = config.settings
    if name == "host:port":
        return f"{settings['host']}:{settings['port']}"
    if name == "https://server_hostname":
        host = settings.get("server_hostname", "")
        return f"https://{host}" if host else ""
    if name == "http_path/last":
        return settings.get("http_path", "").rstrip("/").rpartition("/")[2]
    return settings.get(name) or config.secrets.get(name) or ""
