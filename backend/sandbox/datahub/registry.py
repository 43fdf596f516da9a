"""DataHub's entity registry: which aspects an entity has, and what each must contain.

`registry.json` lists per entity type [key aspect, key fields, aspects] and per aspect
[record name, required fields]. It is read off the SDK's own models; a test compares the two.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from backend.core.errors import InvalidInput
from backend.integrations.datahub import urns
from backend.sandbox.datahub.refusals import Refused

Json = dict[str, Any]


@cache
def _registry() -> dict[str, dict[str, Any]]:
    path = Path(__file__).with_name("registry.json")
    loaded: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def entity_type(urn: str) -> str:
    """The URN's entity type. Raises Refused for a broken URN or an unknown type."""
    try:
        kind = urns.entity_type(urn)
    except InvalidInput as exc:
        raise Refused(400, f"Failed to convert urn {urn}: invalid format.") from exc
    if kind not in _registry()["entities"]:
        raise Refused(400, f"Failed to find entity with name {kind} in EntityRegistry")
    return kind


def key_aspect(kind: str) -> str:
    return str(_registry()["entities"][kind][0])


def key_value(urn: str) -> Json:
    """The key aspect's value, taken from the URN."""
    fields = _registry()["entities"][entity_type(urn)][1]
    return dict(zip(fields, urns.key_parts(urn), strict=False))


def record_name(aspect: str) -> str:
    """The Pegasus record under which `GET /aspects` wraps the value."""
    known = _registry()["aspects"].get(aspect)
    if known is None:
        raise Refused(400, f"Failed to find aspect with name {aspect}")
    return str(known[0])


def require_valid(kind: str, aspect: str, value: Any) -> None:
    """Refuse an aspect that the entity does not have, or a value without its required fields."""
    key, _, aspects = _registry()["entities"][kind]
    if aspect != key and aspect not in aspects:
        raise Refused(400, f"Unknown aspect {aspect} for entity {kind}")
    if not isinstance(value, dict):
        raise Refused(422, f"Failed to validate {aspect}: the value is not a record")
    missing = [name for name in _registry()["aspects"][aspect][1] if name not in value]
    if missing:
        raise Refused(
            422,
            f"Failed to validate record with class {record_name(aspect)}: "
            + ", ".join(f"ERROR :: /{name} :: field is required but not found" for name in missing),
        )
