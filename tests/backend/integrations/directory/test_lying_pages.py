"""Directories whose pages lie: of their number, their end, their order."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from backend.core.errors import UpstreamError
from backend.integrations.directory.client import DirectoryClient
from backend.integrations.directory.errors import ListMoved, PartialAnswer, QueryRefused
from backend.integrations.directory.source import Options
from backend.sandbox.loopback import Request, Response, json_response
from tests.backend.integrations.directory.test_any_directory import OFFSET, serve

__all__ = ["serve"]

Serve = Callable[[Callable[[Request], Response]], Any]
RELAY = "query($after: String) { users(after: $after) { nodes { email } pageInfo { %s } } }"


def people(*numbers: int) -> list[dict[str, str]]:
    return [{"userName": f"u{number}@x.io"} for number in numbers]


def of_scim(server: Any) -> list[str]:
    client = DirectoryClient(
        f"{server.http.base_url}/Users", source="scim", options=Options(page_size=3)
    )
    return [person["email"].partition("@")[0] for person in client.users()]  # type: ignore[index]


def start_of(request: Request) -> int:
    return int(request.query["startIndex"])


class TestScim:
    def test_a_total_that_is_the_pages_own(self, serve: Serve) -> None:
        def answer(request: Request) -> Response:
            found = people(*range(8))[start_of(request) - 1 :][:3]
            return json_response(200, {"totalResults": len(found), "Resources": found})

        assert of_scim(serve(answer)) == [f"u{number}" for number in range(8)]

    def test_pages_that_are_all_the_first_one(self, serve: Serve) -> None:
        """Its total was read to the end, and a half of the people were not there."""
        server = serve(
            lambda _r: json_response(200, {"totalResults": 6, "Resources": people(0, 1, 2)})
        )
        with pytest.raises(UpstreamError, match="same page again"):
            of_scim(server)

    def test_a_server_without_pages(self, serve: Serve) -> None:
        server = serve(
            lambda _r: json_response(200, {"totalResults": 3, "Resources": people(0, 1, 2)})
        )
        assert of_scim(server) == ["u0", "u1", "u2"]

    @pytest.mark.parametrize("status", [400, 404])
    def test_a_server_that_refuses_what_is_behind_the_end(self, serve: Serve, status: int) -> None:
        def answer(request: Request) -> Response:
            if start_of(request) > 3:
                return json_response(status, {"detail": "startIndex is out of range"})
            return json_response(200, {"totalResults": 3, "Resources": people(0, 1, 2)})

        assert of_scim(serve(answer)) == ["u0", "u1", "u2"]

    def test_a_refusal_before_the_end_is_no_end(self, serve: Serve) -> None:
        def answer(request: Request) -> Response:
            if start_of(request) > 1:
                return json_response(400, {"detail": "startIndex is out of range"})
            return json_response(200, {"totalResults": 6, "Resources": people(0, 1, 2)})

        with pytest.raises(UpstreamError, match="HTTP 400"):
            of_scim(serve(answer))

    def test_somebody_who_leaves_meanwhile_makes_another_be_passed_over(self, serve: Serve) -> None:
        left = people(*range(8))

        def answer(request: Request) -> Response:
            found = left[start_of(request) - 1 :][:3]
            reply = json_response(200, {"totalResults": len(left), "Resources": found})
            if start_of(request) == 1:
                del left[0]  # u3 is now the third, and the next page begins at the fourth
            return reply

        with pytest.raises(PartialAnswer, match="of 8 people 7 were left"):
            of_scim(serve(answer))

    def test_somebody_who_comes_meanwhile_is_no_reason_to_stop(self, serve: Serve) -> None:
        there = people(*range(4))

        def answer(request: Request) -> Response:
            found = there[start_of(request) - 1 :][:3]
            reply = json_response(200, {"totalResults": len(there), "Resources": found})
            if start_of(request) == 1:
                there.append({"userName": "new@x.io"})
            return reply

        assert of_scim(serve(answer)) == ["u0", "u1", "u2", "u3", "new"]

    def test_somebody_who_leaves_while_another_comes_leaves_the_total_as_it_was(
        self, serve: Serve
    ) -> None:
        there = people(*range(8))

        def answer(request: Request) -> Response:
            found = there[start_of(request) - 1 :][:3]
            reply = json_response(200, {"totalResults": len(there), "Resources": found})
            if start_of(request) == 1:
                there[:] = [*there[1:], {"userName": "new@x.io"}]  # u3 would be passed over
            return reply

        with pytest.raises(ListMoved, match="moved while it was read"):
            of_scim(serve(answer))

    @pytest.mark.parametrize(("longest", "whole"), [(1, 1), (3, 3)])
    def test_nor_where_pages_cannot_overlap(self, serve: Serve, longest: int, whole: int) -> None:
        """One person a page, or whole pages."""
        there, asked = people(*range(8)), 0

        def answer(request: Request) -> Response:
            nonlocal asked
            asked += 1
            first = (start_of(request) - 1) // whole * whole
            found = there[first:][:longest]
            if asked == 4:
                there[:] = [*there[1:], {"userName": "new@x.io"}]
            return json_response(200, {"totalResults": len(there), "Resources": found})

        with pytest.raises(ListMoved):
            of_scim(serve(answer))

    def test_one_at_a_time(self, serve: Serve) -> None:
        def answer(request: Request) -> Response:
            found = people(*range(5))[start_of(request) - 1 :][:1]
            return json_response(200, {"totalResults": 5, "Resources": found})

        assert of_scim(serve(answer)) == [f"u{number}" for number in range(5)]

    @pytest.mark.parametrize("count", [2, 3, 6, 8])
    def test_a_server_that_counts_in_whole_pages(self, serve: Serve, count: int) -> None:
        """As one over Spring's PageRequest.of((startIndex - 1) / count, count)."""

        def answer(request: Request) -> Response:
            first = (start_of(request) - 1) // 3 * 3
            found = people(*range(count))[first:][:3]
            return json_response(200, {"totalResults": count, "Resources": found})

        assert of_scim(serve(answer)) == [f"u{number}" for number in range(count)]

    def test_what_differs_from_answer_to_answer_is_no_other_person(self, serve: Serve) -> None:
        asked = 0

        def answer(request: Request) -> Response:
            nonlocal asked
            asked += 1
            found = [
                {"id": str(n), "userName": f"u{n}@x.io", "photos": [{"value": f"?signed={asked}"}]}
                for n in range(8)
            ][start_of(request) - 1 :][:3]
            return json_response(200, {"totalResults": 8, "Resources": found})

        assert of_scim(serve(answer)) == [f"u{number}" for number in range(8)]


