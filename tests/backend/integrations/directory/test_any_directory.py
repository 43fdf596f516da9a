"""Relay, offset, SCIM and files through one client; refusals are sentences."""

import json

import pytest

from backend.core.errors import InvalidInput, UpstreamError
from backend.integrations.directory.client import DirectoryClient
from backend.integrations.directory.errors import (
    Forbidden,
    MappingFailed,
    NotGraphQL,
    NullField,
    PartialAnswer,
    QueryRefused,
    RateLimited,
    TokenRefused,
    UnknownField,
)
from backend.integrations.directory.source import Options, headers_of
from backend.sandbox.loopback import LoopbackServer, Request, Response, json_response

PEOPLE = [{"mail": f"p{n}@x.io", "name": f"P {n}", "department": "Dept 1"} for n in range(25)]
RELAY = (
    "query($first: Int, $after: String) { people(first: $first, after: $after) "
    "{ edges { node { mail name department } } pageInfo { hasNextPage endCursor } } }"
)
RELAY_MAP = "people.edges[].node.{email: mail, displayName: name, domain: department}"
OFFSET = (
    "query($limit: Int, $offset: Int) { users(limit: $limit, offset: $offset) "
    "{ mail name department } }"
)
OFFSET_MAP = "users[].{email: mail, displayName: name, domain: department}"


class Server:
    """Answers as `reply` says; keeps the requests."""

    def __init__(self, reply):
        self.asked: list[Request] = []

        def answer(request: Request) -> Response:
            self.asked.append(request)
            return reply(request)

        self.http = LoopbackServer(answer)
        self.http.start()
        self.url = f"{self.http.base_url}/graphql/"

    def bodies(self):
        return [json.loads(request.body) for request in self.asked]


@pytest.fixture
def serve():
    running = []

    def _serve(reply):
        running.append(Server(reply))
        return running[-1]

    yield _serve
    for server in running:
        server.http.close()


def relay(request: Request) -> Response:
    variables = json.loads(request.body)["variables"]
    start = int(variables.get("after") or 0)
    end = min(start + variables["first"], len(PEOPLE))
    info = {"hasNextPage": end < len(PEOPLE), "endCursor": str(end)}
    edges = [{"node": person} for person in PEOPLE[start:end]]
    return json_response(200, {"data": {"people": {"edges": edges, "pageInfo": info}}})


def offset(request: Request, people=PEOPLE) -> Response:
    variables = json.loads(request.body)["variables"]
    start, size = variables["offset"], min(variables["limit"], 7)  # a server's own limit
    return json_response(200, {"data": {"users": people[start : start + size]}})


def scim(request: Request) -> Response:
    start, size = int(request.query["startIndex"]), int(request.query["count"])
    people = [
        {
            "userName": f"u{n}",
            "displayName": f"U {n}",
            "active": n != 3,
            "emails": [{"value": f"other{n}@x.io"}, {"value": f"u{n}@x.io", "primary": True}],
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Sales"},
        }
        for n in range(12)
    ]
    return json_response(
        200, {"totalResults": 12, "Resources": people[start - 1 : start - 1 + size]}
    )


def people_of(server, **options):
    return DirectoryClient(server.url, options=Options(**options)).users()


