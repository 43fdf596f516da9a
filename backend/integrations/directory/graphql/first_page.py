"""Whether one answer may be only the first page: many servers give ten or a hundred to who asks for
no page (Hot Chocolate, Strapi, Directus, Strawberry's and Graphene's connections), and say nothing.
"""

from collections.abc import Mapping
from typing import Any

from graphql import (
    ArgumentNode,
    FieldNode,
    IntValueNode,
    ObjectFieldNode,
    OperationDefinitionNode,
    VariableNode,
    Visitor,
    parse,
    visit,
)

SCHEMA = "{ __schema { queryType { fields { name args { name } } } } }"
#: Arguments that turn pages, whatever they hold.
PAGED = frozenset(
    {"after", "cursor", "first", "limit", "offset", "page", "pageSize", "pagination", "paging"}
    | {"perPage", "per_page", "skip", "take", "top"}
)
_HOW_MANY = frozenset({"first", "limit", "pageSize", "perPage", "per_page", "take", "top"})
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


def in_pages(query: str, schema: object) -> str:
    """The field of the query that the server gives in pages; "" where there is none. schema: the
    answer to SCHEMA, of whatever shape."""
    asked = [
        field.name.value
        for part in parse(query, no_location=True).definitions
        if isinstance(part, OperationDefinitionNode)
        for field in part.selection_set.selections
        if isinstance(field, FieldNode)
    ]
    try:
        fields = schema["__schema"]["queryType"]["fields"]  # type: ignore[index]  # tried
        paged = {f["name"] for f in fields if any(arg["name"] in PAGED for arg in f["args"])}
    except (KeyError, TypeError):
        return ""
    return next((name for name in asked if name in paged), "")
