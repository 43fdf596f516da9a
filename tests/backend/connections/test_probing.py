"""Bad days: every way a server can be wrong ends in time, as a failed result with advice."""

import base64
import json
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from backend.connections import probing, testing
from backend.connections.schemas import ConnectionConfig, TestResult
from backend.core import clock
from backend.core.access import SYSTEM
from backend.core.database import Database
from tests.backend.connections import bad_server as bad
from tests.backend.connections.bad_server import BadServer
from tests.backend.connections.conftest import Save
from tests.fixtures.certificates import self_signed

SECRET = "planted-s3cret/with+signs"

#: kind -> settings for a server at host and port, and the secret's field.
HTTP_KINDS: dict[str, tuple[Callable[[str], dict[str, str]], str]] = {
    "datahub": (lambda url: {"server": url}, "token"),
    "openmetadata": (lambda url: {"host_port": f"{url}/api"}, "jwt_token"),
    "directory": (lambda url: {"endpoint": f"{url}/graphql"}, "token"),
}
SOCKET_KINDS: dict[str, Callable[[int], dict[str, str]]] = {
    "ledger": lambda port: {"url": f"mysql+pymysql://u@127.0.0.1:{port}/dms"},
    "rabbitmq": lambda port: {"url": f"amqp://u:p@127.0.0.1:{port}/"},
    "postgres": lambda port: {
        "host": "127.0.0.1",
        "port": str(port),
        "database": "d",
        "user": "u",
    },
}
#: The addresses that cannot be reached, per kind, with a host name to put in.
ANY_HOST: dict[str, Callable[[str], dict[str, str]]] = {
    **{
        kind: (lambda host, make=make: make(f"http://{host}:81"))
        for kind, (make, _) in HTTP_KINDS.items()
    },
    "ledger": lambda host: {"url": f"mysql+pymysql://u@{host}/dms"},
    "rabbitmq": lambda host: {"url": f"amqp://u:p@{host}/"},
    "postgres": lambda host: {"host": host, "database": "d", "user": "u"},
}


def probe(config: ConnectionConfig, deadline: float = 60.0) -> TestResult:
    """Run it and check what holds for every failed test. Only who never answers is waited for in
    full.
    """
    result = probing.run(config, deadline=deadline)
    assert not result.ok
    assert result.cause
    assert result.cause.endswith(".")
    assert result.advice
    assert SECRET not in str(result)
    return result


def jwt(**claims: object) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'none'})}.{part(claims)}.c2ln"