class TestPaging:
    def test_relay(self, serve):
        server = serve(relay)
        found = people_of(server, query=RELAY, mapping=RELAY_MAP, page_size=10)
        assert found[24] == {"email": "p24@x.io", "displayName": "P 24", "domain": "Dept 1"}
        assert [body["variables"].get("after") for body in server.bodies()] == [None, "10", "20"]

    def test_offset_goes_on_until_an_empty_page(self, serve):
        server = serve(offset)
        assert len(people_of(server, query=OFFSET, mapping=OFFSET_MAP, page_size=10)) == 25

    def test_a_server_that_ignores_the_offset_is_found_out(self, serve):
        server = serve(lambda _r: json_response(200, {"data": {"users": PEOPLE}}))
        with pytest.raises(UpstreamError, match="same page again"):
            people_of(server, query=OFFSET, mapping=OFFSET_MAP)

    def test_cursors_that_go_round_are_found_out(self, serve):
        info = {"hasNextPage": True, "endCursor": "x"}
        page = {"data": {"people": {"edges": [{"node": PEOPLE[0]}], "pageInfo": info}}}
        server = serve(lambda _r: json_response(200, page))
        with pytest.raises(UpstreamError, match="in circles"):
            people_of(server, query=RELAY, mapping=RELAY_MAP)

    def test_more_pages_without_a_cursor_variable_are_a_partial_answer(self, serve):
        server = serve(
            lambda _r: json_response(
                200, {"data": {"people": {"nodes": PEOPLE, "pageInfo": {"hasNextPage": True}}}}
            )
        )
        with pytest.raises(PartialAnswer, match="there are more pages"):
            people_of(server, query="{ people { nodes { mail } pageInfo { hasNextPage } } }")

    def test_a_page_that_fails_in_the_middle_is_no_short_list(self, serve):
        def reply(request):
            after = json.loads(request.body)["variables"].get("after")
            return relay(request) if after != "20" else json_response(500, {"errors": [{}]})

        with pytest.raises(QueryRefused):
            people_of(serve(reply), query=RELAY, mapping=RELAY_MAP, page_size=10)

    def test_a_sample_is_one_small_page(self, serve):
        server = serve(relay)
        client = DirectoryClient(server.url, options=Options(query=RELAY, mapping=RELAY_MAP))
        assert len(client.sample(10)) == 10
        assert [body["variables"]["first"] for body in server.bodies()] == [10]


