"""Queries that ask for no page, whose answer is a first page; queries suggested for a schema."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from graphql import (
    NoSchemaIntrospectionCustomRule,
    build_schema,
    graphql_sync,
    parse,
    validate,
)

from backend.integrations.directory.client import DirectoryClient
from backend.integrations.directory.errors import FirstPage, PageTooLarge, PartialAnswer
from backend.integrations.directory.graphql import presets
from backend.integrations.directory.source import Options
from backend.sandbox.loopback import Request, Response, json_response
from tests.backend.integrations.directory.test_any_directory import serve
from tests.backend.integrations.directory.test_lying_pages import RELAY

__all__ = ["serve"]

Serve = Callable[[Callable[[Request], Response]], Any]


class TestFirstPage:
    """Strawberry's and Graphene's connections give a hundred to who asks for no page."""

    def ask(
        self, serve: Serve, count: int, query: str = "", *, args: object = ("first",)
    ) -> list[object]:
        fields = [{"name": "users", "args": [{"name": name} for name in args or ()]}]  # type: ignore[union-attr]
        schema = {"data": {"__schema": {"queryType": {"fields": fields}}}}
        if args is None:
            schema = {"errors": [{"message": "introspection is disabled"}]}  # type: ignore[dict-item]
        found = [{"email": f"u{number}@x.io"} for number in range(count)]

        def answer(request: Request) -> Response:
            asked = json.loads(request.body)["query"]
            return json_response(200, schema if "__schema" in asked else {"data": {"users": found}})

        options = Options(query=query, variables='{"of": 70}' if "$of" in query else "")
        return DirectoryClient(serve(answer).url, options=options).users()

    @pytest.mark.parametrize(
        ("count", "query"),
        [
            (100, ""),
            (100, "{ users(pagination: {limit: 300}) { email } }"),  # more than it gives
            (70, "{ users(first: 70) { email } }"),
            (70, "query($of: Int) { users(first: $of) { email } }"),
        ],
    )
    def test_as_many_as_a_page_holds(self, serve: Serve, count: int, query: str) -> None:
        with pytest.raises(FirstPage, match=f"{count} people"):
            self.ask(serve, count, query)

    @pytest.mark.parametrize("args", [(), ("role",), None])
    def test_a_server_without_pages_has_just_as_many(self, serve: Serve, args: object) -> None:
        assert len(self.ask(serve, 100, args=args)) == 100

    @pytest.mark.parametrize("query", ["", "{ users(first: 500) { email } }"])
    def test_no_page_holds_so_many(self, serve: Serve, query: str) -> None:
        assert len(self.ask(serve, 101, query)) == 101

    @pytest.mark.parametrize(
        "query",
        [
            "{ users(tenant: 70) { email } }",
            "{ users(where: {department: 70}) { email } }",
            "query($of: Int) { users(tenant: $of) { email } }",
        ],
    )
    def test_a_number_of_something_else(self, serve: Serve, query: str) -> None:
        assert len(self.ask(serve, 70, query)) == 70

    def test_a_page_larger_than_the_server_gives(self, serve: Serve) -> None:
        error = {"message": "Argument 'first' cannot be higher than 100"}
        server = serve(lambda _r: json_response(200, {"data": None, "errors": [error]}))
        with pytest.raises(PageTooLarge, match="Lower “People a page”"):
            DirectoryClient(server.url).users()


class TestClosedSchema:
    """Apollo in production and Hasura's roles tell nobody of their schema, and validate by it."""

    def ask(self, serve: Serve, field: str, query: str, people: int, most: int = 100) -> list[Any]:
        schema = build_schema(f"type Person {{ email: String }} type Query {{ {field} }}")
        found = [{"email": f"u{number}@x.io"} for number in range(people)]

        def users(_info: object, **args: object) -> list[Any]:
            return found[: min([most, *(n for n in args.values() if isinstance(n, int))])]

        def answer(request: Request) -> Response:
            asked = json.loads(request.body)
            refused = validate(schema, parse(asked["query"]), [NoSchemaIntrospectionCustomRule])
            done = graphql_sync(
                schema, asked["query"], {"users": users}, variable_values=asked.get("variables")
            )
            errors = [{"message": each.message} for each in refused or done.errors or ()]
            if errors:
                return json_response(400, {"errors": errors})
            return json_response(200, {"data": done.data})

        options = Options(query=query, variables='{"of": "x"}' if "$of" in query else "")
        return DirectoryClient(serve(answer).url, options=options).users()

    @pytest.mark.parametrize(
        ("field", "query"),
        [
            ("users(first: Int): [Person]", "{ users { email } }"),
            ("users(limit: Int, offset: Int): [Person]", "{ users { email } }"),
            ("users(first: Int, limit: Int): [Person]", "{ users(first: 500) { email } }"),
            (
                "users(dept: String, take: Int): [Person]",
                "query($of: String) { users(dept: $of) { email } }",
            ),
        ],
    )
    def test_a_first_page_is_found_by_asking_for_one(
        self, serve: Serve, field: str, query: str
    ) -> None:
        said = r"users \(by (first|limit|take)\) is given in pages, and just 100 people came"
        with pytest.raises(FirstPage, match=said):
            self.ask(serve, field, query, people=300)

    @pytest.mark.parametrize("field", ["users: [Person]", "users(dept: String): [Person]"])
    def test_a_list_without_pages_is_whole(self, serve: Serve, field: str) -> None:
        assert len(self.ask(serve, field, "{ users { email } }", people=100)) == 100

    def test_another_number_of_people_asks_nothing(self, serve: Serve) -> None:
        field = "users(first: Int): [Person]"
        assert len(self.ask(serve, field, "{ users { email } }", people=99)) == 99


