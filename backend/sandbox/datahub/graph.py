"""The GraphQL surface: parse, validate and execute on DataHub's own types."""

import logging
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    build_ast_schema,
    execute_sync,
    parse,
    validate,
)
from graphql.language import SelectionSetNode

from backend.sandbox.datahub.http import Grant, Request, Response, as_json
from backend.sandbox.datahub.refusals import Refused
from backend.sandbox.datahub.search import Index
from backend.sandbox.datahub.store import Store

log = logging.getLogger(__name__)
Json = dict[str, Any]

_TYPES = {
    400: "BAD_REQUEST",
    403: "UNAUTHORIZED",
    404: "NOT_FOUND",
    409: "CONFLICT",
    503: "SERVICE_UNAVAILABLE",
}


@dataclass(frozen=True)
class Context:
    """What every resolver gets as info.context."""

    store: Store
    index: Index
    grant: Grant


@cache
def schema() -> GraphQLSchema:
    path = Path(__file__).with_name("schema.graphql")
    return build_ast_schema(parse(path.read_text(encoding="utf-8")))


class GraphQl:
    def __init__(self, store: Store, index: Index, root: Json) -> None:
        """root: field of Query or Mutation → resolver(info, **arguments)."""
        self._store = store
        self._index = index
        self._root = root
        schema()  # built at start, not at the first request

    def handle(self, request: Request) -> Response:
        """Answer POST /api/graphql; 200 also for resolver errors, as DataHub does."""
        if request.path.rstrip("/") != "/api/graphql":
            return as_json({"error": f"No endpoint {request.method} {request.path}"}, 404)
        try:
            asked = request.json()
        except ValueError:
            return Response(400)
        if not isinstance(asked, dict) or not isinstance(asked.get("query"), str):
            return Response(400)
        return as_json(self._execute(asked, request.grant))

    def _execute(self, asked: Json, grant: Grant) -> Json:
        try:
            document = parse(asked["query"])
        except GraphQLError as exc:
            return _refused([_invalid(exc, "InvalidSyntax")])
        errors = validate(schema(), document)
        if errors:
            return _refused([_unknown_field(document, each) for each in errors])
        with self._store.lock:
            result = execute_sync(
                schema(),
                document,
                root_value=self._root,
                context_value=Context(self._store, self._index, grant),
                variable_values=asked.get("variables") or {},
                operation_name=asked.get("operationName"),
            )
        answer: Json = {"data": result.data, "extensions": {}}
        if result.errors:
            answer["errors"] = [_resolver_error(each) for each in result.errors]
        return answer


def _resolver_error(error: GraphQLError) -> Json:
    cause = error.original_error
    if cause is None:  # variables that do not coerce, a null where none may be
        return _invalid(error, "ValidationError")
    if isinstance(cause, Refused):
        code, message = cause.status, cause.message
    else:
        log.error("datahub stand-in: resolver failed", exc_info=cause)
        code, message = 500, "An unknown error occurred."
    return {
        "message": message,
        "locations": _locations(error),
        "path": error.path,
        "extensions": {
            "code": code,
            "type": _TYPES.get(code, "SERVER_ERROR"),
            "classification": "DataFetchingException",
        },
    }


def _unknown_field(document: DocumentNode, error: GraphQLError) -> Json:
    """DataHub's own words for the commonest mistake, a field that this server does not know."""
    node = error.nodes[0] if error.nodes else None
    if not isinstance(node, FieldNode) or not error.message.startswith("Cannot query field"):
        return _invalid(error, "ValidationError")
    name, kind = error.message.split("'")[1], error.message.split("'")[3]
    path = "/".join(_path_to(document, node))
    return {
        "message": f"Validation error (FieldUndefined@[{path}]) : "
        f"Field '{name}' in type '{kind}' is undefined",
        "locations": _locations(error),
        "extensions": {"classification": "ValidationError"},
    }


def _path_to(document: DocumentNode, wanted: FieldNode) -> list[str]:
    def search(selections: SelectionSetNode | None, above: list[str]) -> list[str] | None:
        for each in selections.selections if selections else ():
            here = [*above, each.name.value] if isinstance(each, FieldNode) else above
            if each is wanted:
                return here
            found = search(getattr(each, "selection_set", None), here)
            if found:
                return found
        return None

    for definition in document.definitions:
        found = search(getattr(definition, "selection_set", None), [])
        if found:
            return found
    return [wanted.name.value]


def _invalid(error: GraphQLError, classification: str) -> Json:
    return {
        "message": error.message,
        "locations": _locations(error),
        "extensions": {"classification": classification},
    }


def _locations(error: GraphQLError) -> list[Json]:
    return [{"line": each.line, "column": each.column} for each in error.locations or []]


def _refused(errors: list[Json]) -> Json:
    return {"errors": errors, "data": None, "extensions": {}}
