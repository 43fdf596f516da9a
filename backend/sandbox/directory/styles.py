"""What directories in the field look like: schema, answers, refusals, and how to ask each.

plain is the schema that needs no setting. apollo refuses with codes and HTTP 200 and promises an
e-mail; relay pages by cursor; hasura pages by offset and wants a secret header.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Person = dict[str, Any]
Root = Callable[[list[Any]], dict[str, Any]]

_MAPPED = "{email: mail, displayName: name, domain: department}"


@dataclass(frozen=True)
class Style:
    """settings: what a directory connection needs beside the endpoint. header: which request
    header must hold the token. refusal: (status, document) for one that does not."""

    schema: str
    root: Root
    settings: Mapping[str, str] = field(default_factory=dict)
    header: str = "authorization"
    refusal: tuple[int, dict[str, Any]] = (401, {"errors": [{"message": "Unauthorized"}]})


def _renamed(person: Any) -> Any:
    if not isinstance(person, dict):
        return person  # an error to be raised where the person would be
    return {
        "mail": person.get("email"),
        "name": person.get("displayName"),
        "department": person.get("domain"),
    }


def _connection(people: list[Any]) -> dict[str, Any]:
    def page(_info: Any, first: int = 100, after: str | None = None) -> dict[str, Any]:
        start = int(after or 0)
        end = min(start + first, len(people))
        nodes = [_renamed(person) for person in people[start:end]]
        return {
            "edges": [{"cursor": str(start + n), "node": node} for n, node in enumerate(nodes, 1)],
            "pageInfo": {"hasNextPage": end < len(people), "endCursor": str(end)},
        }

    return {"people": page}


def _offset(people: list[Any]) -> dict[str, Any]:
    def page(_info: Any, limit: int = 100, offset: int = 0) -> list[Any]:
        return [_renamed(person) for person in people[offset : offset + limit]]

    return {"users": page}


def _refused(message: str, code: str) -> dict[str, Any]:
    return {"errors": [{"message": message, "extensions": {"code": code}}]}


STYLES: Mapping[str, Style] = {
    "plain": Style(
        """
        "A person as the directory knows them."
        type User { email: String  displayName: String  domain: String }
        type Query { users: [User]! }
        """,
        lambda people: {"users": people},
    ),
    "apollo": Style(
        """
        type User { mail: String!  name: String  department: String }
        type Query { users: [User!]! }
        """,
        lambda people: {"users": [_renamed(person) for person in people]},
        {"query": "{ users { mail name department } }", "mapping": f"users[].{_MAPPED}"},
        refusal=(200, _refused("You must be logged in.", "UNAUTHENTICATED")),
    ),
    "relay": Style(
        """
        type Person { mail: String  name: String  department: String }
        type PersonEdge { cursor: String!  node: Person }
        type PageInfo { hasNextPage: Boolean!  endCursor: String }
        type PersonConnection { edges: [PersonEdge]!  pageInfo: PageInfo! }
        type Query { people(first: Int, after: String): PersonConnection! }
        """,
        _connection,
        {
            "query": "query People($first: Int, $after: String) { people(first: $first, "
            "after: $after) { edges { node { mail name department } } "
            "pageInfo { hasNextPage endCursor } } }",
            "mapping": f"people.edges[].node.{_MAPPED}",
        },
    ),
    "hasura": Style(
        """
        type users { mail: String  name: String  department: String }
        type Query { users(limit: Int, offset: Int): [users!]! }
        """,
        _offset,
        {
            "query": "query People($limit: Int, $offset: Int) "
            "{ users(limit: $limit, offset: $offset) { mail name department } }",
            "mapping": f"users[].{_MAPPED}",
        },
        header="x-hasura-admin-secret",
        refusal=(
            200,
            _refused("invalid x-hasura-admin-secret/x-hasura-access-key", "access-denied"),
        ),
    ),
}