class TestOffset:
    """The list changes after its first page of three, of eight people."""

    def ask(self, serve: Serve, then: Callable[[list[Any]], None], mapping: str = "") -> list[str]:
        there = [{"email": f"u{number}@x.io"} for number in range(8)]

        def answer(request: Request) -> Response:
            asked = json.loads(request.body)["variables"]
            found = list(there[asked["offset"] :][: asked["limit"]])
            if asked["offset"] == 0:
                then(there)
            return json_response(200, {"data": {"users": found}})

        options = Options(query=OFFSET, page_size=3, mapping=mapping)
        found = DirectoryClient(serve(answer).url, options=options).users()
        return [str(person["email"]).partition("@")[0] for person in found]  # type: ignore[index]

    @pytest.mark.parametrize("mapping", ["", "users[].{email: email}"])
    @pytest.mark.parametrize("place", [0, 1, 2])
    def test_somebody_who_leaves_makes_another_be_passed_over(
        self, serve: Serve, place: int, mapping: str
    ) -> None:
        with pytest.raises(ListMoved, match="moved while it was read"):
            self.ask(serve, lambda there: there.pop(place), mapping)

    @pytest.mark.parametrize("mapping", ["map(&{email: email}, users)", "[users[0], users[1]]"])
    def test_nor_where_a_mapping_begins_with_no_list(self, serve: Serve, mapping: str) -> None:
        with pytest.raises(ListMoved):
            self.ask(serve, lambda there: there.pop(0), mapping)

    @pytest.mark.parametrize(("longest", "whole"), [(1, 1), (3, 3)])
    def test_nor_where_pages_cannot_overlap(self, serve: Serve, longest: int, whole: int) -> None:
        """One person a page, or whole pages."""
        there, asked = [{"email": f"u{number}@x.io"} for number in range(8)], 0

        def answer(request: Request) -> Response:
            nonlocal asked
            asked += 1
            first = json.loads(request.body)["variables"]["offset"] // whole * whole
            found = list(there[first:][:longest])
            if asked == 4:
                there.pop(0)
            return json_response(200, {"data": {"users": found}})

        with pytest.raises(ListMoved):
            DirectoryClient(serve(answer).url, options=Options(query=OFFSET, page_size=3)).users()

    def test_all_others_leave(self, serve: Serve) -> None:
        """The last two would be where the first were, and the next page is empty."""

        def leave(there: list[Any]) -> None:
            del there[:6]

        with pytest.raises(ListMoved):
            self.ask(serve, leave)

    def test_a_list_without_an_order(self, serve: Serve) -> None:
        with pytest.raises(ListMoved):
            self.ask(serve, lambda there: there.sort(key=lambda one: one["email"], reverse=True))

    def test_somebody_who_comes_is_no_reason_to_stop(self, serve: Serve) -> None:
        found = self.ask(serve, lambda there: there.insert(0, {"email": "new@x.io"}))
        assert found == [f"u{number}" for number in range(8)]

    @pytest.mark.parametrize("place", [3, 7])
    def test_somebody_of_a_later_page_who_leaves_is_no_reason_to_stop(
        self, serve: Serve, place: int
    ) -> None:
        found = self.ask(serve, lambda there: there.pop(place))
        assert found == [f"u{number}" for number in range(8) if number != place]

    @pytest.mark.parametrize("count", [6, 8])
    def test_a_server_that_counts_in_whole_pages(self, serve: Serve, count: int) -> None:
        def answer(request: Request) -> Response:
            first = json.loads(request.body)["variables"]["offset"] // 3 * 3
            found = [{"email": f"u{number}@x.io"} for number in range(count)][first:][:3]
            return json_response(200, {"data": {"users": found}})

        found = DirectoryClient(serve(answer).url, options=Options(query=OFFSET, page_size=3))
        assert len(found.users()) == count

    @pytest.mark.parametrize("count", [2, 3])
    def test_a_server_that_knows_no_pages_may_have_more(self, serve: Serve, count: int) -> None:
        page = [{"email": f"u{number}@x.io"} for number in range(count)]
        server = serve(lambda _r: json_response(200, {"data": {"users": page}}))
        with pytest.raises(UpstreamError, match="same page again"):
            DirectoryClient(server.url, options=Options(query=OFFSET, page_size=3)).users()

    def test_a_mapping_that_begins_with_no_list(self, serve: Serve) -> None:
        found = self.ask(serve, lambda _there: None, "map(&{email: email}, users)")
        assert found == [f"u{number}" for number in range(8)]

    def test_one_at_a_time(self, serve: Serve) -> None:
        def answer(request: Request) -> Response:
            start = json.loads(request.body)["variables"]["offset"]
            found = [{"email": "same@x.io" if start % 2 else f"u{start}@x.io"}] * (start < 5)
            return json_response(200, {"data": {"users": found}})

        found = DirectoryClient(serve(answer).url, options=Options(query=OFFSET)).users()
        assert len(found) == 5

    def test_two_who_are_alike_at_the_end_of_a_page_are_two(self, serve: Serve) -> None:
        def alike(there: list[Any]) -> None:
            there[3:5] = [there[2], there[2]]

        assert self.ask(serve, alike) == ["u0", "u1", "u2", "u2", "u2", "u5", "u6", "u7"]


