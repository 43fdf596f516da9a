"""The three styles of directory in the sandbox: connected, tried, suggested, planned, refused."""

import pytest

from backend.core.errors import UpstreamError
from backend.integrations.directory.client import DirectoryClient
from backend.integrations.directory.errors import NullField, TokenRefused, UnknownField
from backend.integrations.directory.graphql import presets
from backend.sandbox.directory import StandIn, seeding
from backend.sandbox.directory.styles import STYLES

STYLED = ["apollo", "relay", "hasura"]


def client(server, token="", **more):
    secrets = {"secret_headers": f"{server.style.header}: {token}"}
    if server.style.header == "authorization":
        secrets = {"token": token}
    settings = {"endpoint": server.url, **server.style.settings, **more}
    return DirectoryClient.of(settings, secrets, timeout=60)


@pytest.fixture(params=STYLED)
def server(request):
    def people():
        return [person for person in seeding.seed_many(120) if person["email"]]

    with StandIn(seed=people, token="sesame", style=request.param) as running:
        yield running


def test_everybody_is_read_as_from_the_plain_one(server):
    assert client(server, "sesame", page_size="50").users() == server.users


def test_a_sample_and_a_probe(server):
    assert client(server, "sesame").sample(10) == server.users[:10]
    assert client(server, "sesame").probe().users_seen > 0


@pytest.mark.parametrize("token", ["wrong", ""])
def test_a_wrong_token_or_none_is_refused(server, token):
    with pytest.raises(TokenRefused):
        client(server, token).users()


def test_a_suggested_query_reads_everybody(server):
    (preset,) = presets.of(client(server, "sesame"))
    asked = client(
        server, "sesame", query=preset.query, mapping=preset.mapping, paging=preset.paging
    )
    assert asked.users() == server.users


def test_a_field_that_went_away(server):
    query = server.style.settings["query"].replace("department", "division")
    with pytest.raises(UnknownField, match="division"):
        client(server, "sesame", query=query).users()


def test_a_page_that_fails_in_the_middle_is_no_short_list(server):
    server.refuse_after = 100
    with pytest.raises(UpstreamError):
        client(server, "sesame", page_size="50").users()


def test_one_person_without_a_promised_mail_is_named():
    with StandIn(seed=lambda: seeding.seed_many(9), style="apollo") as server:
        server.users[4]["email"] = None
        with pytest.raises(NullField, match="person number 5"):
            client(server).users()


def test_every_style_is_tested():
    assert set(STYLES) == {"plain", *STYLED}
