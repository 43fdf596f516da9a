"""Real directories: a SCIM 2.0 server (scim2-server, PyPI) and PostGraphile (npm) on PostgreSQL.

Each: 5,000 people in pages, tried, refused without a token and with a wrong one, a field that went
away, a person without a mail, a page that fails. What they need is installed once into a folder of
the user's cache.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from backend.core.database import Database
from backend.core.errors import UpstreamError, UpstreamUnavailable
from backend.integrations.directory.client import DirectoryClient
from backend.integrations.directory.errors import (
    Forbidden,
    NotGraphQL,
    NullField,
    TokenRefused,
    UnknownField,
)
from backend.integrations.directory.graphql import presets
from backend.user_sync.matching import refusal
from tests.backend.user_sync import journey
from tests.fixtures import processes
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.processes import Process, ServerUnavailable, missing
from tests.integration.test_directories import INSTALL_SECONDS, PEOPLE, cache

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

_BULK = 500
_ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
SECRET = "a secret of PostGraphile's tokens, long enough"


@dataclass
class Directory:
    """A running server, and how its connection is set."""

    process: Process
    settings: dict[str, str]
    token: str

    def client(self, token: str | None = None, **more: str) -> DirectoryClient:
        given = self.token if token is None else token
        return DirectoryClient.of({**self.settings, **more}, {"token": given}, timeout=60)


def department(number: int) -> str:
    return "Finance" if number % 2 else "Marketing"


class TestScim:
    @pytest.fixture(scope="class")
    def directory(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Directory]:
        try:
            found = self.start(tmp_path_factory.mktemp("scim") / "log", PEOPLE)
        except ServerUnavailable as exc:
            missing("scim2-server", str(exc))
        yield found
        found.process.stop()

    def start(self, log: Path, people: int) -> Directory:
        program = cache("scim2-server") / "bin" / "scim2-server"
        if not program.exists():
            venv = program.parents[1]
            processes.run([sys.executable, "-m", "venv", str(venv)], seconds=INSTALL_SECONDS)
            pip = [str(venv / "bin" / "pip"), "install", "-q", "scim2-server==0.8.*"]
            processes.run(pip, seconds=INSTALL_SECONDS)
        port = processes.free_port()
        command = [str(program), "--port", str(port), "--bearer-token", "sesame"]
        process = Process(command, log=log)
        process.wait_until(lambda: processes.listens("127.0.0.1", port))
        base = f"http://127.0.0.1:{port}/v2"
        for first in range(0, people, _BULK):
            self.fill(base, range(first, min(first + _BULK, people)))
        return Directory(process, {"endpoint": base, "source": "scim"}, "sesame")

    @staticmethod
    def fill(base: str, numbers: range) -> None:
        people = [
            {
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", _ENTERPRISE],
                "userName": f"user{n}" if n == 4 else f"user{n}@example.com",
                "displayName": f"User {n}",
                "active": n != 5,
                "emails": [] if n == 4 else [{"value": f"user{n}@example.com", "primary": True}],
                _ENTERPRISE: {"department": department(n)},
            }
            for n in numbers
        ]
        body = {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
            "Operations": [
                {"method": "POST", "path": "/Users", "bulkId": str(n), "data": person}
                for n, person in enumerate(people)
            ],
        }
        headers = {"Authorization": "Bearer sesame"}
        answer = httpx.post(f"{base}/Bulk", json=body, headers=headers, timeout=120)
        assert {done["status"] for done in answer.json()["Operations"]} == {"201"}, answer.text[
            :500
        ]

    @pytest.fixture(scope="class")
    def everybody(self, directory: Directory) -> list[dict[str, str]]:
        return directory.client(page_size="700").users()

    def test_everybody_in_pages_but_who_is_switched_off(
        self, everybody: list[dict[str, str]]
    ) -> None:
        people = {person["email"]: person for person in everybody}
        assert len(people) == PEOPLE - 1
        assert "user5@example.com" not in people
        assert people["user7@example.com"] == {
            "email": "user7@example.com",
            "displayName": "User 7",
            "domain": "Finance",
        }

    def test_a_person_without_a_mail_is_refused_alone(
        self, everybody: list[dict[str, str]]
    ) -> None:
        refused = [person for person in everybody if refusal(person)]
        assert [p["displayName"] for p in refused] == ["User 4"]
        assert refusal(refused[0]) == "the e-mail is no address"

    def test_a_stewards_way_from_the_first_try_to_the_revert(
        self, directory: Directory, database: Database, actors: Any
    ) -> None:
        secrets = {"token": directory.token}
        journey.walk_numbered(database, actors, directory.settings, secrets)

    def test_a_try_and_a_connection_test(self, directory: Directory) -> None:
        assert len(directory.client().sample(10)) == 10
        assert directory.client().probe().more

    @pytest.mark.parametrize("token", ["", "wrong", "Bearer wrong"])
    def test_a_wrong_token_or_none(self, directory: Directory, token: str) -> None:
        with pytest.raises(TokenRefused):
            directory.client(token).users()

    def test_an_address_that_is_none(self, directory: Directory) -> None:
        endpoint = directory.settings["endpoint"].replace("/v2", "/v3")
        with pytest.raises(NotGraphQL, match="no SCIM endpoint"):
            directory.client(endpoint=endpoint).users()

    def test_a_server_that_goes_away_between_two_pages_is_no_short_list(
        self, tmp_path: Path
    ) -> None:
        try:
            found = self.start(tmp_path / "log", 60)
        except ServerUnavailable as exc:
            missing("scim2-server", str(exc))
        pages = found.client(page_size="25")._open(60.0, 10_000_000).pages()
        assert next(pages).people
        found.process.stop()
        with pytest.raises(UpstreamUnavailable):
            list(pages)


_SCHEMA = """
CREATE TABLE users (id int PRIMARY KEY, mail text, name text, department text);
INSERT INTO users SELECT n, CASE WHEN n <> 4 THEN 'user' || n || '@example.com' END,
  'User ' || n, CASE n % 2 WHEN 1 THEN 'Finance' ELSE 'Marketing' END
  FROM generate_series(0, {last}) n;
