"""Resolvers of the stand-in's GraphQL queries."""

from typing import Any

from graphql import GraphQLResolveInfo

from backend.sandbox.datahub import nodes, process_runs, registry, search
from backend.sandbox.datahub.refusals import Refused
from backend.sandbox.datahub.search import Document

Json = dict[str, Any]
Info = GraphQLResolveInfo


def me(info: Info) -> Json:
    grant = info.context.grant
    return {
        "corpUser": nodes.CorpUser(info.context.store, grant.actor),
        "platformPrivileges": {
            "manageIngestion": grant.manage_ingestion,
            "createTags": grant.edit_tags,
            "manageTags": grant.edit_tags,
            "manageStructuredProperties": grant.edit_entities,
            "manageIdentities": False,
        },
    }


def dataset(info: Info, urn: str) -> nodes.Dataset:
    """An object also for a dataset that does not exist; its `exists` says so."""
    if registry.entity_type(urn) != "dataset" or len(registry.key_value(urn)) != 3:
        raise Refused(400, f"Failed to convert urn {urn}: not a dataset")
    return nodes.Dataset(info.context.store, urn)


def data_job(info: Info, urn: str) -> nodes.DataJob:
    if registry.entity_type(urn) != "dataJob":
        raise Refused(400, f"Failed to convert urn {urn}: not a dataJob")
    return nodes.DataJob(info.context.store, urn)


def list_users(info: Info, input: Json) -> Json:
    start, count = input.get("start") or 0, input.get("count") or 20
    found = info.context.index.find(["CORP_USER"], input.get("query") or "*", None)
    return {
        "start": start,
        "count": len(found[start : start + count]),
        "total": len(found),
        "users": [
            nodes.CorpUser(info.context.store, each.urn) for each in found[start : start + count]
        ],
    }


def search_one_type(info: Info, input: Json) -> Json:
    return _search(info, [input["type"]], input)


def search_across(info: Info, input: Json) -> Json:
    return _search(info, input.get("types") or [], input)


def scroll_across(info: Info, input: Json) -> Json:
    found = _find(info, input.get("types") or [], input)
    here, following = search.scroll(found, input.get("scrollId"), input.get("count") or 10)
    return {
        "nextScrollId": following,
        "count": len(here),
        "total": len(found),
        "searchResults": [_result(info, each, input) for each in here],
    }


def data_process_instance(info: Info, urn: str) -> process_runs.DataProcessInstance:
    """A run; an object also for one that does not exist, whose `exists` says so."""
    if registry.entity_type(urn) != "dataProcessInstance":
        raise Refused(400, f"Failed to convert urn {urn}: not a dataProcessInstance")
    return process_runs.DataProcessInstance(info.context.store, urn)


def search_across_lineage(info: Info, input: Json) -> Json:
    """Data jobs one hop upstream of a dataset, which is all the lineage that the stand-in keeps."""
    if input["direction"] != "UPSTREAM" or input.get("types") != ["DATA_JOB"]:
        raise Refused(400, "The stand-in knows only the data jobs that write a dataset")
    store, urn = info.context.store, input.get("urn") or ""
    start = input.get("start") or 0
    count = 10 if input.get("count") is None else input["count"]
    found = sorted(job for job in store.urns("dataJob") if urn in process_runs.outputs(store, job))
    here = found[start : start + count]
    return {
        "start": start,
        "count": len(here),
        "total": len(found),
        "searchResults": [{"entity": nodes.entity(store, job), "degree": 1} for job in here],
    }


def _search(info: Info, kinds: list[str], input: Json) -> Json:
    found = _find(info, kinds, input)
    start = input.get("start") or 0
    count = 10 if input.get("count") is None else input["count"]
    here = search.page(found, start, count)
    skip = (input.get("searchFlags") or {}).get("skipAggregates")
    return {
        "start": start,
        "count": len(here),
        "total": len(found),
        "searchResults": [_result(info, each, input) for each in here],
        "facets": [] if skip else search.facets(found),
    }


def _find(info: Info, kinds: list[str], input: Json) -> list[Document]:
    or_filters = input.get("orFilters")
    if not or_filters and input.get("filters"):
        or_filters = [{"and": input["filters"]}]
    flags = input.get("searchFlags") or {}
    found: list[Document] = info.context.index.find(
        set(kinds) & nodes.searchable() if kinds else nodes.searchable(),
        input["query"],
        or_filters,
        include_removed=bool(flags.get("includeSoftDeleted")),
    )
    return found if not kinds or set(kinds) & nodes.searchable() else []


def _result(info: Info, document: Document, input: Json) -> Json:
    word = input["query"].strip().lower()
    matched = (
        []
        if word in ("", "*") or (input.get("searchFlags") or {}).get("skipHighlighting")
        else [
            {"name": name, "value": value}
            for name, values in document.fields.items()
            for value in values
            if word in value.lower()
        ]
    )
    return {
        "entity": nodes.entity(info.context.store, document.urn),
        "matchedFields": matched,
        "extraProperties": [],
    }


RESOLVERS: dict[str, Any] = {
    "me": me,
    "dataset": dataset,
    "dataJob": data_job,
    "listUsers": list_users,
    "search": search_one_type,
    "searchAcrossEntities": search_across,
    "scrollAcrossEntities": scroll_across,
    "searchAcrossLineage": search_across_lineage,
    "dataProcessInstance": data_process_instance,
}
