"""Whether one answer may be only the first page: many servers give ten or a hundred to who asks for
no page (Hot Chocolate, Strapi, Directus, Strawberry's and Graphene's connections), and say nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    IntValueNode,
    NameNode,
    ObjectFieldNode,
    OperationDefinitionNode,
    VariableNode,
    Visitor,
    parse,
    print_ast,
    visit,
)

SCHEMA = "{ __schema { queryType { fields { name args { name } } } } }"
#: Arguments that turn pages, whatever they hold.
PAGED = frozenset(
    {"after", "cursor", "first", "limit", "offset", "page", "pageSize", "pagination", "paging"}
    | {"perPage", "per_page", "skip", "take", "top"}
)
_HOW_MANY = ("first", "limit", "take", "pageSize", "perPage", "per_page", "top")
#: How many a page holds where nobody says it.
_SIZES = frozenset({10, 20, 25, 30, 50, 100, 200, 250, 500, 1_000})


class _Sizes(Visitor):
    """The numbers that a query gives for how many it wants."""

    def __init__(self, variables: Mapping[str, Any]) -> None:
        super().__init__()
        self._variables = variables
        self.found: set[int] = set()

    def enter_argument(self, node: ArgumentNode | ObjectFieldNode, *_: object) -> None:
        if node.name.value not in _HOW_MANY:
            return
        value: object = None
        if isinstance(node.value, IntValueNode):
            value = int(node.value.value)
        elif isinstance(node.value, VariableNode):
            value = self._variables.get(node.value.name.value)
        if type(value) is int:
            self.found.add(value)

    enter_object_field = enter_argument


def asked_for(query: str, variables: Mapping[str, Any], count: int) -> bool:
    """Whether the query asks for just as many as came."""
    sizes = _Sizes(variables)
    visit(parse(query, no_location=True), sizes)
    return count > 1 and count in sizes.found


def doubtful(count: int) -> bool:
    """Whether so many may be a page that nobody asked for."""
    return count in _SIZES


def for_one(query: str) -> Iterator[tuple[str, str]]:
    """(field and argument, the query for one person by it), for each argument that may say how
    many. A server without it refuses the query (specification of October 2021, section 5.4.1)."""
    named = next(field.name.value for field in _fields(parse(query, no_location=True)))
    for name in _HOW_MANY:
        yield f"{named} (by {name})", print_ast(visit(parse(query, no_location=True), _One(name)))


class _One(Visitor):
    """Gives each field of the query's root an argument: one."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._argument = ArgumentNode(name=NameNode(value=name), value=IntValueNode(value="1"))

    def leave_operation_definition(
        self, node: OperationDefinitionNode, *_: object
    ) -> OperationDefinitionNode:
        fields = tuple(
            replace(field, arguments=(*(field.arguments or ()), self._argument))
            if isinstance(field, FieldNode)
            else field
            for field in node.selection_set.selections
        )
        return replace(node, selection_set=replace(node.selection_set, selections=fields))


def in_pages(query: str, schema: object) -> str:
    """The field of the query that the server gives in pages; "" where there is none. schema: the
    answer to SCHEMA, of whatever shape."""
    asked = [field.name.value for field in _fields(parse(query, no_location=True))]
    try:
        fields = schema["__schema"]["queryType"]["fields"]  # type: ignore[index]  # tried
        paged = {f["name"] for f in fields if any(arg["name"] in PAGED for arg in f["args"])}
    except (KeyError, TypeError):
        return ""
    return next((name for name in asked if name in paged), "")


def _fields(parsed: DocumentNode) -> Iterator[FieldNode]:
    """The fields of the query's root."""
    for part in parsed.definitions:
        if isinstance(part, OperationDefinitionNode):
            yield from (s for s in part.selection_set.selections if isinstance(s, FieldNode))
