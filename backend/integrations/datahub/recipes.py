"""Recipes as DataHub's own command reads them: its loader, its variables, its plugins."""

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from backend.core.errors import InvalidInput

Recipe = dict[str, Any]
_GROUPS = {
    "source": "datahub.ingestion.source.plugins",
    "sink": "datahub.ingestion.sink.plugins",
    "transformer": "datahub.ingestion.transformer.plugins",
}
_DEFAULT_SINK = "datahub-rest"
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


def plugins(recipe: Recipe) -> tuple[str, ...]:
    """KIND:NAME of every source, sink and transformer that the recipe names or leaves to DataHub.

    Raises InvalidInput for one that nobody can know before the recipe runs.
    """
    wanted = [("source", recipe["source"]), ("sink", recipe.get("sink") or {"type": _DEFAULT_SINK})]
    wanted += [("transformer", each) for each in recipe.get("transformers") or ()]
    found = []
    for kind, part in wanted:
        name = str(part.get("type") or "") if isinstance(part, dict) else ""
        if not name or "$" in name:
            raise InvalidInput(f"the type of its {kind} must be a name, not {name!r}")
        found.append(f"{kind}:{name}")
    return tuple(found)


def requirements(recipe: Recipe, own: str = "") -> tuple[str, ...]:
    """What has to be installed: DataHub in the version that runs here, with the extras of the
    plugins, and the recipe's own packages.

    own: text of its requirements file. Raises InvalidInput for a plugin that DataHub does not have,
    and for a line that names no package.
    """
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        more = [str(Requirement(text)) for line in own.splitlines() if (text := _bare(line))]
    except InvalidRequirement as exc:
        raise InvalidInput(f"its requirements file holds what is no package ({exc})") from exc
    extras = set()
    for plugin in plugins(recipe):
        kind, _, name = plugin.partition(":")
        if "." in name or ":" in name:
            if not more and re.split(r"[.:]", name)[0] != "datahub":
                raise InvalidInput(
                    f"the {kind} {name} is a class of its own: name its package in the recipe's "
                    "requirements file, NAME.requirements.txt beside NAME.yml"
                )
        elif name not in _names(kind):
            raise InvalidInput(f"DataHub has no {kind} called {name!r}")
        else:
            extras |= {name} & _names("extra")
    return (f"acryl-datahub[{','.join(sorted(extras))}]=={_version()}".replace("[]", ""), *more)


def _bare(line: str) -> str:
    return re.sub(r"(^|\s)#.*", "", line).strip()


@cache
def _version() -> str:
    """Reading its metadata costs five milliseconds, and a page asks for each recipe it draws."""
    return metadata.version("acryl-datahub")


@lru_cache(maxsize=4)
def _names(kind: str) -> frozenset[str]:
    """Of DataHub's plugins of a kind, whether their packages are here or not; of its extras."""
    if kind == "extra":
        return frozenset(metadata.metadata("acryl-datahub").get_all("Provides-Extra") or ())
    return frozenset(point.name for point in metadata.entry_points(group=_GROUPS[kind]))
