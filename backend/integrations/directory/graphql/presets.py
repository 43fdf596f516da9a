"""Queries that fit a schema, found by introspection: plain lists, Relay, Hasura, PostGraphile."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backend.integrations.directory.names import guess

INTROSPECTION = """
{ __schema {
    queryType { fields { name args { name type { ...T } } type { ...T } } }
    types { kind name inputFields { name } fields { name type { ...T } } } } }
fragment T on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }
"""
_MOST = 10
_LISTS = ("nodes", "results", "items", "docs")  # of people, beside what tells of the page


@dataclass(frozen=True)
class Preset:
    """One way to ask this server for its people."""

    label: str
    query: str
    mapping: str
    paging: str


def of(client: Any) -> list[Preset]:
    """Presets for the server of a DirectoryClient. Raises its errors."""
    return found(client.ask_graphql(INTROSPECTION)["__schema"])


def found(schema: Mapping[str, Any]) -> list[Preset]:
    """Presets for a schema: query fields that list objects with something like an e-mail."""
    types = {t["name"]: t for t in schema["types"] if t.get("kind") in ("OBJECT", "INPUT_OBJECT")}
    answers = [_preset(f, types) for f in schema["queryType"]["fields"]]
    return [preset for preset in answers if preset is not None][:_MOST]


def _preset(field: Mapping[str, Any], types: Mapping[str, Any]) -> Preset | None:
    args = {arg["name"]: arg for arg in field["args"]}
    required = [
        name
        for name, arg in args.items()
        if arg["type"]["kind"] == "NON_NULL" and name not in ("first", "limit", "offset")
    ]
    kind, name = _unwrapped(field["type"])
    if required or name not in types:
        return None
    path, node, paging = _shape(kind, types[name], types, pages=_pages(args, types))
    cursor = _unwrapped(args["after"]["type"])[1] if "after" in args else "String"
    known = guess([f["name"] for f in (node or {}).get("fields") or () if _is_leaf(f["type"])])
    if node is None or "email" not in known or path is None:
        return None
    known.pop("description", None)
    return _written(field["name"], path, known, paging, cursor)


def _pages(args: Mapping[str, Any], types: Mapping[str, Any]) -> str:
    """How the arguments of a field turn its pages: relay, those to write for $limit and $offset, or
    none. Some take them in one that holds both, as Strawberry does (pagination)."""
    if {"first", "after"} <= set(args):
        return "relay"
    holders = {"": list(args)}
    for name, arg in args.items():
        inputs = (types.get(_unwrapped(arg["type"])[1]) or {}).get("inputFields") or ()
        holders[name] = [field["name"] for field in inputs]
    for holder, names in holders.items():
        offset = next((n for n in ("offset", "skip") if n in names), "")
        size = next((n for n in ("limit", "first", "take") if n in names), "")
        if offset and size:
            written = f"{size}: $limit, {offset}: $offset"
            return f"{holder}: {{ {written} }}" if holder else written
    return "none"


def _shape(
    kind: str, target: Mapping[str, Any], types: Mapping[str, Any], *, pages: str
) -> tuple[str | None, Mapping[str, Any] | None, str]:
    """(where the people are below the field, their type, paging)."""
    if kind == "LIST":
        return "", target, "none" if pages == "relay" else pages
    fields = {f["name"]: f for f in target.get("fields") or ()}
    paging = "none" if pages == "relay" and "pageInfo" not in fields else pages
    if found := next((name for name in _LISTS if name in fields), None):
        return found, types.get(_unwrapped(fields[found]["type"])[1]), paging
    if "edges" in fields:
        edge = types.get(_unwrapped(fields["edges"]["type"])[1]) or {}
        node = next((f for f in edge.get("fields") or () if f["name"] == "node"), None)
        return "edges", types.get(_unwrapped(node["type"])[1]) if node else None, paging
    return None, None, "none"


def _written(name: str, path: str, known: Mapping[str, str], paging: str, cursor: str) -> Preset:
    inner = " ".join(dict.fromkeys(known.values()))
    mapped = ", ".join(f"{field}: {column}" for field, column in known.items())
    below, at = f"{path} {{ {inner} }}", f".{path}[]"
    if path == "edges":
        below, at = f"edges {{ node {{ {inner} }} }}", ".edges[].node"
    elif not path:
        below, at = inner, "[]"
    mapping = f"{name}{at}.{{{mapped}}}"
    if paging == "relay":
        query = (
            f"query People($first: Int, $after: {cursor}) {{ {name}(first: $first, after: $after) "
            f"{{ {below} pageInfo {{ hasNextPage endCursor }} }} }}"
        )
        return Preset(f"{name}, Relay pages", query, mapping, "relay")
    if paging != "none":
        query = f"query People($limit: Int, $offset: Int) {{ {name}({paging}) {{ {below} }} }}"
        return Preset(f"{name}, pages by offset", query, mapping, "offset")
    return Preset(f"{name}, one answer", f"{{ {name} {{ {below} }} }}", mapping, "none")


def _unwrapped(kind: Mapping[str, Any]) -> tuple[str, str]:
    """("LIST" when one is around it, name of the innermost type)."""
    listed, inner = "", kind
    while inner.get("ofType"):
        listed = "LIST" if inner["kind"] == "LIST" else listed
        inner = inner["ofType"]
    return listed or str(inner["kind"]), str(inner.get("name"))


def _is_leaf(kind: Mapping[str, Any]) -> bool:
    inner = kind
    while inner.get("ofType"):
        inner = inner["ofType"]
    return inner["kind"] in ("SCALAR", "ENUM")
