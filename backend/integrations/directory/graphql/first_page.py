"""Whether one answer may be only the first page: many servers give ten or a hundred to who asks for
no page (Hot Chocolate, Strapi, Directus, Strawberry's and Graphene's connections), and say nothing.
"""

from collections.abc import Mapping
from typing import Any

from graphql import FieldNode, IntValueNode, OperationDefinitionNode, Visitor, parse, visit

SCHEMA = "{ __schema { queryType { fields { name args { name } } } } }"
#: Arguments that turn pages, whatever they hold.
PAGED = frozenset(
    {"after", "cursor", "first", "limit", "offset", "page", "pageSize", "pagination", "paging"}
    | {"perPage", "per_page", "skip", "take", "top"}
)
#: How many a page holds where nobody says it.
_SIZES = frozenset({10, 20, 25, 30, 50, 100, 200, 250, 500, 1_000})


class _Numbers(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[int] = set()

    def enter_int_value(self, node: IntValueNode, *_: object) -> None:
        self.found.add(int(node.value))


def asked_for(query: str, variables: Mapping[str, Any], count: int) -> bool:
    """Whether the query asks for just as many as came."""
    numbers = _Numbers()
    visit(parse(query, no_location=True), numbers)
    return count > 1 and count in numbers.found | {v for v in variables.values() if type(v) is int}


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
