"""Real directories: Apollo Server 4 (npm) and Graphene with Relay (PyPI), made by the tests.

Each: connected, tried, suggested, planned from by 5,000 people in pages, refused without a token
and with a wrong one, a field that went away, a person without a promised mail, a page that fails.
What they need is installed once into a folder of the user's cache.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.core.errors import UpstreamError
from backend.integrations.directory.client import DirectoryClient
from backend.integrations.directory.errors import NullField, TokenRefused, UnknownField
from backend.integrations.directory.graphql import presets
from tests.backend.user_sync import journey
from tests.fixtures import processes
from tests.fixtures.processes import Process, ServerUnavailable, missing

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
PEOPLE = 5_000
INSTALL_SECONDS = 240
_MAPPED = "{email: mail, displayName: name, domain: department}"


def cache(name: str) -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = home / "steward-portal-tests" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def apollo(log: Path, *, fails: bool) -> tuple[Process, str]:
    npm, node = shutil.which("npm"), shutil.which("node")
    if not npm or not node:
        raise ServerUnavailable("Node and npm are not installed")
    folder = cache("apollo-4")
    if not (folder / "node_modules" / "@apollo").exists():
        wanted = ["@apollo/server@4", "graphql@16"]
        command = [npm, "install", "--no-audit", "--no-fund", "--silent", *wanted]
        processes.run(command, cwd=folder, seconds=INSTALL_SECONDS)
    shutil.copy(HERE / "directory_apollo.mjs", folder / "server.mjs")
    port = processes.free_port()
    env = {**os.environ, **({"FAILS": "1"} if fails else {})}
    process = Process([node, "server.mjs", str(port), str(PEOPLE)], log=log, env=env, folder=folder)
    process.wait_until(lambda: processes.listens("127.0.0.1", port))
    return process, f"http://127.0.0.1:{port}/"


def graphene(log: Path, *, fails: bool) -> tuple[Process, str]:
    folder = cache("graphene-3")
    if not (folder / "graphene").exists():
        command = [sys.executable, "-m", "pip", "install", "-q", "-t", str(folder), "graphene==3.*"]
        processes.run(command, seconds=INSTALL_SECONDS)
    port = processes.free_port()
    env = {**os.environ, "PYTHONPATH": str(folder), **({"FAILS": "1"} if fails else {})}
    script = str(HERE / "directory_graphene.py")
    process = Process([sys.executable, script, str(port), str(PEOPLE)], log=log, env=env)
    process.wait_until(lambda: processes.listens("127.0.0.1", port))
    return process, f"http://127.0.0.1:{port}/graphql/"


#: name → (how it is started, what the connection says)
SERVERS = {
    "apollo": (
        apollo,
        {
            "query": "query($limit: Int, $offset: Int) { users(limit: $limit, offset: $offset) "
            "{ mail name department } }",
            "mapping": f"users[].{_MAPPED}",
        },
    ),
    "graphene": (
        graphene,
        {
            "query": "query($first: Int, $after: String) { users(first: $first, after: $after) "
            "{ edges { node { mail name department } } pageInfo { hasNextPage endCursor } } }",
            "mapping": f"users.edges[].node.{_MAPPED}",
        },
    ),
}


class Directory:
    """One running server and how it is asked."""

    def __init__(self, name: str, log: Path, *, fails: bool = False) -> None:
        start, self.settings = SERVERS[name]
        try:
            self.process, self.url = start(log, fails=fails)
        except ServerUnavailable as exc:
            missing(name, str(exc))

    def client(self, token: str = "sesame", **more: str) -> DirectoryClient:
        settings = {"endpoint": self.url, **self.settings, **more}
        return DirectoryClient.of(settings, {"token": token}, timeout=60)


@pytest.fixture(scope="module", params=sorted(SERVERS))
def real(request, tmp_path_factory) -> Iterator[Directory]:
    found = Directory(request.param, tmp_path_factory.mktemp(request.param) / "log")
    yield found
    found.process.stop()


def test_5000_people_in_pages(real):
    people = real.client(page_size="700").users()
    assert len(people) == PEOPLE
    assert people[1] == {
        "email": "user1@example.com",
        "displayName": "User 1",
        "domain": "Finance",
    }


def test_a_stewards_way_from_the_first_try_to_the_revert(real, database, actors):
    settings = {"endpoint": real.url, **real.settings}
    journey.walk_numbered(database, actors, settings, {"token": "sesame"})


def test_a_try_and_a_connection_test(real):
    assert len(real.client().sample(10)) == 10
    assert real.client().probe().more


def test_a_suggested_query_reads_everybody(real):
    preset = next(p for p in presets.of(real.client()) if p.label.startswith("users"))
    asked = real.client(query=preset.query, mapping=preset.mapping, paging=preset.paging)
    assert len(asked.users()) == PEOPLE


@pytest.mark.parametrize("token", ["", "wrong", "Bearer wrong"])
def test_a_wrong_token_or_none(real, token):
    with pytest.raises(TokenRefused):
        real.client(token).users()


def test_a_pasted_word_is_understood(real):
    assert real.client("Bearer sesame").sample(1)


def test_a_field_that_went_away(real):
    query = real.settings["query"].replace("department", "division")
    with pytest.raises(UnknownField, match="division"):
        real.client(query=query).users()


def test_a_person_without_a_promised_mail_is_named(real):
    with pytest.raises(NullField, match="person number 5"):
        real.client(query="{ broken { mail } }", mapping="broken[].{email: mail}").users()


@pytest.mark.parametrize("name", sorted(SERVERS))
def test_a_page_that_fails_in_the_middle_is_no_short_list(name, tmp_path):
    server = Directory(name, tmp_path / "log", fails=True)
    try:
        with pytest.raises(UpstreamError, match="the source went away"):
            server.client(page_size="700").users()
    finally:
        server.process.stop()
