"""One trust setting for every kind: real TLS servers with a company's own authority.

Each is asked three times: with the machine's authorities alone, with the environment's own, and
with verification off. The HTTP systems are a server that refuses everybody: past TLS that is said.
"""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backend.connections import alerts, environments, probing, resolve, service, tls
from backend.connections.schemas import EnvironmentView, TestResult
from backend.core import trust
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.core.errors import InvalidInput
from backend.core.trust import Trust
from tests.backend.connections import bad_server as bad
from tests.backend.connections.bad_server import BadServer
from tests.fixtures.certificates import Authority
from tests.fixtures.mariadb import MariaDBServer
from tests.fixtures.postgres import PostgresServer, TlsPostgresServer
from tests.fixtures.processes import ServerUnavailable, free_port, missing
from tests.fixtures.rabbitmq import RabbitMQServer
from tests.fixtures.servers import of_its_own

mariadb_server = of_its_own("mariadb_server")
rabbitmq_server = of_its_own("rabbitmq_server")
HOST = "127.0.0.1"
AUTHORITY = Authority()


@pytest.fixture(scope="module")
def postgres_server() -> Iterator[PostgresServer]:
    try:
        server = TlsPostgresServer.launch()
    except ServerUnavailable as exc:
        missing("PostgreSQL with TLS", str(exc))
    try:
        yield server
    finally:
        server.close()


TestOnce = Callable[..., TestResult]


@pytest.fixture
def once(database: Database, prod: EnvironmentView) -> TestOnce:
    """once(kind, settings, secrets, ca=…, verify=…) → what the test says."""

    def do(
        kind: str,
        settings: dict[str, str],
        secrets: dict[str, str] | None = None,
        *,
        ca: str = "",
        verify: bool = True,
    ) -> TestResult:
        with database.write() as session:
            environments.set_trust(session, SYSTEM, name=prod.name, ca=ca, verify=verify)
            service.save(
                session,
                SYSTEM,
                environment=prod.name,
                kind=kind,
                settings=settings,
                secrets_in=secrets or {},
            )
        with database.read() as session:
            config = resolve.connection(session, kind=kind)
        return probing.run(config, deadline=60)

    return do


def is_trusted(result: TestResult) -> bool:
    """Whether the environment trusts what was shown; the chain is shown either way."""
    assert result.tls is not None, result
    chain = result.tls["chain"]
    assert [item["issuer"] for item in chain] == ["Acme Test CA", "Acme Test CA"]
    assert chain[0]["names"] == [HOST]
    assert bool(result.tls["problem"]) != result.tls["trusted"]
    return bool(result.tls["trusted"])


@contextlib.contextmanager
def refusing(folder: Path) -> Iterator[BadServer]:
    with BadServer(AUTHORITY.issue(folder, HOST)) as server:
        server.behave = bad.answer("401 Unauthorized", '{"message": "no"}')
        yield server


WEB = {
    "datahub": lambda url: ({"server": url}, {"token": "t0ken-of-a-test"}),
    "openmetadata": lambda url: ({"host_port": f"{url}/api"}, {"jwt_token": "t0ken-of-a-test"}),
    "directory": lambda url: ({"endpoint": f"{url}/graphql"}, {"token": "t0ken-of-a-test"}),
    "aws": lambda url: (
        {"endpoint_url": url, "region": "eu-central-1", "access_key_id": "AKIATEST"},
        {"secret_access_key": "secret-of-a-test"},
    ),
    "databricks": lambda url: (
        {"jdbc_url": f"jdbc:databricks://{url.removeprefix('https://')};httpPath=/sql/x"},
        {"access_token": "t0ken-of-a-test"},
    ),
}