@pytest.mark.parametrize("kind", HTTP_KINDS)
class TestHttpServers:
    def config(self, save: Save, kind: str, url: str) -> ConnectionConfig:
        make, secret = HTTP_KINDS[kind]
        return save(kind, make(url), {secret: SECRET})

    @pytest.mark.parametrize("behaviour", [bad.silent, bad.drip])
    def test_one_that_never_ends_its_answer_is_left(
        self, save: Save, bad_server: BadServer, kind: str, behaviour: bad.Behaviour
    ) -> None:
        bad_server.behave = behaviour
        probe(self.config(save, kind, bad_server.url), deadline=3.0)
        assert bad_server.connections

    def test_one_that_hangs_up(self, save: Save, bad_server: BadServer, kind: str) -> None:
        bad_server.behave = bad.close
        probe(self.config(save, kind, bad_server.url))

    def test_html_is_recognised_as_a_wrong_address(
        self, save: Save, bad_server: BadServer, kind: str
    ) -> None:
        bad_server.behave = bad.html
        result = probe(self.config(save, kind, bad_server.url))
        assert "address" in (result.cause + result.advice).lower()
        assert "<" not in result.cause

    @pytest.mark.parametrize(
        ("status", "word"), [("401 Unauthorized", "token"), ("403 Forbidden", "token")]
    )
    def test_a_refused_token_is_said(
        self, save: Save, bad_server: BadServer, kind: str, status: str, word: str
    ) -> None:
        bad_server.behave = bad.answer(status, '{"message": "no"}')
        result = probe(self.config(save, kind, bad_server.url))
        assert word in (result.cause + result.advice).lower()

    def test_an_expired_token_is_said_with_its_day(
        self, save: Save, bad_server: BadServer, kind: str
    ) -> None:
        bad_server.behave = bad.answer("401 Unauthorized", '{"message": "expired"}')
        make, secret = HTTP_KINDS[kind]
        ended = clock.now() - timedelta(days=2)
        config = save(kind, make(bad_server.url), {secret: jwt(exp=ended.timestamp())})
        result = probe(config)
        assert "expired" in result.cause
        assert f"{ended:%Y-%m-%d}" in result.cause

    @pytest.mark.parametrize("status", ["500 Internal Server Error", "503 Service Unavailable"])
    def test_a_failing_server_is_said_with_its_status(
        self, save: Save, bad_server: BadServer, kind: str, status: str
    ) -> None:
        bad_server.behave = bad.answer(status, "{}")
        assert status[:3] in probe(self.config(save, kind, bad_server.url)).cause

    def test_json_of_another_shape_is_not_a_success(
        self, save: Save, bad_server: BadServer, kind: str
    ) -> None:
        bad_server.behave = bad.answer("200 OK", "[1, 2]")
        probe(self.config(save, kind, bad_server.url))

    def test_a_redirect_is_refused_and_not_followed(
        self, save: Save, bad_server: BadServer, kind: str
    ) -> None:
        with BadServer() as target:
            target.behave = bad.answer("200 OK", "{}")
            bad_server.behave = bad.answer("302 Found", "", f"Location: {target.url}/x")
            result = probe(self.config(save, kind, bad_server.url))
            assert "redirect" in result.cause.lower()
            assert target.connections == 0

    def test_a_self_signed_certificate_is_not_trusted(
        self, save: Save, tmp_path: Path, kind: str
    ) -> None:
        with BadServer(self_signed(tmp_path, "127.0.0.1")) as server:
            server.behave = bad.answer("200 OK", "{}")
            result = probe(self.config(save, kind, server.url))
        assert "certificate" in result.cause
        assert "trusted" in result.cause

    def test_https_on_a_plain_port_is_said(
        self, save: Save, bad_server: BadServer, kind: str
    ) -> None:
        bad_server.behave = bad.answer("400 Bad Request", "{}")
        url = bad_server.url.replace("http://", "https://")
        assert "TLS" in probe(self.config(save, kind, url)).cause


@pytest.mark.parametrize("kind", SOCKET_KINDS)
class TestOtherServers:
    def test_one_that_accepts_and_never_answers_is_left(
        self, save: Save, bad_server: BadServer, kind: str
    ) -> None:
        config = save(kind, SOCKET_KINDS[kind](bad_server.port), {"password": SECRET})
        result = probe(config, deadline=3.0)
        assert bad_server.connections
        assert "in time" in result.cause or "within" in result.cause

    def test_a_web_server_on_that_port_is_not_a_success(
        self, save: Save, bad_server: BadServer, kind: str
    ) -> None:
        bad_server.behave = bad.html
        config = save(kind, SOCKET_KINDS[kind](bad_server.port), {"password": SECRET})
        probe(config)


class TestUnreachable:
    @pytest.mark.parametrize("kind", ANY_HOST)
    def test_an_unknown_host_name_is_said_as_dns(self, save: Save, kind: str) -> None:
        result = probe(save(kind, ANY_HOST[kind]("no-such-host.invalid")))
        assert "DNS" in result.cause or "unknown" in result.cause

    @pytest.mark.parametrize("kind", [*HTTP_KINDS, *SOCKET_KINDS])
    def test_a_closed_port_is_said(self, save: Save, kind: str) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))  # kept, so that nobody else comes to listen on it
            port = unused.getsockname()[1]
            if kind in HTTP_KINDS:
                settings = HTTP_KINDS[kind][0](f"http://127.0.0.1:{port}")
            else:
                settings = SOCKET_KINDS[kind](port)
            assert "othing listens" in probe(save(kind, settings)).cause


