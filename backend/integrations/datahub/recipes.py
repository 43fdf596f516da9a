"""Recipes as DataHub's own command reads them: its loader, its variables, its plugins."""

import re
from collections.abc import Iterator
from functools import lru_cache
from importlib import metadata, util
from pathlib import Path
from typing import Any

from backend.core.errors import InvalidInput

Recipe = dict[str, Any]
_GROUPS = {
    "source": "datahub.ingestion.source.plugins",
    "sink": "datahub.ingestion.sink.plugins",
    "transformer": "datahub.ingestion.transformer.plugins",
}
#: A setting of the library that expands variables, which asks for it by the way.
_NOT_A_VARIABLE = "EXPANDVARS_RECOVER_NULL"


def load(path: Path) -> Recipe:
    """The recipe with its variables as they stand. Raises InvalidInput for what is none."""
    from datahub.configuration.common import ConfigurationError
    from datahub.configuration.config_loader import load_config_file
    from yaml import YAMLError

    try:
        found = load_config_file(path, allow_remote=False, resolve_env_vars=False)
    except AttributeError as exc:  # the loader copies what it takes for an object
        raise InvalidInput("it is not a recipe: it holds no fields") from exc
    except (ConfigurationError, YAMLError, OSError, ValueError) as exc:
        raise InvalidInput(f"it is not a recipe ({type(exc).__name__})") from exc
    source = found.get("source") if isinstance(found, dict) else None
    if not isinstance(source, dict) or not isinstance(source.get("type"), str):
        raise InvalidInput("it is not a recipe: it names no source with a type")
    return dict(found)


def variables(recipe: Recipe) -> dict[str, bool]:
    """The variables that DataHub's resolver asks for, each with whether it is required."""
    from datahub.configuration.config_loader import EnvResolver
    from expandvars import ExpandvarsException  # type: ignore[import-untyped]  # it has no types

    try:
        names = EnvResolver.list_referenced_variables(recipe) - {_NOT_A_VARIABLE}
    except ExpandvarsException as exc:
        raise InvalidInput(f"its variables cannot be read ({exc})") from exc

    def required(name: str) -> bool:
        others = dict.fromkeys(names - {name}, "x")
        try:
            resolved = EnvResolver(others, register_secrets=False).resolve(recipe)
        except ExpandvarsException:
            return True
        # "$NAME" alone is left as it stands when nobody sets it: no server takes that for a value.
        return any(re.match(rf"\${name}\b", text) for text in _texts(resolved))

    return {name: required(name) for name in sorted(names)}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def plugin_problem(recipe: Recipe) -> str:
    """Why a plugin that the recipe names cannot be used here, "" when all can."""
    wanted = [("source", recipe["source"])]
    if isinstance(recipe.get("sink"), dict):
        wanted.append(("sink", recipe["sink"]))
    wanted += [("transformer", each) for each in recipe.get("transformers") or ()]
    for kind, part in wanted:
        name = str(part.get("type") or "") if isinstance(part, dict) else ""
        problem = "" if "$" in name else _plugin(kind, name)
        if problem:
            return problem
    return ""


@lru_cache(maxsize=256)
def _plugin(kind: str, name: str) -> str:
    if "." in name or ":" in name:
        module = re.split(r"[.:]", name)[0]
        return "" if util.find_spec(module) else f"the package {module} is not installed here"
    if name not in {point.name for point in metadata.entry_points(group=_GROUPS[kind])}:
        return f"DataHub has no {kind} called {name!r}"
    missing = sorted(_missing(name))
    if not missing:
        return ""
    return (
        f"the {kind} {name} needs {', '.join(missing)}, not installed here: install "
        f"'acryl-datahub[{name}]' where the portal runs"
    )


def _missing(extra: str) -> Iterator[str]:
    """Distributions that the extra of this name asks for and that are not here."""
    from packaging.requirements import Requirement

    for line in metadata.requires("acryl-datahub") or ():
        needed = Requirement(line)
        if needed.marker is None or not needed.marker.evaluate({"extra": extra}):
            continue
        if needed.marker.evaluate({"extra": ""}):
            continue  # needed by all
        try:
            metadata.distribution(needed.name)
        except metadata.PackageNotFoundError:
            yield needed.name