class TestAsTyped:
    def test_the_last_slash_stays(self, serve):
        server = serve(lambda _r: json_response(200, {"data": {"users": PEOPLE}}))
        DirectoryClient(server.url).users()
        assert server.asked[0].path == "/graphql/"

    @pytest.mark.parametrize(
        "typed", ["abc", "Bearer abc", '"abc"', " bearer  abc ", "'Bearer abc'"]
    )
    def test_a_token_is_sent_once_whatever_was_pasted_around_it(self, serve, typed):
        server = serve(lambda _r: json_response(200, {"data": {"users": PEOPLE}}))
        DirectoryClient(server.url, typed).users()
        assert server.asked[0].headers["authorization"] == "Bearer abc"

    def test_a_token_that_can_be_none_is_refused_before_anything_is_sent(self):
        with pytest.raises(InvalidInput, match="paste it again"):
            DirectoryClient("http://127.0.0.1:1", "ab\u200bc")

    @pytest.mark.parametrize("status", [307, 308])
    def test_a_redirect_of_the_same_origin_is_followed_with_the_body(self, serve, status):
        def reply(request):
            if request.path == "/graphql/":
                return Response(status, b"", headers={"Location": "/api/graphql"})
            return json_response(200, {"data": {"users": PEOPLE}})

        server = serve(reply)
        DirectoryClient(server.url, "abc").users()
        assert server.asked[0].body == server.asked[1].body
        assert server.asked[1].headers["authorization"] == "Bearer abc"

    def test_a_redirect_elsewhere_is_not_followed(self, serve):
        server = serve(lambda _r: Response(307, b"", headers={"Location": "http://127.0.0.1:1/"}))
        with pytest.raises(NotGraphQL, match="redirect"):
            DirectoryClient(server.url, "abc").users()

    def test_secret_headers(self, serve):
        server = serve(lambda _r: json_response(200, {"data": {"users": PEOPLE}}))
        DirectoryClient.of(
            {"endpoint": server.url, "headers": "X-Tenant: blue"},
            {"secret_headers": "x-api-key: k1\nAuthorization: Basic dTpw", "token": "abc"},
            timeout=60,
        ).users()
        sent = server.asked[0].headers
        assert (sent["x-tenant"], sent["x-api-key"]) == ("blue", "k1")
        assert sent["authorization"] == "Basic dTpw"

    def test_a_bad_header_is_named_by_its_line_and_not_quoted(self):
        with pytest.raises(InvalidInput, match="Line 2") as caught:
            headers_of("a: 1\nsesame")
        assert "sesame" not in str(caught.value)

    def test_variables_of_the_users_own(self, serve):
        server = serve(lambda _r: json_response(200, {"data": {"users": PEOPLE}}))
        query = "query($active: Boolean!) { users(active: $active) { mail } }"
        people_of(server, query=query, variables='{"active": true}')
        assert server.bodies()[0]["variables"] == {"active": True}

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"query": "{ users {"}, "not GraphQL"),
            ({"query": "mutation { x }"}, "no mutation"),
            ({"mapping": "users[].{"}, "no JMESPath"),
            ({"mapping": "(" * 4_000}, "mapping is nested too deeply"),
            ({"mapping": "@" + " | [@,@][]" * 20}, "write a value 10,000 times"),
            ({"mapping": "map(&[@,@][], " * 20 + "@" + ")" * 20}, "write a value 10,000 times"),
            ({"mapping": "to_string([" * 20 + "@" + "])" * 20}, "write a value 10,000 times"),
            ({"variables": "[1]"}, "JSON object"),
            ({"variables": "[" * 4_000}, "variables are nested too deeply"),
            ({"paging": "relay"}, r"\$after"),
            ({"query": "query($page: Int) { a(page: $page) { mail } }"}, r"fills .*\$page"),
            ({"query": "query($first: Int) { a(first: $first) { b } }"}, r"\$first: give it"),
        ],
    )
    def test_what_cannot_be_right_is_said_before_anything_is_sent(self, options, said):
        with pytest.raises(InvalidInput, match=said):
            DirectoryClient("http://127.0.0.1:1", options=Options(**options))

    def test_a_null_person_is_not_nobody(self, serve):
        server = serve(lambda _r: json_response(200, {"data": {"users": [None, PEOPLE[0]]}}))
        assert people_of(server, mapping=OFFSET_MAP)[0] == {
            "email": None,
            "displayName": None,
            "domain": None,
        }

    def test_a_mapping_that_finds_no_list(self, serve):
        server = serve(lambda _r: json_response(200, {"data": {"users": PEOPLE}}))
        with pytest.raises(MappingFailed, match="finds no list"):
            people_of(server, mapping="people[].{email: mail} | [0]")


NULL = "Cannot return null for non-nullable field User.email."


@pytest.mark.parametrize(
    ("status", "error", "kind", "said"),
    [
        (200, {"message": "no", "extensions": {"code": "UNAUTHENTICATED"}}, TokenRefused, "UNAUTH"),
        (401, {"message": "Unauthorized"}, TokenRefused, "HTTP 401: Unauthorized"),
        (200, {"message": "no", "extensions": {"code": "FORBIDDEN"}}, Forbidden, "may not list"),
        (
            200,
            {"message": "bad", "extensions": {"code": "invalid-jwt"}},
            TokenRefused,
            "invalid-jwt",
        ),
        (
            400,
            {
                "message": 'Cannot query field "domain" on type "User".',
                "extensions": {"code": "GRAPHQL_VALIDATION_FAILED"},
            },
            UnknownField,
            'Cannot query field "domain"',
        ),
        (403, {"message": "jwt malformed"}, TokenRefused, "HTTP 403: jwt malformed"),
        (200, {"message": "permission denied for table users"}, Forbidden, "may not list"),
        (200, {"message": NULL, "path": ["users", 4, "email"]}, NullField, "person number 5"),
        (200, {"message": "x", "extensions": {"code": "RATE_LIMITED"}}, RateLimited, "limits"),
        (429, {"message": "slow down"}, RateLimited, "slow down"),
        (500, {"message": "boom", "extensions": {"code": "E1"}}, QueryRefused, "E1: boom"),
    ],
)
def test_each_refusal_has_its_own_sentence(serve, status, error, kind, said):
    server = serve(lambda _r: json_response(status, {"errors": [error], "data": None}))
    with pytest.raises(kind) as caught:
        DirectoryClient(server.url).users()
    assert type(caught.value) is kind
    assert said in str(caught.value)


