"""DataHub recipes kept under data/recipes: what each asks for, and starting one as a job."""

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from backend.changes import gate
from backend.connections import resolve as connections
from backend.core import access, audit, clock, secret_store
from backend.core.access import Actor, Permission
from backend.core.database import ReadSession, WriteSession
from backend.core.errors import InvalidInput
from backend.core.log import names_secret
from backend.core.views import document
from backend.core.words import counted
from backend.ingestion.answers import RecipeAnswer
from backend.ingestion.errors import RecipeNotFound
from backend.ingestion.managed import only_one
from backend.integrations.datahub import recipes
from backend.jobs.enqueue import enqueue

KIND = "ingestion.recipe"
#: What a policy may put under approval; `backend.ingestion.changes` carries it out.
RUN = "ingestion.recipe"
FOLDER = Path("data/recipes")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.ya?ml")
#: A default, to show it; what a recipe's variables are is DataHub's own resolver's word.
_DEFAULT = re.compile(r"\$\{([A-Za-z_]\w*):?-([^}]*)\}")
MAX_RECIPES = 200
MAX_BYTES = 100_000
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


@dataclass(frozen=True)
class RecipeView:
    """filled: variables that a connection fills. asked: those that the person fills, each with its
    default, None when there is none. secret: those of them that are asked for as secrets. packages:
    what its environment gets installed. text: the recipe as it is kept. problem: why it cannot be
    run, "" when it can."""

    name: str
    source_type: str
    filled: tuple[str, ...]
    asked: Mapping[str, str | None]
    secret: frozenset[str] = frozenset()
    text: str = ""
    packages: tuple[str, ...] = ()
    problem: str = ""

    def document(self) -> RecipeAnswer:
        """The recipe as REST and `--json` print it."""
        asked = [
            {"name": name, "default": default, "secret": name in self.secret}
            for name, default in self.asked.items()
        ]
        problem = self.problem or None
        return document(RecipeAnswer, self, source=self.source_type, asked=asked, problem=problem)


def list_recipes(
    _session: ReadSession, actor: Actor, *, folder: Path | None = None
) -> tuple[RecipeView, ...]:
    """The recipes of the folder, readable or not, the first MAX_RECIPES by name."""
    access.require(actor, Permission.INGESTION_READ)
    root = folder or FOLDER
    return tuple(_view(root / name) for name in _names(root)[:MAX_RECIPES])


def left_out(_session: ReadSession, actor: Actor, *, folder: Path | None = None) -> str:
    """A sentence on the recipes that `list_recipes` leaves out, "" for none."""
    access.require(actor, Permission.INGESTION_READ)
    more = len(_names(folder or FOLDER)) - MAX_RECIPES
    if more <= 0:
        return ""
    return (
        f"{counted(more, 'more recipe')} of the folder, later by name, left out here; each can be "
        "run by its name."
    )


def _names(root: Path) -> list[str]:
    """Of the files that are recipes by their names; none without the folder."""
    if not root.is_dir():
        return []
    return sorted(path.name for path in root.iterdir() if _NAME.fullmatch(path.name))


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
    where = connections.environment(session, environment)
    given = checked(session, name, values or {}, where.name)
    view = _view(recipe_path(name))
    shown = {key: value for key, value in given.items() if key not in view.secret}
    # Parameters of a request are sealed at rest, what is shown to approvers has no secret.
    asked = {"name": name, "values": given}
    told, rests = asked | {"values": shown}, {"recipe": view.text}
    intent = gate.Intent(RUN, where.name, name, asked, told, rests=rests, through=("datahub",))
    gate.check(session, actor, intent)
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


def checked(
    session: ReadSession, name: str, values: Mapping[str, str], environment: str
) -> dict[str, str]:
    """The values that a run of this recipe would have. Raises as `run_recipe` does."""
    path = recipe_path(name)
    given = {key: value.strip() for key, value in values.items() if value.strip()}
    _check(_view(path), given)
    _require_connections(session, path, environment)
    return given


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


def own_packages(path: Path) -> str:
    """The text of NAME.requirements.txt beside NAME.yml, "" where there is none.

    Raises InvalidInput for one that cannot be read.
    """
    beside = path.with_suffix(".requirements.txt")
    try:
        return beside.read_text(encoding="utf-8") if beside.is_file() else ""
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidInput(f"{beside.name} cannot be read ({type(exc).__name__})") from exc


def _view(path: Path) -> RecipeView:
    problem = ""
    packages: tuple[str, ...] = ()
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
    try:
        packages = recipes.requirements(recipe, own_packages(path))
    except InvalidInput as exc:
        problem = exc.message
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
        packages,
        problem,
    )