class TestRelay:
    def ask(self, server: Any, info: str = "hasNextPage endCursor") -> list[object]:
        return DirectoryClient(server.url, options=Options(query=RELAY % info)).users()

    @staticmethod
    def page(nodes: list[Any], **info: Any) -> Response:
        return json_response(200, {"data": {"users": {"nodes": nodes, "pageInfo": info}}})

    def counting(
        self, then: Callable[[list[Any]], None], form: str = "arrayconnection:%d", first: int = 0
    ) -> Callable[[Request], Response]:
        """Cursors that are an entry's number in the list as it is now. first: that of the first."""
        there = [{"email": f"u{number}@x.io"} for number in range(8)]

        def answer(request: Request) -> Response:
            after = json.loads(request.body).get("variables", {}).get("after") or ""
            digits = "".join(filter(str.isdigit, base64.b64decode(after).decode()))
            start = int(digits) + 1 - first if digits else 0
            found, last = there[start : start + 3], start + 3 < len(there)
            end = base64.b64encode((form % (start + len(found) - 1 + first)).encode()).decode()
            if start == 0:
                then(there)
            return self.page(found, hasNextPage=last, endCursor=end)

        return answer

    #: Graphene's and Strawberry's; PostGraphile's without an order.
    COUNTED = pytest.mark.parametrize(
        ("form", "first"), [("arrayconnection:%d", 0), ('["natural",%d]', 1)]
    )

    @COUNTED
    def test_a_cursor_that_counts_proves_that_nobody_was_passed_over(
        self, serve: Serve, form: str, first: int
    ) -> None:
        with pytest.raises(ListMoved):
            self.ask(serve(self.counting(lambda there: there.pop(0), form, first)))

    @COUNTED
    def test_everybody_by_a_cursor_that_counts(self, serve: Serve, form: str, first: int) -> None:
        found = self.ask(serve(self.counting(lambda _there: None, form, first)))
        assert [person["email"] for person in found] == [f"u{n}@x.io" for n in range(8)]  # type: ignore[index]

    def test_a_query_that_does_not_ask_for_the_end(self, serve: Serve) -> None:
        """Its first page was taken for all there are."""
        server = serve(lambda _r: self.page([{"email": "a@x.io"}], endCursor="1"))
        with pytest.raises(QueryRefused, match="hasNextPage"):
            self.ask(server, "endCursor")

    def test_empty_pages_for_ever(self, serve: Serve) -> None:
        def answer(request: Request) -> Response:
            after = int(json.loads(request.body).get("variables", {}).get("after") or 0)
            return self.page([], hasNextPage=True, endCursor=str(after + 1))

        with pytest.raises(UpstreamError, match="empty pages in a row"):
            self.ask(serve(answer))

    def test_a_few_empty_pages_between(self, serve: Serve) -> None:
        def answer(request: Request) -> Response:
            after = int(json.loads(request.body).get("variables", {}).get("after") or 0)
            nodes = [{"email": f"{after}@x.io"}] if after % 10 == 0 else []
            return self.page(nodes, hasNextPage=after < 20, endCursor=str(after + 1))

        assert len(self.ask(serve(answer))) == 3


@pytest.mark.parametrize(
    ("errors", "said"),
    [({"message": "half of them"}, "half of them"), ("no shard 2", "no shard 2")],
)
def test_an_error_that_is_no_list_is_one_all_the_same(
    serve: Serve, errors: object, said: str
) -> None:
    body = {"errors": errors, "data": {"users": [{"email": "a@x.io"}]}}
    with pytest.raises(PartialAnswer, match=said):
        DirectoryClient(serve(lambda _r: json_response(200, body)).url).users()