def test_a_refusal_keeps_the_servers_code_and_path(serve):
    error = {"message": "boom", "extensions": {"code": "E1"}, "path": ["users", 4]}
    server = serve(lambda _r: json_response(500, {"errors": [error]}))
    with pytest.raises(QueryRefused) as caught:
        DirectoryClient(server.url).users()
    assert (caught.value.code, caught.value.said, caught.value.path) == ("E1", "boom", ("users", 4))


class TestScim:
    def client(self, server, **options):
        return DirectoryClient(
            f"{server.http.base_url}/scim/v2", source="scim", options=Options(**options)
        )

    def test_pages_and_the_usual_mapping(self, serve):
        server = serve(scim)
        found = self.client(server, page_size=5).users()
        assert len(found) == 11  # one is not active
        assert found[0] == {"email": "u0@x.io", "displayName": "U 0", "domain": "Sales"}
        assert server.asked[0].path == "/scim/v2/Users"
        assert [request.query["startIndex"] for request in server.asked] == ["1", "5", "9", "12"]

    def test_a_list_that_ends_early_is_no_short_list(self, serve):
        server = serve(lambda _r: json_response(200, {"totalResults": 5, "Resources": []}))
        with pytest.raises(PartialAnswer, match="0 of 5"):
            self.client(server).users()

    @pytest.mark.parametrize(("status", "kind"), [(401, TokenRefused), (403, Forbidden)])
    def test_the_servers_own_words(self, serve, status, kind):
        server = serve(lambda _r: json_response(status, {"detail": "no such key"}))
        with pytest.raises(kind, match="no such key"):
            self.client(server).users()


class TestUpload:
    def people(self, content, mapping=""):
        options = Options(mapping=mapping)
        return DirectoryClient("", source="upload", options=options, upload=content).users()

    def test_csv_by_the_usual_names(self):
        content = "\ufeffE-Mail;Full Name;Department\na@x.io;Ann;Sales\n\nb@x.io;;\n".encode()
        assert self.people(content) == [
            {"email": "a@x.io", "displayName": "Ann", "domain": "Sales"},
            {"email": "b@x.io", "displayName": None, "domain": None},
        ]

    def test_json(self):
        assert self.people(b'{"users": [{"mail": "a@x.io", "name": "Ann"}]}') == [
            {"email": "a@x.io", "displayName": "Ann"}
        ]

    def test_json_whose_first_person_has_no_name(self):
        assert self.people(b'[{"mail": "a@x.io"}, {"mail": "b@x.io", "name": "Bo"}]') == [
            {"email": "a@x.io", "displayName": None},
            {"email": "b@x.io", "displayName": "Bo"},
        ]

    def test_the_same_mapping_reads_a_file(self):
        content = b"adresse,person\na@x.io,Ann\n"
        assert self.people(content, "[].{email: adresse, displayName: person}") == [
            {"email": "a@x.io", "displayName": "Ann"}
        ]

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"", "No file"),
            ("name,mail\nm\xfc,x".encode("latin-1"), "not UTF-8"),
            (b"mail,name\na@x.io,Ann,Sales\n", "Line 2"),
            (b"a,b\n1,2\n", "No column"),
            (b"\xef\xbb\xbf", "No column"),  # an empty sheet, saved as CSV UTF-8
            (b"mail,mail\n1,2\n", "twice"),
            (b"[{", "not JSON"),
        ],
    )
    def test_what_cannot_be_read_is_named(self, content, said):
        with pytest.raises(InvalidInput, match=said):
            self.people(content)
