"""DataHub recipes kept under data/recipes, run by DataHub's own command line as a job."""

import contextlib
import json
import os
import queue
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from backend.changes import gate
from backend.connections import resolve as connections
from backend.connections.schemas import ConnectionConfig
from backend.core import access, audit, clock, secret_store
from backend.core.access import Actor, Permission
from backend.core.database import ReadSession, WriteSession
from backend.core.errors import InvalidInput, JobError
from backend.core.log import names_secret
from backend.ingestion.answers import RecipeAnswer
from backend.ingestion.errors import RecipeNotFound
from backend.ingestion.managed import only_one
from backend.integrations.datahub import recipes
from backend.jobs.enqueue import enqueue
from backend.jobs.registry import JobContext

KIND = "ingestion.recipe"
#: What a policy may put under approval; `backend.ingestion.changes` carries it out.
RUN = "ingestion.recipe"
FOLDER = Path("data/recipes")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.ya?ml")
#: A default, to show it; what a recipe's variables are is DataHub's own resolver's word.
_DEFAULT = re.compile(r"\$\{([A-Za-z_]\w*):?-([^}]*)\}")
MAX_RECIPES = 200
MAX_BYTES = 100_000
TERMINATE_SECONDS = 10
#: Secrets that people typed wait here, sealed, for the job that takes them.
_SEALED = "ingestion.recipe."
_NEVER_TAKEN = timedelta(days=2)

#: Which variable of a recipe is filled from which connection (setting or secret).
VARIABLES: Mapping[str, tuple[str, str]] = {
    "DATAHUB_GMS_URL": ("datahub", "server"),
    "DATAHUB_GMS_TOKEN": ("datahub", "token"),
    "POSTGRES_HOST": ("postgres", "host"),
    "POSTGRES_PORT": ("postgres", "port"),
    "POSTGRES_HOST_PORT": ("postgres", "host:port"),
    "POSTGRES_DATABASE": ("postgres", "database"),
    "POSTGRES_USERNAME": ("postgres", "user"),
    "POSTGRES_PASSWORD": ("postgres", "password"),
    "DBX_WORKSPACE_URL": ("databricks", "https://server_hostname"),
    "DBX_WAREHOUSE_ID": ("databricks", "http_path/last"),
    "DBX_HTTP_PATH": ("databricks", "http_path"),
    "DBX_CATALOG": ("databricks", "catalog"),
    "DBX_TOKEN": ("databricks", "access_token"),
    "AWS_REGION": ("aws", "region"),
    "AWS_ACCESS_KEY_ID": ("aws", "access_key_id"),
    "AWS_SECRET_ACCESS_KEY": ("aws", "secret_access_key"),
}
_OF_THE_COMMAND = {"DATAHUB_GMS_URL", "DATAHUB_GMS_TOKEN"}
#: What the child may inherit: enough to find programs, certificates and the way out, no secrets.
_INHERITED = (
    "PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
    "http_proxy", "https_proxy", "no_proxy",
)  # fmt: skip


@dataclass(frozen=True)
class RecipeView:
    """filled: variables that a connection fills. asked: those that the person fills, each with its
    default, None when there is none. secret: those of them that are asked for as secrets. text: the
    recipe as it is kept. problem: why it cannot be run here, "" when it can."""

    name: str
    source_type: str
    filled: tuple[str, ...]
    asked: Mapping[str, str | None]
    secret: frozenset[str] = frozenset()
    text: str = ""
    problem: str = ""

    def document(self) -> RecipeAnswer:
        """The recipe as REST and `--json` print it."""
        return {
            "name": self.name,
            "source": self.source_type,
            "filled": list(self.filled),
            "asked": [
                {"name": name, "default": default, "secret": name in self.secret}
                for name, default in self.asked.items()
            ],
            "problem": self.problem or None,
        }


