"""DataHub's PATCH: JSON Patch on arrays that are addressed by key instead of by position.

A keyed array becomes nested objects (`tags: [{tag: t}]` with key `tag` is `tags: {t: {tag: t}}`),
the operations are applied as RFC 6902, and the objects become an array again. The keys come with
the request (generic mode) or are registered for the aspect (template mode).

The templates are DataHub's AspectTemplateEngine's. `status` has one since 1.7.0 (StatusTemplate,
no keyed arrays, default `removed: false`; datahub-project/datahub#18239): the official ingestion
patches `/removed` on servers of that version, and upserts the whole aspect on older ones.
"""

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jsonpatch
import jsonpointer

from backend.sandbox.datahub.refusals import Refused

Json = dict[str, Any]
Keys = Sequence[str]

_NESTED = "\u241f"  # joins the names of a key inside an inner record: "attribution␟source"

# Keyed arrays per aspect: path to the array → its keys. An empty key list is an array of strings.
_TEMPLATES: dict[str, dict[tuple[str, ...], Keys]] = {
    "globalTags": {("tags",): ["tag"]},
    "glossaryTerms": {("terms",): ["urn"]},
    "structuredProperties": {("properties",): ["propertyUrn"]},
    "editableSchemaMetadata": {("editableSchemaFieldInfo",): ["fieldPath"]},
    "datasetProperties": {("tags",): []},
    "editableDatasetProperties": {},
    "dataJobInfo": {},
    "status": {},
}
# Keyed arrays inside each element of another one.
_INNER: dict[str, dict[tuple[str, ...], Keys]] = {
    "editableSchemaMetadata": {
        ("globalTags", "tags"): ["tag"],
        ("glossaryTerms", "terms"): ["urn"],
    }
}


def apply(
    aspect: str, stored: Json | None, document: Any, stamp: Json, *, only_arrays: bool = False
) -> Json:
    """The aspect after the patch. stamp: audit stamp for a default that carries one.

    only_arrays: read the document as servers before the object form do.

    Raises Refused when the aspect cannot be patched this way, or an operation does not apply.
    """
    if only_arrays and not isinstance(document, list):
        raise Refused(500, "Invalid JSON Patch")
    operations, primary_keys, generic = _decode(document)
    if generic:
        arrays: dict[tuple[str, ...], Keys] = {(name,): keys for name, keys in primary_keys.items()}
        inner: dict[tuple[str, ...], Keys] = {}
    elif aspect in _TEMPLATES:
        arrays, inner = _TEMPLATES[aspect], _INNER.get(aspect, {})
    else:
        raise Refused(400, f"Patch not supported for aspect with name {aspect}")
    tree = copy.deepcopy(stored) if stored is not None else _default(aspect, stamp)
    for path, keys in arrays.items():
        _change(tree, path, partial(_to_tree, keys=keys))
        for inner_path, inner_keys in inner.items():
            for element in _values(_find(tree, path)):
                _change(element, inner_path, partial(_to_tree, keys=inner_keys))
    for operation in operations:
        tree = _apply_one(tree, operation)
    for path, keys in arrays.items():
        for inner_path, inner_keys in inner.items():
            for element in _values(_find(tree, path)):
                _change(element, inner_path, partial(_to_array, keys=inner_keys))
        _change(tree, path, partial(_to_array, keys=keys), create=True)
    return tree


def _decode(document: Any) -> tuple[list[Json], dict[str, Keys], bool]:
    if isinstance(document, list):
        return document, {}, False
    if not isinstance(document, dict) or not isinstance(document.get("patch"), list):
        raise Refused(400, "Invalid patch: neither a list of operations nor an object with patch")
    keys = document.get("arrayPrimaryKeys") or {}
    return document["patch"], keys, bool(keys) or bool(document.get("forceGenericPatch"))


def _default(aspect: str, stamp: Json) -> Json:
    stamps = {"created": dict(stamp), "lastModified": dict(stamp)}
    defaults: dict[str, Json] = {
        "globalTags": {"tags": []},
        "glossaryTerms": {"terms": [], "auditStamp": dict(stamp)},
        "structuredProperties": {"properties": []},
        "editableSchemaMetadata": {"editableSchemaFieldInfo": [], **stamps},
        "datasetProperties": {"tags": [], "customProperties": {}},
        "editableDatasetProperties": stamps,
        "dataJobInfo": {"customProperties": {}},
        "status": {"removed": False},
    }
    return defaults.get(aspect, {})


def _apply_one(tree: Json, operation: Json) -> Json:
    try:
        parts = list(jsonpointer.JsonPointer(operation["path"]).parts)
        # Removing what is not there is no error, so its place is made first. A trailing slash
        # addresses the entry without an attribution source, which may not be there either.
        to_last = operation["op"] == "remove" or (bool(parts) and parts[-1] == "")
        _make_parents(tree, parts if to_last else parts[:-1])
        patched: Json = jsonpatch.JsonPatch([operation]).apply(tree, in_place=True)
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, KeyError) as exc:
        raise Refused(422, f"Failed to apply patch operation: {exc}") from exc
    return patched


def _make_parents(tree: Any, parts: Sequence[str]) -> None:
    node = tree
    for part in parts:
        if not isinstance(node, dict):
            return
        node = node.setdefault(part, {})


def _to_tree(array: Any, keys: Keys) -> Any:
    if not isinstance(array, list):
        return array
    tree: Json = {}
    for element in array:
        if not keys:
            tree[element] = element
            continue
        node = tree
        for key in keys:
            node = node.setdefault(_key_of(element, key), {})
        node.update(element)  # elements with equal keys are merged field by field
    return tree


def _to_array(node: Any, keys: Keys) -> Any:
    if node is None:
        return []
    if not isinstance(node, dict):
        return node  # an operation put an array at the array's own place
    if not keys:
        return list(node.values())
    return list(_elements(node, keys, {}))


def _elements(node: Json, keys: Keys, known: Json) -> list[Json]:
    found: list[Json] = []
    for segment, below in node.items():
        # Only plain keys can be restored from the path, not those inside an inner record.
        here = known if _NESTED in keys[0] else {**known, keys[0]: segment}
        if len(keys) > 1:
            found += _elements(below, keys[1:], here)
        else:
            found.append({**below, **{k: v for k, v in here.items() if k not in below}})
    return found


def _key_of(element: Json, key: str) -> str:
    value: Any = element
    for name in key.split(_NESTED):
        value = value.get(name) if isinstance(value, dict) else None
    return "" if value is None else str(value)


def _find(tree: Any, path: Sequence[str]) -> Any:
    node = tree
    for part in path:
        node = node.get(part) if isinstance(node, dict) else None
    return node


def _values(node: Any) -> list[Any]:
    return list(node.values()) if isinstance(node, dict) else []


def _change(
    tree: Any, path: Sequence[str], change: Callable[[Any], Any], *, create: bool = False
) -> None:
    """Put change(value) at the path. A removed array comes back empty when its parent is there."""
    parent = _find(tree, path[:-1])
    if isinstance(parent, dict) and (create or path[-1] in parent or len(path) > 1):
        parent[path[-1]] = change(parent.get(path[-1]))