@pytest.mark.parametrize("kind", WEB)
def test_web_systems(
    kind: str, once: TestOnce, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere.pem"
    elsewhere.write_text(Authority("Another CA").pem)
    # requests would take this one in the place of what its session was told.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(elsewhere))
    with refusing(tmp_path) as server:
        settings, secrets = WEB[kind](server.url)
        refused = once(kind, settings, secrets)
        assert not is_trusted(refused)
        assert "certificate" in refused.cause, refused.cause
        for ca, verify in ((AUTHORITY.pem, True), ("", False)):
            passed = once(kind, settings, ca=ca, verify=verify)
            assert "certificate" not in passed.cause, passed.cause
            assert is_trusted(passed) is bool(ca)
            assert (tls.UNVERIFIED in passed.warnings) is not verify


@pytest.mark.slow
class TestRealServers:
    def test_postgres(
        self, once: TestOnce, postgres_server: PostgresServer, tmp_path: Path
    ) -> None:
        speak_tls_postgres(postgres_server, tmp_path)
        settings = {
            **{"host": HOST, "port": str(postgres_server.port), "database": "postgres"},
            **{"user": postgres_server.user, "sslmode": "verify-full"},
        }
        refused = once("postgres", settings, {"password": postgres_server.password})
        assert "certificate" in refused.cause
        assert not is_trusted(refused)
        self._pass(once, "postgres", settings)

    def test_ledger_on_postgres(
        self, once: TestOnce, postgres_server: PostgresServer, tmp_path: Path
    ) -> None:
        speak_tls_postgres(postgres_server, tmp_path)
        name = postgres_server.create_database()
        settings = {
            "url": f"postgresql://{postgres_server.user}@{HOST}:{postgres_server.port}/{name}"
            "?sslmode=verify-full"
        }
        refused = once("ledger", settings, {"password": postgres_server.password})
        assert "certificate" in refused.cause
        self._pass(once, "ledger", settings)

    def test_ledger_on_mariadb(
        self, once: TestOnce, mariadb_server: MariaDBServer, tmp_path: Path
    ) -> None:
        speak_tls_mariadb(mariadb_server)
        name = mariadb_server.create_database()
        settings = {
            "url": f"mysql://{mariadb_server.user}@{HOST}:{mariadb_server.port}/{name}"
            "?ssl_mode=verify_identity"
        }
        refused = once("ledger", settings, {"password": mariadb_server.password})
        assert "certificate" in refused.cause
        assert not is_trusted(refused)
        self._pass(once, "ledger", settings)

    def test_source_on_mariadb(
        self, once: TestOnce, mariadb_server: MariaDBServer, tmp_path: Path
    ) -> None:
        speak_tls_mariadb(mariadb_server)
        settings = {
            "host": HOST,
            "port": str(mariadb_server.port),
            "database": mariadb_server.create_database(),
            "user": mariadb_server.user,
            "ssl": "verify-full",
        }
        refused = once("mysql", settings, {"password": mariadb_server.password})
        assert "certificate" in refused.cause
        assert not is_trusted(refused)
        self._pass(once, "mysql", settings)

    def test_rabbitmq(
        self, once: TestOnce, rabbitmq_server: RabbitMQServer, tmp_path: Path
    ) -> None:
        port = speak_tls_rabbitmq(rabbitmq_server)
        settings = {"url": f"amqps://{rabbitmq_server.user}@{HOST}:{port}/"}
        refused = once("rabbitmq", settings, {"password": rabbitmq_server.password})
        assert "certificate" in refused.cause
        assert not is_trusted(refused)
        self._pass(once, "rabbitmq", settings)

    @staticmethod
    def _pass(once: TestOnce, kind: str, settings: dict[str, str]) -> None:
        good = once(kind, settings, ca=AUTHORITY.pem)
        assert (good.ok, good.cause) == (True, "")
        assert is_trusted(good)
        unchecked = once(kind, settings, verify=False)
        assert (unchecked.ok, unchecked.cause) == (True, "")
        assert tls.UNVERIFIED in unchecked.warnings


def speak_tls_postgres(server: PostgresServer, folder: Path) -> None:
    with contextlib.closing(server.connect("postgres")) as connection:
        cursor = connection.cursor()
        cursor.execute("SHOW data_directory")
        row = cursor.fetchone()
        assert row
        data = Path(row[0])
        for file, name in zip(
            AUTHORITY.issue(folder, HOST), ("server.crt", "server.key"), strict=True
        ):
            shutil.copyfile(file, data / name)
            (data / name).chmod(0o600)
            shutil.chown(data / name, data.owner())
        cursor.execute("ALTER SYSTEM SET ssl = on")
    server.restart()


def speak_tls_mariadb(server: MariaDBServer) -> None:
    assert server._folder
    certificate, key = AUTHORITY.issue(server._folder, HOST)
    server.stop()
    server.options = (f"--ssl-cert={certificate}", f"--ssl-key={key}")
    server.start()


def speak_tls_rabbitmq(server: RabbitMQServer) -> int:
    assert server._folder
    certificate, key = AUTHORITY.issue(server._folder, HOST)
    (server._folder / "ca.pem").write_text(AUTHORITY.pem)
    port = free_port()
    server.configure(
        f"listeners.ssl.local = {HOST}:{port}\n"
        f"ssl_options.cacertfile = {server._folder / 'ca.pem'}\n"
        f"ssl_options.certfile = {certificate}\nssl_options.keyfile = {key}\n"
        "ssl_options.verify = verify_none\nssl_options.fail_if_no_peer_cert = false\n"
    )
    server.restart()
    return port


class TestSetting:
    @pytest.mark.parametrize(
        ("pem", "says"),
        [
            ("-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----", "private key"),
            ("not a certificate", "cannot be read"),
            ("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----", "cannot be read"),
            ("x" * (trust.MAX_PEM + 1), "longer than"),
        ],
    )
    def test_what_is_no_authority_is_refused(
        self, database: Database, prod: EnvironmentView, pem: str, says: str
    ) -> None:
        with database.write() as session, pytest.raises(InvalidInput, match=says):
            environments.set_trust(session, SYSTEM, name=prod.name, ca=pem)

    def test_portal_wide_bundle(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file = tmp_path / "company.pem"
        file.write_text(AUTHORITY.pem)
        monkeypatch.setenv("PORTAL_CA_BUNDLE", str(file))
        trust.get_settings.cache_clear()
        try:
            assert AUTHORITY.pem in Path(Trust().bundle()).read_text()
            with refusing(tmp_path) as server:
                endpoint = tls.Endpoint(HOST, server.port)
                seen = tls.inspect(endpoint, Trust())
            assert seen
            assert seen.problem == ""
            file.write_text("nothing")
            with pytest.raises(InvalidInput, match="PORTAL_CA_BUNDLE"):
                Trust().context()
        finally:
            trust.get_settings.cache_clear()

    def test_a_bundle_that_was_tidied_away_comes_back(self) -> None:
        path = Path(Trust(AUTHORITY.pem).bundle())
        shutil.rmtree(path.parent)
        assert AUTHORITY.pem in Path(Trust(AUTHORITY.pem).bundle()).read_text()


def test_a_certificate_that_ends_soon_is_an_alert(
    database: Database, prod: EnvironmentView, once: TestOnce, tmp_path: Path
) -> None:
    from backend.connections import testing

    with BadServer(AUTHORITY.issue(tmp_path, HOST, days=20)) as server:
        server.behave = bad.answer("401 Unauthorized", "{}")
        once("datahub", {"server": server.url}, {"token": "t0ken-of-a-test"}, ca=AUTHORITY.pem)
        kept = testing.run(database, SYSTEM, environment=prod.name, kind="datahub")
    assert kept.tls
    assert tls.days_left(kept.tls) == 19
    with database.read() as session:
        texts = [item.text for item in alerts.alerts(session, SYSTEM)]
    assert any(f"The TLS certificate of {HOST} expires in 19 days" in text for text in texts), texts


def test_unverified_certificates_stay_an_alert(
    database: Database, prod: EnvironmentView, once: TestOnce, bad_server: BadServer
) -> None:
    bad_server.behave = bad.close
    once("datahub", {"server": bad_server.url}, verify=False)
    with database.read() as session:
        texts = [item.text for item in alerts.alerts(session, SYSTEM)]
    assert any("not verified in Prod" in text for text in texts), texts