def list_recipes(
    _session: ReadSession, actor: Actor, *, folder: Path | None = None
) -> tuple[RecipeView, ...]:
    """The recipes of the folder, readable or not."""
    access.require(actor, Permission.INGESTION_READ)
    root = folder or FOLDER
    if not root.is_dir():
        return ()
    names = sorted(path.name for path in root.iterdir() if _NAME.fullmatch(path.name))
    return tuple(_view(root / name) for name in names[:MAX_RECIPES])


def run_recipe(
    session: WriteSession,
    actor: Actor,
    *,
    name: str,
    environment: str | None = None,
    values: Mapping[str, str] | None = None,
) -> int:
    """Queue a recipe and return the job's id; a second one while it goes is a Conflict.

    values: the variables that no connection fills. Those that the view calls secret wait sealed
    for the job; neither its row nor the audit has them. Raises RecipeNotFound, InvalidInput for a
    recipe that cannot run here, a variable that nobody fills or a connection that is missing.
    """
    access.require_to_ask(actor, Permission.INGESTION_RUN)
    path = recipe_path(name)
    view = _view(path)
    given = {key: value.strip() for key, value in (values or {}).items() if value.strip()}
    _check(view, given)
    where = connections.environment(session, environment)
    _require_connections(session, path, where.name)
    shown = {key: value for key, value in given.items() if key not in view.secret}
    # Parameters of a request are sealed at rest, what is shown to approvers has no secret.
    asked = {"name": name, "values": given}
    gate.check(session, actor, gate.Intent(RUN, where.name, name, asked, asked | {"values": shown}))
    subject = f"{name} on {where.name}"
    only_one(session, actor, where.id, KIND, subject)
    arguments: dict[str, Any] = {"name": name, "environment": where.name, "values": shown}
    hidden = {key: value for key, value in given.items() if key in view.secret}
    if hidden:
        arguments["sealed"] = f"{_SEALED}{secrets.token_hex(12)}"
        secret_store.drop_older(session, _SEALED, clock.now() - _NEVER_TAKEN)
        secret_store.keep(session, arguments["sealed"], json.dumps(hidden))
    audit.record(
        session,
        actor,
        "ingestion:recipe:start",
        subject=name,
        phase="intent",
        details={"environment": where.name, "values": shown, "secrets": sorted(hidden)},
    )
    return enqueue(session, actor, KIND, arguments, subject=subject, environment=where.name)


def _check(view: RecipeView, given: Mapping[str, str]) -> None:
    if view.problem:
        raise InvalidInput(f"The recipe {view.name} cannot be run: {view.problem}.")
    foreign = sorted(set(given) - set(view.asked))
    if foreign:
        raise InvalidInput(f"The recipe {view.name} does not ask for {', '.join(foreign)}.")
    lacking = sorted(k for k, default in view.asked.items() if default is None and k not in given)
    if lacking:
        raise InvalidInput(f"The recipe {view.name} needs a value for {', '.join(lacking)}.")


def _require_connections(session: ReadSession, path: Path, environment: str) -> None:
    required = {name for name, needed in recipes.variables(recipes.load(path)).items() if needed}
    for kind in sorted({VARIABLES[name][0] for name in required if name in VARIABLES}):
        if connections.find(session, kind=kind, environment=environment) is None:
            names = sorted(n for n in required if VARIABLES.get(n, ("",))[0] == kind)
            raise InvalidInput(
                f"The recipe needs the {kind} connection of {environment}, for {', '.join(names)}. "
                "Add it on the Connections page."
            )


def recipe_path(name: str, folder: Path | None = None) -> Path:
    """The file of a recipe; raises RecipeNotFound for anything that is not in the folder."""
    path = (folder or FOLDER) / name
    if not _NAME.fullmatch(name) or not path.is_file():
        raise RecipeNotFound(name)
    return path.resolve()


