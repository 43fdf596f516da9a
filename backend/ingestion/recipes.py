"""DataHub recipes kept under data/recipes, run by DataHub's own command line as a job."""

import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.changes import gate
from backend.connections import resolve as connections
from backend.connections.schemas import ConnectionConfig
from backend.core import access, audit
from backend.core.access import Actor, Permission
from backend.core.database import ReadSession, WriteSession
from backend.core.errors import InvalidInput, JobError
from backend.ingestion.errors import RecipeNotFound
from backend.ingestion.managed import only_one
from backend.jobs.enqueue import enqueue
from backend.jobs.registry import JobContext

KIND = "ingestion.recipe"
#: What a policy may put under approval; `backend.ingestion.changes` carries it out.
RUN = "ingestion.recipe"
FOLDER = Path("data/recipes")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.ya?ml")
_VARIABLE = re.compile(r"\$\{([A-Z][A-Z0-9_]*)(?::-([^}]*))?\}")
MAX_RECIPES = 200
MAX_BYTES = 100_000
TERMINATE_SECONDS = 10

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
#: What the child may inherit: enough to find programs, certificates and the way out, no secrets.
_INHERITED = (
    "PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
    "http_proxy", "https_proxy", "no_proxy",
)  # fmt: skip


@dataclass(frozen=True)
class RecipeView:
    """filled: variables that a connection fills. asked: those that the person fills, each with its
    default, None when there is none. text: the recipe as it is kept."""

    name: str
    source_type: str
    filled: tuple[str, ...]
    asked: Mapping[str, str | None]
    text: str = ""
    problem: str = ""


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

    values: the variables that no connection fills; they are shown with the job, so no secrets.
    Raises RecipeNotFound, InvalidInput for a broken recipe or a variable that nobody fills.
    """
    access.require_to_ask(actor, Permission.INGESTION_RUN)
    view = _view(recipe_path(name))
    given = {key: value.strip() for key, value in (values or {}).items() if value.strip()}
    if view.problem:
        raise InvalidInput(f"The recipe {name} cannot be run: {view.problem}.")
    foreign = sorted(set(given) - set(view.asked))
    if foreign:
        raise InvalidInput(f"The recipe {name} does not ask for {', '.join(foreign)}.")
    open_ones = sorted(k for k, default in view.asked.items() if default is None and k not in given)
    if open_ones:
        raise InvalidInput(f"The recipe {name} needs a value for {', '.join(open_ones)}.")
    where = connections.environment(session, environment)
    asked = {"name": name, "values": given}
    gate.check(session, actor, gate.Intent(RUN, where.name, name, asked, asked))
    subject = f"{name} on {where.name}"
    only_one(session, actor, where.id, KIND, subject)
    audit.record(
        session,
        actor,
        "ingestion:recipe:start",
        subject=name,
        phase="intent",
        details={"environment": where.name, "values": given},
    )
    return enqueue(
        session,
        actor,
        KIND,
        {"name": name, "environment": where.name, "values": given},
        subject=subject,
    )


def recipe_path(name: str, folder: Path | None = None) -> Path:
    """The file of a recipe; raises RecipeNotFound for anything that is not in the folder."""
    path = (folder or FOLDER) / name
    if not _NAME.fullmatch(name) or not path.is_file():
        raise RecipeNotFound(name)
    return path.resolve()


def run(
    ctx: JobContext, *, name: str, environment: str, values: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The job: `datahub ingest -c` with secrets in its environment, its lines in the job's log.

    A cancelled job ends the whole process group. Raises JobError when the command fails.
    """
    path = recipe_path(name)
    with ctx.database.read() as session:
        filled = _values(session, path, environment)
    missing = sorted(key for key, value in filled.items() if not value)
    if missing:
        ctx.log(f"Not set by a connection of {environment}: {', '.join(missing)}")
    with tempfile.TemporaryDirectory(prefix="portal-recipe-") as home:
        status = _execute(ctx, path, {**(values or {}), **filled}, Path(home))
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


def _execute(ctx: JobContext, path: Path, values: Mapping[str, str], home: Path) -> int:
    command = [str(Path(sys.executable).parent / "datahub"), "ingest", "run", "-c", str(path)]
    inherited = {key: os.environ[key] for key in _INHERITED if key in os.environ}
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        errors="replace",
        start_new_session=True,
        env={
            **inherited,
            **{key: value for key, value in values.items() if value},
            "HOME": str(home),
            "DATAHUB_TELEMETRY_ENABLED": "false",
            "PYTHONUNBUFFERED": "1",
        },
    )
    secret = [values[key] for key in values if _is_secret(key) and values[key]]
    try:
        for number, line in enumerate(_lines(ctx, process), start=1):
            for value in secret:
                line = line.replace(value, "***")
            ctx.log(line)
            ctx.progress(number, note=line[:200])
        return process.wait()
    finally:
        _end(process)


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
    wanted = {key for key in _variables(path.read_text(encoding="utf-8")) if key in VARIABLES}
    wanted |= {"DATAHUB_GMS_URL", "DATAHUB_GMS_TOKEN"}
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


def _is_secret(variable: str) -> bool:
    return variable.endswith(("TOKEN", "PASSWORD", "SECRET_ACCESS_KEY"))


def _variables(text: str) -> dict[str, str | None]:
    """The variables a recipe names outside of comments, each with its default or None."""
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    found: dict[str, str | None] = {}
    for match in _VARIABLE.finditer(code):
        found.setdefault(match.group(1), match.group(2))
    return found


def _view(path: Path) -> RecipeView:
    import yaml

    try:
        if path.stat().st_size > MAX_BYTES:
            return RecipeView(path.name, "", (), {}, problem="it is larger than 100 KB")
        text = path.read_text(encoding="utf-8")
        source = yaml.safe_load(text)["source"]["type"]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as exc:
        problem = f"it is not a recipe ({type(exc).__name__})"
        return RecipeView(path.name, "", (), {}, problem=problem)
    names = _variables(text)
    return RecipeView(
        path.name,
        str(source),
        tuple(sorted(name for name in names if name in VARIABLES)),
        {name: default for name, default in sorted(names.items()) if name not in VARIABLES},
        text,
    )