CREATE VIEW promised AS SELECT id, mail, name FROM users;
COMMENT ON COLUMN promised.mail IS '@notNull';
CREATE VIEW faulty AS SELECT id, mail, name, (10 / (4000 - id))::text AS department FROM users;
CREATE ROLE reader_{name};
CREATE ROLE nobody_{name};
GRANT SELECT ON users, promised, faulty TO reader_{name};
"""
_PAGED = (
    "query($limit: Int, $offset: Int) { found: %s(first: $limit, offset: $offset, "
    "orderBy: NATURAL) { nodes { mail name department } } }"
)
_MAPPED = "found.nodes[].{email: mail, displayName: name, domain: department}"


class TestPostGraphile:
    @pytest.fixture(scope="class")
    def directory(
        self, tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer
    ) -> Iterator[Directory]:
        npm, node = shutil.which("npm"), shutil.which("node")
        if not npm or not node:
            missing("PostGraphile", "Node and npm are not installed")
        folder = cache("postgraphile-4")
        try:
            if not (folder / "node_modules" / ".bin" / "postgraphile").exists():
                wanted = ["install", "--no-audit", "--no-fund", "--silent", "postgraphile@4"]
                processes.run([npm, *wanted], cwd=folder, seconds=INSTALL_SECONDS)
        except ServerUnavailable as exc:
            missing("PostGraphile", str(exc))
        database = postgres_server.create_database()
        with closing(postgres_server.connect(database)) as connection:
            script = _SCHEMA.format(last=PEOPLE - 1, name=database)
            connection.cursor().execute(script)
        port = processes.free_port()
        source = postgres_server.url(database).replace("postgresql+psycopg2", "postgres")
        program = folder / "node_modules" / "postgraphile" / "cli.js"
        command = [node, str(program), "-c", source, "-s", "public", "-n", "127.0.0.1"]
        command += ["-p", str(port), "-e", SECRET, "-r", f"nobody_{database}", "-M"]
        process = Process(command, log=tmp_path_factory.mktemp("pg") / "log", env={**os.environ})
        process.wait_until(lambda: processes.listens("127.0.0.1", port))
        claims = {"role": f"reader_{database}", "aud": "postgraphile"}
        settings = {
            "endpoint": f"http://127.0.0.1:{port}/graphql",
            "query": _PAGED % "allUsers",
            "mapping": _MAPPED,
        }
        yield Directory(process, settings, jwt.encode(claims, SECRET))
        process.stop()
        postgres_server.drop_database(database)
        with closing(postgres_server.connect("postgres")) as connection:
            connection.cursor().execute(f"DROP ROLE reader_{database}, nobody_{database}")

    def test_everybody_in_pages(self, directory: Directory) -> None:
        people = directory.client(page_size="700").users()
        assert len(people) == PEOPLE
        assert people[1] == {
            "email": "user1@example.com",
            "displayName": "User 1",
            "domain": "Finance",
        }

    def test_a_stewards_way_from_the_first_try_to_the_revert(
        self, directory: Directory, database: Database, actors: Any
    ) -> None:
        secrets = {"token": directory.token}
        journey.walk_numbered(database, actors, directory.settings, secrets)

    def test_a_try_and_a_connection_test(self, directory: Directory) -> None:
        assert len(directory.client().sample(10)) == 10
        assert directory.client().probe().more

    def test_a_suggested_query_reads_everybody(self, directory: Directory) -> None:
        preset = next(p for p in presets.of(directory.client()) if p.label.startswith("allUsers"))
        asked = directory.client(
            query=preset.query, mapping=preset.mapping, paging=preset.paging, page_size="700"
        )
        assert {p["email"] for p in asked.users() if p["email"]} >= {"user1@example.com"}
        assert len(asked.users()) == PEOPLE

    def test_everybody_by_a_cursor_that_only_counts(self, directory: Directory) -> None:
        query = _PAGED.replace("$limit: Int, $offset: Int", "$first: Int, $after: Cursor")
        query = query.replace("first: $limit, offset: $offset", "first: $first, after: $after")
        query = query.replace("department }", "department } pageInfo { hasNextPage endCursor }")
        assert len(directory.client(query=query % "allUsers", page_size="700").users()) == PEOPLE

    def test_a_person_without_a_mail_is_refused_alone(self, directory: Directory) -> None:
        refused = [p for p in directory.client().users() if refusal(p)]
        assert [p["displayName"] for p in refused] == ["User 4"]

    def test_a_person_without_a_promised_mail_is_named(self, directory: Directory) -> None:
        query = "{ found: allPromiseds { nodes { mail name } } }"
        with pytest.raises(NullField, match="person number 5"):
            directory.client(query=query).users()

    def test_no_token(self, directory: Directory) -> None:
        with pytest.raises(Forbidden, match="permission denied"):
            directory.client("").users()

    @pytest.mark.parametrize("token", ["wrong", "Bearer wrong"])
    def test_a_wrong_token(self, directory: Directory, token: str) -> None:
        with pytest.raises(TokenRefused):
            directory.client(token).users()

    def test_a_field_that_went_away(self, directory: Directory) -> None:
        query = directory.settings["query"].replace("department", "division")
        with pytest.raises(UnknownField, match="division"):
            directory.client(query=query).users()

    def test_a_page_that_fails_in_the_middle_is_no_short_list(self, directory: Directory) -> None:
        with pytest.raises(UpstreamError, match="division by zero"):
            directory.client(query=_PAGED % "allFaulties", page_size="700").users()