class TestTotalCount:
    """Hot Chocolate gives ten to who asks for no page, and tells the number of all if asked."""

    QUERY = "{ users { totalCount nodes { email active } } }"

    def ask(self, serve: Serve, total: object, mapping: str = "") -> list[object]:
        nodes = [{"email": f"u{number}@x.io", "active": number > 2} for number in range(10)]
        answer = {"data": {"users": {"totalCount": total, "nodes": nodes}}}
        server = serve(lambda _r: json_response(200, answer))
        options = Options(query=self.QUERY, mapping=mapping)
        return DirectoryClient(server.url, options=options).users()

    @pytest.mark.parametrize("mapping", ["", "users.nodes[?active].{email: email}"])
    def test_a_first_page_is_not_all(self, serve: Serve, mapping: str) -> None:
        with pytest.raises(PartialAnswer, match="ended after 10 of 12"):
            self.ask(serve, 12, mapping)

    @pytest.mark.parametrize("total", [10, 9, None, True, "12"])
    def test_all_of_them(self, serve: Serve, total: object) -> None:
        assert len(self.ask(serve, total)) == 10

    @pytest.mark.parametrize("total", ["totalCount", "total", "totalDocs"])
    def test_whatever_the_list_beside_it_is_called(self, serve: Serve, total: str) -> None:
        found = {total: 12, "results": [{"email": f"u{number}@x.io"} for number in range(9)]}
        server = serve(lambda _r: json_response(200, {"data": {"users": found}}))
        options = Options(query="{ users { results { email } } }", mapping="users.results[]")
        with pytest.raises(PartialAnswer, match="ended after 9 of 12"):
            DirectoryClient(server.url, options=options).users()

    def test_somebody_who_comes_before_the_cursor_is_no_reason_to_stop(self, serve: Serve) -> None:
        def answer(request: Request) -> Response:
            second = "after" in json.loads(request.body).get("variables", {})
            info = {"hasNextPage": not second, "endCursor": "1"}
            nodes = [{"email": "b@x.io" if second else "a@x.io"}]
            found = {"totalCount": 3 if second else 2, "nodes": nodes, "pageInfo": info}
            return json_response(200, {"data": {"users": found}})

        query = RELAY % "hasNextPage endCursor"
        found = DirectoryClient(serve(answer).url, options=Options(query=query)).users()
        assert len(found) == 2

    def test_who_is_left_out_by_the_mapping_counts(self, serve: Serve) -> None:
        assert len(self.ask(serve, 10, "users.nodes[?active].{email: email}")) == 7


def test_presets_fit_the_schema_they_came_from():
    schema = build_schema(
        """
        type Person { mail: String! name: String department: String }
        type Edge { node: Person } type Info { hasNextPage: Boolean! endCursor: Cursor }
        type People { edges: [Edge] nodes: [Person!]! pageInfo: Info! }
        scalar Cursor
        type Query {
          allPeople(first: Int, after: Cursor): People
          users(limit: Int, offset: Int): [Person!]!
          one(id: ID!): [Person] version: String everybody: [Person]
          nested(pagination: Pages): [Person!]!
          counted(pagination: Pages): Counted!
        }
        input Pages { offset: Int! = 0 limit: Int }
        type Counted { totalCount: Int! results: [Person!]! }
        """
    )
    answer = graphql_sync(schema, presets.INTROSPECTION)
    assert answer.errors is None
    found = {preset.label: preset for preset in presets.found(answer.data["__schema"])}
    assert list(found) == [
        "allPeople, Relay pages",
        "users, pages by offset",
        "everybody, one answer",
        "nested, pages by offset",
        "counted, pages by offset",
    ]
    for preset in found.values():
        Options(query=preset.query, mapping=preset.mapping, paging=preset.paging)
        DirectoryClient(
            "http://127.0.0.1:1",
            options=Options(query=preset.query, mapping=preset.mapping, paging=preset.paging),
        )
        root = {
            "users": [],
            "everybody": [],
            "nested": [],
            "counted": {"results": []},
            "allPeople": {"nodes": [], "pageInfo": None},
        }
        errors = graphql_sync(schema, preset.query, root).errors or []
        assert not [e for e in errors if e.path is None]
