"""The directory client returns all people or says why not, against a real GraphQL server."""

import json

import httpx
import pytest

from backend.core.errors import (
    InvalidInput,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from backend.integrations.directory.client import DirectoryClient
from backend.integrations.directory.errors import (
    EmptyAnswer,
    NotGraphQL,
    PartialAnswer,
    QueryRefused,
    TokenRefused,
    TooLarge,
)
from backend.integrations.directory.graphql import QUERY
from backend.sandbox.directory import StandIn, seeding


@pytest.fixture
def directory():
    with StandIn(seed=seeding.seed_demo) as server:
        yield server


class TestUsers:
    def test_returns_the_items_as_they_came(self, directory):
        assert DirectoryClient(directory.url).users() == seeding.seed_demo()

    def test_sends_the_token(self):
        with StandIn(seed=seeding.seed_demo, token="sesame") as server:
            assert DirectoryClient(server.url, "sesame").users()
            with pytest.raises(TokenRefused, match="401") as caught:
                DirectoryClient(server.url, "wrong-one").users()
            assert "wrong-one" not in str(caught.value)

    def test_errors_beside_data_are_a_partial_answer(self, directory):
        directory.refuse_after = 3
        with pytest.raises(PartialAnswer, match="closed the connection"):
            DirectoryClient(directory.url).users()

    def test_no_people_is_an_error(self, directory):
        directory.users = []
        with pytest.raises(EmptyAnswer):
            DirectoryClient(directory.url).users()

    @pytest.mark.parametrize("content", [b"email,displayName\n", b"[]", b'{"users": []}'])
    def test_a_file_of_nobody_has_no_column_at_fault(self, content):
        with pytest.raises(EmptyAnswer):
            DirectoryClient("", source="upload", upload=content).users()

    @pytest.mark.parametrize(
        "content", ["\ufeff", "\nemail\na@x.io\n", " \nemail\n", ",,\na,b,c\n"]
    )
    def test_a_file_without_a_first_line_names_no_column(self, content):
        with pytest.raises(InvalidInput, match="first line is empty"):
            DirectoryClient("", source="upload", upload=content.encode()).users()

    def test_more_people_than_the_limit_is_an_error(self, directory):
        with pytest.raises(TooLarge, match="5 people"):
            DirectoryClient(directory.url, max_users=5).users()

    def test_more_bytes_than_the_limit_is_an_error(self, directory):
        with pytest.raises(TooLarge):
            DirectoryClient(directory.url, max_bytes=100).users()

    def test_a_changed_list_is_answered_at_once(self, directory):
        client = DirectoryClient(directory.url)
        client.users()
        directory.users[0]["displayName"] = "Somebody Else"
        assert client.users()[0]["displayName"] == "Somebody Else"

    @pytest.mark.parametrize(
        ("body", "raised"),
        [
            ({"errors": [{"message": "Cannot query field 'domain'"}]}, QueryRefused),
            ({"data": None, "errors": [{"message": "boom"}]}, QueryRefused),
            ({"data": {"users": None}, "errors": [{"message": "boom"}]}, PartialAnswer),
            ({"data": {"users": None}}, PartialAnswer),
            ({"data": {"users": {"a": 1}}}, PartialAnswer),
            ({"something": "else"}, NotGraphQL),
            ([1, 2], NotGraphQL),
        ],
    )
    def test_every_other_shape_is_an_error(self, directory, body, raised):
        directory.faults.add(body=json.dumps(body).encode())
        with pytest.raises(raised):
            DirectoryClient(directory.url).users()

    @pytest.mark.parametrize(
        ("fault", "raised"),
        [
            ({"html": True, "status": 200}, NotGraphQL),
            ({"status": 302, "headers": {"Location": "http://127.0.0.1:1/"}}, NotGraphQL),
            ({"status": 404}, NotGraphQL),
            ({"status": 403, "html": True}, TokenRefused),
            ({"html": True}, UpstreamUnavailable),
            ({"status": 500, "html": True}, UpstreamError),
            ({"drop": "before"}, UpstreamUnavailable),
            ({"latency": 600}, UpstreamTimeout),
        ],
    )
    def test_every_failure_is_a_sentence(self, directory, fault, raised):
        fault = dict(fault)
        if fault.get("status", 200) in (302, 404) and "html" not in fault:
            fault["body"], fault["content_type"] = b"<html>", "text/html"
        directory.faults.add(**fault)
        patience = 0.2 if "latency" in fault else 60  # what answers at once may be slow to be asked
        with pytest.raises(raised) as caught:
            DirectoryClient(directory.url, timeout=patience).users()
        assert str(caught.value).startswith("Directory: ")
        assert str(caught.value).endswith(".")

    def test_a_server_that_is_down_is_unavailable(self, directory):
        directory.close()
        with pytest.raises(UpstreamUnavailable):
            DirectoryClient(directory.url).users()

    @pytest.mark.parametrize("endpoint", ["localhost:4000", "file:///etc/passwd", ""])
    def test_refuses_an_endpoint_that_cannot_be_right(self, endpoint):
        with pytest.raises(InvalidInput):
            DirectoryClient(endpoint)


class TestProbe:
    def test_counts_the_people(self, directory):
        probe = DirectoryClient(directory.url).probe()
        assert probe.users_seen == len(directory.users)
        assert probe.more is False

    def test_a_very_long_answer_is_enough_proof(self, directory):
        directory.users = [{"email": "x" * 9_000_000, "displayName": "", "domain": ""}]
        probe = DirectoryClient(directory.url).probe()
        assert (probe.users_seen, probe.more) == (None, True)


def test_the_stand_in_answers_any_query_of_its_schema(directory):
    query = QUERY.replace("domain", "dom: domain")
    answer = httpx.post(directory.url, json={"query": query}, trust_env=False).json()
    assert answer["data"]["users"][0]["dom"] == "Finance"


def test_the_stand_in_keeps_its_people_over_a_restart(tmp_path):
    file = tmp_path / "people.json"
    with StandIn(state_file=file, seed=seeding.seed_demo) as server:
        server.users[0]["displayName"] = "Kept"
        server.save()
    with StandIn(state_file=file, seed=seeding.seed_demo) as server:
        assert server.users[0]["displayName"] == "Kept"
