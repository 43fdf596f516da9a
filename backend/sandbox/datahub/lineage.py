"""Lineage and siblings as the server's mappers show them, read from the aspects as written."""

from collections.abc import Callable, Iterator
from typing import Any

from backend.sandbox.datahub import registry
from backend.sandbox.datahub.store import Store

Json = dict[str, Any]
Node = Callable[[Store, str], Any]


def columns(holder: Json | None) -> list[Json] | None:
    """`fineGrainedLineages` of `upstreamLineage` or `dataJobInputOutput`.

    DataHub's FineGrainedLineagesMapper leaves out what is no schema field, and puts the dataset's
    URN (not the field's) into `urn`, the path undecoded beside it.
    """
    if holder is None:
        return None
    return [
        {
            "upstreams": _fields(each.get("upstreams")),
            "downstreams": _fields(each.get("downstreams")),
            "query": each.get("query"),
            "transformOperation": each.get("transformOperation"),
        }
        for each in holder.get("fineGrainedLineages") or []
    ]


def siblings(store: Store, urn: str, node: Node) -> Json | None:
    found = store.get(urn, "siblings")
    if found is None:
        return None
    return {
        "isPrimary": found["primary"],
        "siblings": [node(store, each) for each in found["siblings"]],
    }


def neighbours(store: Store, urn: str, asked: Json, node: Node) -> Json:
    """One step of lineage; what does not exist is filtered out of the page and counted."""
    up = asked["direction"] == "UPSTREAM"
    found = sorted(set(_upstreams(store, urn) if up else _downstreams(store, urn)))
    start = asked.get("start") or 0
    here = found[start : start + (100 if asked.get("count") is None else asked["count"])]
    there = [each for each in here if asked.get("includeGhostEntities") or store.exists(each)]
    return {
        "start": start,
        "count": len(there),
        "total": len(found),
        "filtered": len(here) - len(there),
        "relationships": [
            {"type": _kind(each, up), "entity": node(store, each), "degree": 1} for each in there
        ],
    }


def _fields(urns: list[str] | None) -> list[Json] | None:
    if urns is None:
        return None
    keys = [registry.key_value(urn) for urn in urns if registry.entity_type(urn) == "schemaField"]
    return [{"urn": key["parent"], "path": key["fieldPath"]} for key in keys]


def _upstreams(store: Store, urn: str) -> Iterator[str]:
    for each in (store.get(urn, "upstreamLineage") or {}).get("upstreams") or []:
        yield each["dataset"]
    for job in _jobs(store):
        if urn in (store.get(job, "dataJobInputOutput") or {}).get("outputDatasets", []):
            yield job


def _downstreams(store: Store, urn: str) -> Iterator[str]:
    for other in store.urns():
        lineage = store.get(other, "upstreamLineage") or {}
        if urn in [each["dataset"] for each in lineage.get("upstreams") or []]:
            yield other
    for job in _jobs(store):
        if urn in (store.get(job, "dataJobInputOutput") or {}).get("inputDatasets", []):
            yield job


def _jobs(store: Store) -> Iterator[str]:
    return (urn for urn in store.urns() if registry.entity_type(urn) == "dataJob")


def _kind(urn: str, up: bool) -> str:
    if registry.entity_type(urn) == "dataset":
        return "DownstreamOf"
    return "Produces" if up else "Consumes"