class TestMetadataAddress:
    def test_a_name_that_leads_there_is_refused_before_anything_is_sent(
        self, save: Save, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        config = save("datahub", {"server": "http://innocent.example:80"})
        real = socket.getaddrinfo

        def lookup(host: str, *arguments: object, **options: object) -> object:
            if host == "innocent.example":
                return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", 0))]
            return real(host, *arguments, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(socket, "getaddrinfo", lookup)
        assert "metadata" in probe(config).cause


class TestJwt:
    @pytest.mark.parametrize(("days", "warned"), [(3, True), (13, True), (15, False), (400, False)])
    def test_expiry_is_warned_about_fourteen_days_ahead(
        self, save: Save, days: int, warned: bool
    ) -> None:
        ends = clock.now() + timedelta(days=days, hours=1)
        config = save("tokenization", None, None)
        config = ConnectionConfig(
            config.environment,
            "tokenization",
            config.settings,
            {"key": base64.b64encode(b"k" * 32).decode(), "token": jwt(exp=ends.timestamp())},
            1,
        )
        result = probing.run(config)
        assert result.ok
        assert bool(result.warnings) is warned
        if warned:
            assert f"{days} days" in result.warnings[0]

    @pytest.mark.parametrize("token", ["", "a.b.c", "no-jwt", "a.!!!.c", "..", jwt(exp="never")])
    def test_what_is_no_jwt_is_left_alone(self, token: str) -> None:
        from backend.connections import jwt as reader

        assert reader.expiry(token) is None


class TestUnexpected:
    def test_a_bug_in_a_probe_shows_a_reference_and_nothing_of_its_text(
        self, save: Save, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from backend.connections.probes import tokenization

        def broken(*_: object, **__: object) -> None:
            raise RuntimeError(f"the value was {SECRET}")

        monkeypatch.setattr(tokenization, "probe", broken)
        assert "reference" in probe(save("tokenization")).cause

    def test_a_secret_that_an_adapter_quotes_is_blanked_in_every_spelling(
        self, save: Save, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from urllib.parse import quote, quote_plus

        from backend.connections.probes import tokenization
        from backend.core.errors import UpstreamError

        config = save("tokenization", None, None)
        config = ConnectionConfig(
            config.environment, "tokenization", config.settings, {"key": SECRET}, 1
        )

        def quoting(*_: object, **__: object) -> None:
            said = f"refused {SECRET} {quote(SECRET, safe='')} {quote_plus(SECRET)}"
            raise UpstreamError("X", said, f"Not {SECRET}")

        monkeypatch.setattr(tokenization, "probe", quoting)
        result = probe(config)
        assert "s3cret" not in str(result)

    def test_too_many_hanging_probes_are_refused(
        self, save: Save, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import threading

        from backend.core.errors import TooManyAttempts

        monkeypatch.setattr(probing, "_running", threading.BoundedSemaphore(1))
        probing._running.acquire()
        with pytest.raises(TooManyAttempts):
            probing.run(save("tokenization"))


class TestMissingPassword:
    def test_a_rabbitmq_user_without_one_is_said(self, save: Save) -> None:
        assert "no password" in probe(save("rabbitmq")).cause


class TestAws:
    def test_a_region_that_does_not_exist_is_said(self, save: Save) -> None:
        config = save(
            "aws",
            {"region": "eu-nowhere-7", "access_key_id": "AKIAPLANTED"},
            {"secret_access_key": SECRET},
        )
        assert "eu-nowhere-7" in probe(config).cause


def test_a_wrong_tokenization_key_is_said(save: Save, database: Database) -> None:
    config = save("tokenization")
    broken = ConnectionConfig(config.environment, "tokenization", config.settings, {"key": "x"}, 1)
    assert "32 bytes" in probe(broken).cause
    assert testing.run(database, SYSTEM, environment=None, kind="tokenization").ok


class TestItsOwnThread:
    @pytest.fixture
    def config(self, save: Save) -> ConnectionConfig:
        """Of a server that nobody reaches, which is known at once."""
        return save("directory", {"endpoint": "http://127.0.0.1:9/graphql"})

    def test_an_answer_of_the_last_moment_is_the_answer(
        self, config: ConnectionConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As on a machine that stood still: the wait is over, and the answer is there."""

        class Late(Future[Any]):
            def result(self, timeout: float | None = None) -> Any:
                found = super().result(60)
                if timeout is not None:
                    raise TimeoutError
                return found

        monkeypatch.setattr(probing, "Future", Late)
        assert "refused" in probing.run(config).cause

    def test_one_that_cannot_be_started_keeps_no_place(
        self, config: ConnectionConfig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def start(_thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        for _ in range(probing.MAX_RUNNING):
            with monkeypatch.context() as patched, pytest.raises(RuntimeError, match="start new"):
                patched.setattr(threading.Thread, "start", start)
                probing.run(config)
        assert not probing.run(config).ok
