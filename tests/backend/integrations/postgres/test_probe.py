"""The connection test of a source PostgreSQL, and its errors as sentences."""

import contextlib
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from backend.core.errors import InvalidInput, PortalError, UpstreamTimeout, UpstreamUnavailable
from backend.integrations.postgres.errors import SourceRefused
from backend.integrations.postgres.probe import Probe, probe
from tests.backend.tokenization.world import Source


@pytest.fixture
def source(postgres_url: str) -> Source:
    return Source(postgres_url)


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that accepts connections and never says a word."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield listener.getsockname()[1]


def ask(
    source: Source, *, password: str | None = None, timeout: float = 60.0, **more: str
) -> Probe:
    secrets = source.secrets if password is None else {"password": password}
    return probe({**source.settings, **more}, secrets, timeout=timeout)


class TestProbe:
    def test_all_is_well(self, source: Source) -> None:
        source.run("CREATE TABLE t (a text)")

        found = ask(source)

        assert (found.cause, found.advice) == ("", "")
        assert found.server_version[:2].isdigit()

    def test_rights_that_a_run_needs(self, source: Source) -> None:
        source.run(
            "CREATE TABLE t (a text)",
            "DROP ROLE IF EXISTS looker",
            f"CREATE ROLE looker LOGIN PASSWORD '{source.secrets['password']}'",
        )
        try:
            nothing = ask(source, user="looker")
            source.run("GRANT SELECT, UPDATE ON t TO looker")
            enough = ask(source, user="looker")
            source.run(f'REVOKE TEMP ON DATABASE "{source.database}" FROM PUBLIC')
            no_temp = ask(source, user="looker")
        finally:
            source.run("REVOKE ALL ON t FROM looker", "DROP ROLE looker")

        assert "has SELECT and UPDATE on no table" in nothing.cause
        assert enough.cause == ""
        assert "may not make temporary tables" in no_temp.cause

    @pytest.mark.parametrize(
        ("more", "kind", "words"),
        [
            ({"port": "1"}, UpstreamUnavailable, "nothing listens at that host and port"),
            ({"host": "no.such.host.invalid"}, UpstreamUnavailable, "is not known (DNS)"),
            ({"database": "nowhere"}, SourceRefused, "does not exist on the server"),
            ({"user": "nobody-here"}, SourceRefused, "password was refused"),
            ({"sslmode": "require"}, SourceRefused, "the server has no TLS"),
            ({"host": "/no/such/folder"}, UpstreamUnavailable, "no server at that socket folder"),
            ({"database": ""}, InvalidInput, "lacks database"),
            ({"port": "many"}, InvalidInput, "is not a number"),
            ({"sslmode": "maybe"}, InvalidInput, "is none of"),
        ],
    )
    def test_each_failure_is_a_sentence_with_advice(
        self, source: Source, more: dict[str, str], kind: type[PortalError], words: str
    ) -> None:
        with pytest.raises(kind) as failed:
            ask(source, **more)

        assert words in failed.value.message
        assert source.secrets["password"] not in failed.value.message

    def test_a_wrong_password(self, source: Source) -> None:
        with pytest.raises(SourceRefused, match="password was refused") as failed:
            ask(source, password="planted-secret")
        assert "planted-secret" not in failed.value.message

    def test_a_server_that_says_nothing_is_given_up_in_time(
        self, source: Source, silent: int
    ) -> None:
        with pytest.raises(UpstreamTimeout, match="did not answer in time"):
            ask(source, timeout=4.0, port=str(silent))


@pytest.fixture
def pooler(source: Source) -> Iterator[dict[str, str]]:
    """What a pooler in statement mode does: it lets the login in, and then hangs up."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

        def serve() -> None:
            client, _ = listener.accept()
            server = socket.create_connection(
                (source.settings["host"], int(source.settings["port"]))
            )
            with client, server:
                while True:
                    ready, _, _ = select.select([client, server], [], [])
                    data = ready[0].recv(65_536)
                    if not data or (ready[0] is client and data.startswith(b"Q")):
                        return
                    (server if ready[0] is client else client).sendall(data)

        thread = threading.Thread(target=serve)
        thread.start()
        stack.callback(thread.join)
        yield {**source.settings, "port": str(listener.getsockname()[1]), "sslmode": "disable"}


def test_a_pooler_that_takes_no_transactions_is_named(
    source: Source, pooler: dict[str, str]
) -> None:
    with pytest.raises(UpstreamUnavailable, match="A pooler does that in statement mode"):
        probe(pooler, source.secrets)
