"""Read DataHub's change events: was `tokenize/run` put on or taken off, and on what?

Works on plain JSON-like values, so that it needs no SDK: EntityChangeEvents (one per tag) and
MetadataChangeLogs (the whole aspect before and after).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backend.core.errors import InvalidInput
from backend.integrations.datahub import urns
from backend.tokenization import tags

_FIELD_ASPECTS = {
    "schemaMetadata": "fields",
    "editableSchemaMetadata": "editableSchemaFieldInfo",
}


@dataclass(frozen=True)
class TagChange:
    """`tokenize/run` was put on (added) or taken off a dataset or one of its fields."""

    dataset: str
    added: bool


def from_entity_change(
    *, entity_urn: str, category: str, operation: str, modifier: str, parameters: Mapping[str, Any]
) -> TagChange | None:
    """None for every event that is not about this tag on a dataset or a field of one."""
    if category != "TAG" or modifier != tags.RUN or operation not in ("ADD", "REMOVE"):
        return None
    dataset = dataset_of(str(parameters.get("parentUrn") or entity_urn))
    return TagChange(dataset, operation == "ADD") if dataset else None


def from_change_log(
    *, entity_urn: str, aspect_name: str, before: str | bytes | None, after: str | bytes | None
) -> TagChange | None:
    """Compares the aspect before and after; None when the tag did not change."""
    dataset = dataset_of(entity_urn)
    if dataset is None or aspect_name not in ("globalTags", *_FIELD_ASPECTS):
        return None
    had, has = _tagged(aspect_name, before), _tagged(aspect_name, after)
    if has - had:
        return TagChange(dataset, True)
    if had - has:
        return TagChange(dataset, False)
    return None


def dataset_of(urn: str) -> str | None:
    """The dataset of a dataset's or a schema field's URN; None for anything else."""
    try:
        kind, parts = urns.entity_type(urn), urns.key_parts(urn)
        dataset = parts[0] if kind == "schemaField" and parts else urn
        urns.parse_dataset(dataset)
    except InvalidInput:
        return None
    return dataset


def _tagged(aspect_name: str, value: str | bytes | None) -> set[str]:
    """Where in the aspect the tag is: "" for the dataset itself, else field paths."""
    document = json.loads(value) if value else {}
    if aspect_name == "globalTags":
        return {""} if _holds(document) else set()
    return {
        str(field.get("fieldPath"))
        for field in document.get(_FIELD_ASPECTS[aspect_name]) or []
        if _holds(field.get("globalTags") or {})
    }


def _holds(global_tags: Mapping[str, Any]) -> bool:
    return any(each.get("tag") == tags.RUN for each in global_tags.get("tags") or [])