def run(
    ctx: JobContext,
    *,
    name: str,
    environment: str,
    values: Mapping[str, str] | None = None,
    sealed: str = "",
) -> dict[str, Any]:
    """The job: `datahub ingest -c -`, its lines in the job's log.

    Recipe and values reach the command on its standard input, in the envelope that DataHub's own
    loader reads: no argument list and no environment of a process shows a secret. A cancelled job
    ends the whole process group. Raises JobError when the command fails.
    """
    path = recipe_path(name)
    with ctx.database.write() as session:
        typed = _typed(session, sealed)
        filled = _values(session, path, environment)
    missing = sorted(key for key, value in filled.items() if not value)
    if missing:
        ctx.log(f"Not set by a connection of {environment}: {', '.join(missing)}")
    with tempfile.TemporaryDirectory(prefix="portal-recipe-") as home:
        status = _execute(ctx, path, {**(values or {}), **filled}, typed, Path(home))
    with ctx.database.write() as session:
        audit.record(
            session,
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
    ctx: JobContext, path: Path, values: Mapping[str, str], typed: Mapping[str, str], home: Path
) -> int:
    command = [str(Path(sys.executable).parent / "datahub"), "ingest", "run", "-c", "-"]
    inherited = {key: os.environ[key] for key in _INHERITED if key in os.environ}
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
        env={
            **inherited,
            # A recipe without a sink: the command itself reads these two.
            **{key: values[key] for key in _OF_THE_COMMAND if values.get(key)},
            "HOME": str(home),
            "DATAHUB_TELEMETRY_ENABLED": "false",
            "PYTHONUNBUFFERED": "1",
        },
    )
    envelope = {
        "__recipe_yaml__": path.read_text(encoding="utf-8"),
        "__secrets__": {**values, **typed},
    }
    _hand_over(process, json.dumps(envelope))
    secret = [values[key] for key in values if names_secret(key) and values[key]]
    secret += typed.values()
    try:
        for number, line in enumerate(_lines(ctx, process), start=1):
            for value in secret:
                line = line.replace(value, "***")
            ctx.log(line)
            ctx.progress(number, note=line[:200])
        return process.wait()
    finally:
        _end(process)


def _hand_over(process: "subprocess.Popen[str]", text: str) -> None:
    """Everything the command is told; one that ends before it has read says so in its lines."""
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError), process.stdin as told:
            told.write(text)


def _lines(ctx: JobContext, process: "subprocess.Popen[str]") -> Iterator[str]:
    """Lines as they come; asks for cancellation twice a second even while none come."""
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        for line in process.stdout or ():
            lines.put(line.rstrip("\n"))
        lines.put(None)

    threading.Thread(target=read, name="recipe-lines", daemon=True).start()
    while True:
        ctx.check_cancelled()
        try:
            line = lines.get(timeout=0.5)
        except queue.Empty:
            continue
        if line is None:
            return
        if line:
            yield line


def _end(process: "subprocess.Popen[str]") -> None:
    """End the command and everything it started."""
    if process.poll() is None:
        _signal(process, signal.SIGTERM)
        try:
            process.wait(timeout=TERMINATE_SECONDS)
        except subprocess.TimeoutExpired:
            _signal(process, signal.SIGKILL)
            process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _signal(process: "subprocess.Popen[str]", number: int) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return


def _values(session: ReadSession, path: Path, environment: str) -> dict[str, str]:
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
    return values


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


def _view(path: Path) -> RecipeView:
    try:
        if path.stat().st_size > MAX_BYTES:
            return RecipeView(path.name, "", (), {}, problem="it is larger than 100 KB")
        text = path.read_text(encoding="utf-8")
        recipe = recipes.load(path)
        required = recipes.variables(recipe)
    except (OSError, UnicodeDecodeError) as exc:
        return RecipeView(
            path.name, "", (), {}, problem=f"it is not a recipe ({type(exc).__name__})"
        )
    except InvalidInput as exc:
        return RecipeView(path.name, "", (), {}, problem=exc.message)
    defaults = dict(_DEFAULT.findall(text))
    asked = {
        name: None if needed else defaults.get(name, "")
        for name, needed in required.items()
        if name not in VARIABLES
    }
    return RecipeView(
        path.name,
        str(recipe["source"]["type"]),
        tuple(name for name in required if name in VARIABLES),
        asked,
        frozenset(name for name in asked if names_secret(name)),
        text,
        recipes.plugin_problem(recipe),
    )
