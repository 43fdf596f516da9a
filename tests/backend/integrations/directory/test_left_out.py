"""A mapping may leave people out: a page is as long as the directory made it all the same."""

import pytest

from backend.core.errors import UpstreamError
from backend.integrations.directory.client import DirectoryClient
from backend.integrations.directory.source import Mapper, Options
from backend.sandbox.loopback import json_response
from tests.backend.integrations.directory import test_any_directory as others
from tests.backend.integrations.directory.test_any_directory import (
    OFFSET,
    PEOPLE,
    offset,
    people_of,
    scim,
)

serve = others.serve


@pytest.mark.parametrize(
    ("left_out", "mapping"),
    [
        ([12], "users[?department].{email: mail}"),
        (range(7, 14), "users[?department].{email: mail}"),  # a whole page of theirs
        (range(7, 14), "sort_by(users[?department], &mail)[].{email: mail}"),
        (range(7, 14), "users[?department] | [].{email: mail}"),
    ],
)
def test_offset_counts_those_whom_the_mapping_leaves_out(serve, left_out, mapping):
    some = [{**p, "department": ""} if n in left_out else p for n, p in enumerate(PEOPLE)]
    server = serve(lambda request: offset(request, some))
    found = people_of(server, query=OFFSET, mapping=mapping, page_size=10)
    assert sorted(person["email"] for person in found) == sorted(
        person["mail"] for n, person in enumerate(PEOPLE) if n not in left_out
    )
    assert [body["variables"]["offset"] for body in server.bodies()] == [0, 6, 12, 18, 24]


def test_a_server_that_ignores_the_offset_is_found_out_though_nobody_is_left(serve):
    server = serve(lambda _r: json_response(200, {"data": {"users": PEOPLE}}))
    with pytest.raises(UpstreamError, match="same page again"):
        people_of(server, query=OFFSET, mapping="users[?name == 'x'].{email: mail}")


@pytest.mark.parametrize(
    ("mapping", "given"),
    [
        ("found.nodes[].{email: mail}", 3),
        ("found.nodes[?active].{email: mail}", 3),
        ("found.nodes[*].mail", 3),
        ("found | nodes[?active].mail", 3),
        ("teams[].people[].{email: mail}", 2),  # pages of teams
        ("map(&{email: mail}, found.nodes)", None),
        ("found.nodes", None),
    ],
)
def test_how_many_were_given_is_the_list_that_a_mapping_begins_with(mapping, given):
    nodes = [{"mail": "a", "active": True}, {"mail": "b"}, None]
    teams = [{"people": nodes}, {"people": []}]
    found = Mapper(mapping).given({"found": {"nodes": nodes}, "teams": teams})
    assert (len(found) if found is not None else None) == given


@pytest.mark.parametrize(("size", "seen", "more"), [(5, 4, True), (12, 11, False)])
def test_a_first_page_with_somebody_left_out_may_have_another(serve, size, seen, more):
    directory = f"{serve(scim).http.base_url}/scim/v2"
    probe = DirectoryClient(directory, source="scim", options=Options(page_size=size)).probe()
    assert (probe.users_seen, probe.more) == (seen, more)


def people_of_scim(serve, people):
    answer = {"totalResults": len(people), "Resources": people}
    server = serve(lambda _r: json_response(200, answer))
    return DirectoryClient(f"{server.http.base_url}/Users", source="scim").users()


@pytest.mark.parametrize("off", [False, "false", "False"])
def test_who_is_switched_off_has_left_also_where_a_text_says_so(serve, off):
    people = [{"userName": "a@x.io", "active": off}, {"userName": "b@x.io", "active": "True"}]
    assert [person["email"] for person in people_of_scim(serve, people)] == ["b@x.io"]


def test_the_address_at_work_comes_before_the_one_at_home(serve):
    mails = [{"value": "me@home.io", "type": "home"}, {"value": "a@x.io", "type": "work"}]
    (person,) = people_of_scim(serve, [{"userName": "a", "emails": mails}])
    assert person["email"] == "a@x.io"
