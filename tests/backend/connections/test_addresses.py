"""Typed addresses: the guard sees the hosts that the driver will use, and nothing gets a file."""

import dataclasses
import socket
from pathlib import Path
from typing import Any

import psycopg2
import pymysql
import pytest

from backend.connections import addresses, environments, guard, kinds, resolve, service, testing
from backend.connections.errors import SecretsAskedAgain
from backend.connections.fields import Field
from backend.connections.schemas import EnvironmentView
from backend.core import resolving
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.core.errors import InvalidInput
from backend.dms import brokers
from backend.dms.errors import DatabaseException
from backend.dms.ledger import Ledger
from backend.models import Connection, ConnectionSecret
from tests.backend.connections.conftest import VALID, Save
from tests.fixtures.rogue_mysql import RogueMySQL

SECRET = "planted-s3cret"


class TestRogueServer:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        path = tmp_path / "secret.key"
        path.write_text(SECRET)
        return path

    def test_the_stand_in_gets_a_file_from_a_client_that_allows_it(self, file: Path) -> None:
        with RogueMySQL(str(file)) as rogue:
            client = pymysql.connect(
                host="127.0.0.1", port=rogue.port, user="u", local_infile=True, read_timeout=60
            )
            with pytest.raises(pymysql.err.Error):
                client.query("SELECT 1")
            assert SECRET.encode() in rogue.received

    def test_the_ledger_sends_none_whatever_its_url_says(self, file: Path) -> None:
        with RogueMySQL(str(file)) as rogue:
            url = f"mysql+pymysql://u:p@127.0.0.1:{rogue.port}/dms?local_infile=1"
            with pytest.raises((DatabaseException, RuntimeError)):
                Ledger(url)
            assert rogue.asked
            assert SECRET.encode() not in rogue.received

    def test_a_test_of_a_saved_connection_sends_none(
        self, database: Database, save: Save, file: Path
    ) -> None:
        with RogueMySQL(str(file)) as rogue:
            save("ledger", {"url": f"mysql://u@127.0.0.1:{rogue.port}/dms"}, {"password": "p"})
            found = testing.run(database, SYSTEM, environment=None, kind="ledger")
            assert not found.ok
            assert rogue.asked
            assert SECRET.encode() not in rogue.received

    def test_a_url_from_before_options_were_refused_is_not_used(
        self, database: Database, save: Save, prod: EnvironmentView, file: Path
    ) -> None:
        with RogueMySQL(str(file)) as rogue:
            save("ledger", {"url": f"mysql://u@127.0.0.1:{rogue.port}/dms"})
            with database.write() as session:
                row = session.query(Connection).filter_by(kind="ledger").one()
                row.settings = {"url": row.settings["url"] + "?local_infile=1"}
            found = testing.run(database, SYSTEM, environment=None, kind="ledger")
            assert "local_infile" in found.cause
            assert not rogue.asked


@pytest.mark.parametrize(
    ("kind", "settings", "says"),
    [
        ("ledger", {"url": "mysql://u@127.0.0.1:3306/dms?local_infile=1"}, "local_infile"),
        ("ledger", {"url": "mysql://u@db.example/dms?host=127.0.0.77"}, "option host"),
        ("ledger", {"url": "mysql://u@db/dms?read_default_file=/etc/my.cnf"}, "read_default_file"),
        ("ledger", {"url": "mysql://u@db/dms?unix_socket=/run/mysqld.sock"}, "unix_socket"),
        ("ledger", {"url": "mysql+mysqldb://u@db/dms"}, "must start with"),
        ("ledger", {"url": "mysql:///dms"}, "no host"),
        ("ledger", {"url": "sqlite:////tmp/anything.db"}, "only the sandbox"),
        ("ledger", {"url": "SQLite:////tmp/anything.db"}, "only the sandbox"),
        ("ledger", {"url": "postgresql://u@db/dms?service=prod"}, "service"),
        ("ledger", {"url": "postgresql://u@db/dms?host=a&host=b"}, "option host"),
        ("ledger", {"url": "postgresql://u@db/dms?passfile=/etc/passwd"}, "passfile"),
        ("ledger", {"url": "postgresql://u@db/dms?options=-c%20x"}, "option options"),
        ("rabbitmq", {"url": "amqp://u@mq/?ssl_options={'cafile':'/etc/passwd'}"}, "ssl_options"),
        ("rabbitmq", {"url": "amqp://u@mq/?backpressure_detection=t"}, "backpressure"),
        ("rabbitmq", {"url": "amqp://u@mq,169.254.169.254/"}, "metadata"),
        ("rabbitmq", {"url": "amqp://u@mq/,rabbit://u@169.254.169.254/"}, "metadata"),
        ("rabbitmq", {"url": "amqp://u:one@mq,u:two@mq2/"}, "several passwords"),
        ("rabbitmq", {"url": "amqp://u@mq/?ssl_ca_file=/ca.pem"}, "TLS files without TLS"),
        ("rabbitmq", {"url": "http://mq/"}, "must start with amqp"),
        ("rabbitmq", {"url": "amqp://u@mq:port/"}, "port is no number"),
        ("postgres", {"host": "db host=127.0.0.77"}, "not a host name"),
        ("postgres", {"host": "a,169.254.169.254"}, "not a host name"),
        ("databricks", {"jdbc_url": "jdbc:databricks://h:443;httpPath=/x;LogPath=/etc"}, "logpath"),
        ("databricks", {"jdbc_url": "jdbc:mysql://h/x?allowLoadLocalInfile=true"}, "must look"),
        ("datahub", {"server": "http://169.254.169.254%2f@db:80"}, "user or password"),
        ("datahub", {"server": "http://db\\@169.254.169.254"}, "user or password"),
        ("datahub", {"server": "http://%31%36%39.254.169.254"}, "not a host name"),
        ("datahub", {"server": "http://db:8080?x=1"}, "must not hold ? or #"),
        ("openmetadata", {"host_port": "http://om:8585/signin#/api"}, "must not hold ? or #"),
        ("ledger", {"url": f"mysql://u@{'a' * 64}.example/dms"}, "longer than 63"),
        ("rabbitmq", {"url": "amqp://u@mq..example/"}, "empty"),
        ("directory", {"endpoint": "http://xn--a/graphql"}, "no text"),
    ],
)
def test_what_a_driver_would_take_for_something_else_is_refused(
    database: Database, prod: EnvironmentView, kind: str, settings: dict[str, str], says: str
) -> None:
    with database.write() as session, pytest.raises(InvalidInput) as refused:
        full = {**VALID[kind], **settings}
        service.save(session, SYSTEM, environment=prod.name, kind=kind, settings=full)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("directory", {"endpoint": "http://xn--ls8h.invalid/graphql"}),
        ("openmetadata", {"host_port": "http://xn--ls8h.invalid/api"}),
        ("datahub", {"server": "http://xn--ls8h.invalid"}),
    ],
)
def test_a_host_that_one_library_reads_and_another_does_not_is_a_sentence(
    database: Database, prod: EnvironmentView, kind: str, settings: dict[str, str]
) -> None:
    with database.write() as session:
        full = {**VALID[kind], **settings}
        service.save(session, SYSTEM, environment=prod.name, kind=kind, settings=full)
    found = testing.run(database, SYSTEM, environment=None, kind=kind)
    assert not found.ok
    assert "unexpected" not in found.cause


@pytest.mark.parametrize(
    "host",
    [
        "[64:ff9b::a9fe:a9fe]",
        "[64:ff9b:1::a9fe:a9fe]",
        "[::ffff:169.254.169.254]",
        "[::a9fe:a9fe]",
        "[2002:a9fe:a9fe::1]",
        "[fd00:ec2::254]",
        "[fd20:ce::254]",
        "[fd00:ec2::23]",
        "[fd00:c1::a9fe:a9fe]",
        "[fd00:42::42]",
        "[::ffff:0:169.254.169.254]",
        "[2001:db8::5efe:a9fe:a9fe]",
        "[64:ff9b:1:a9fe:a9:fe00::]",
        "192.0.0.192",
        "168.63.129.16",
        "2852039166",
        "0xa9fea9fe",
        "metadata.google.internal.",
    ],
)
@pytest.mark.parametrize(
    ("kind", "setting", "form"),
    [
        ("datahub", "server", "http://{}:8080"),
        ("ledger", "url", "mysql://u@{}:3306/dms"),
        ("rabbitmq", "url", "amqp://u@{}/"),
        ("postgres", "host", "{}"),
    ],
)
def test_no_spelling_of_a_metadata_address_is_saved(
    database: Database, prod: EnvironmentView, kind: str, setting: str, form: str, host: str
) -> None:
    with database.write() as session, pytest.raises(InvalidInput, match="cloud metadata address"):
        service.save(
            session,
            SYSTEM,
            environment=prod.name,
            kind=kind,
            settings={**VALID[kind], setting: form.format(host)},
        )


def test_the_sandbox_may_use_a_file(database: Database, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/l.sqlite"
    with database.write() as session:
        environments.add(session, SYSTEM, name="Box", is_sandbox=True)
        service.save(session, SYSTEM, environment="Box", kind="ledger", settings={"url": url})
    with database.read() as session:
        found = resolve.connection(session, environment="Box", kind="ledger")
        assert resolve.url(found) == url


def test_a_broker_user_without_a_password_is_a_sentence() -> None:
    with pytest.raises(ValueError, match="names the user u and no password is stored"):
        brokers.read("amqp://u@127.0.0.1:9/")


def test_libpq_takes_a_database_name_for_nothing_else() -> None:
    """The one text field of the postgres kind that has no form of its own."""
    with pytest.raises(psycopg2.OperationalError, match=r"127\.0\.0\.1"):
        psycopg2.connect(host="127.0.0.1", port=1, dbname="host=127.0.0.77 dbname=x", user="u")


class TestRebinding:
    """A name that answers differently the second time."""

    @pytest.fixture
    def answers(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        given = ["127.0.0.1"]
        real = resolving._system

        def lookup(host: str, *args: object, **more: Any) -> list[Any]:
            if more.get("flags"):
                return real(host, *args, **more)  # as for saving: no question to DNS
            found = given.pop(0) if host == "rebind.example" and given else host
            return real("169.254.169.254" if found == "rebind.example" else found, *args, **more)

        monkeypatch.setattr(resolving, "_system", lookup)
        return given

    def test_the_second_answer_does_not_count(self, save: Save, answers: list[str]) -> None:
        config = save("datahub", {"server": "http://rebind.example:1"})
        with guard.checked(config):
            assert not answers
            again = socket.getaddrinfo("REBIND.example", 1, type=socket.SOCK_STREAM)
            assert {item[4][0] for item in again} == {"127.0.0.1"}
            assert list(resolving.addresses_of("rebind.example")) == ["127.0.0.1"]

    def test_a_redirect_to_another_name_is_looked_at(self, save: Save) -> None:
        config = save("datahub", {"server": "http://127.0.0.1:1"})
        with guard.checked(config), pytest.raises(InvalidInput, match="cloud metadata address"):
            socket.create_connection(("169.254.169.254", 80), timeout=1)

    def test_the_database_drivers_connect_to_what_was_looked_at(
        self, database: Database, save: Save, answers: list[str]
    ) -> None:
        """libpq resolves by itself: without the pin this name would be unknown to it."""
        save("postgres", {**VALID["postgres"], "host": "rebind.example"})
        found = testing.run(database, SYSTEM, environment=None, kind="postgres")
        assert "nothing listens" in found.cause.lower() or "refused" in found.cause.lower()

    def test_outside_of_a_test_names_are_resolved_as_ever(self) -> None:
        assert socket.getaddrinfo("127.0.0.1", 80)
        assert resolving.addresses_of("127.0.0.1") == ()


class TestSecretsStayWithTheirReceiver:
    @pytest.mark.parametrize(
        ("kind", "secret", "change"),
        [
            ("datahub", "token", {"server": "http://127.0.0.2:1"}),
            ("datahub", "token", {"server": "https://127.0.0.1:1"}),
            ("openmetadata", "jwt_token", {"host_port": "http://127.0.0.1:2/api"}),
            ("directory", "token", {"endpoint": "http://127.0.0.1:1/other"}),
            ("ledger", "password", {"url": "mysql://u@127.0.0.2:1/dms"}),
            ("rabbitmq", "password", {"url": "amqp://u@127.0.0.1:2/"}),
            ("postgres", "password", {"host": "127.0.0.2"}),
            ("postgres", "password", {"port": "2"}),
            ("postgres", "password", {"sslmode": "disable"}),
            ("databricks", "access_token", {"server_hostname": "127.0.0.2"}),
            ("aws", "secret_access_key", {"endpoint_url": "http://127.0.0.1:2"}),
            ("aws", "secret_access_key", {"role_arn": "arn:aws:iam::1:role/x"}),
        ],
    )
    def test_another_address_asks_for_the_secret_again(
        self,
        database: Database,
        save: Save,
        prod: EnvironmentView,
        kind: str,
        secret: str,
        change: dict[str, str],
    ) -> None:
        save(kind, None, {secret: SECRET})
        with pytest.raises(SecretsAskedAgain, match=f"Enter {secret} again"):
            save(kind, change)
        with pytest.raises(SecretsAskedAgain):
            draft = testing.Draft({**VALID[kind], **change})
            testing.run(database, SYSTEM, environment=None, kind=kind, draft=draft)
        moved = save(kind, change, {secret: "new"})
        assert moved.secrets[secret] == "new"

    def test_what_is_not_an_address_changes_without_the_secret(self, save: Save) -> None:
        save("datahub", None, {"token": SECRET})
        assert save("datahub", {"timeout": "5"}).secrets["token"] == SECRET
        save("ledger", None, {"password": SECRET})
        assert save("ledger", {"url": "mysql://u@127.0.0.1:1/other"}).secrets["password"] == SECRET

    def test_an_address_changed_in_the_database_does_not_get_it(
        self, database: Database, save: Save
    ) -> None:
        save("datahub", None, {"token": SECRET})
        with database.write() as session:
            row = session.query(Connection).filter_by(kind="datahub").one()
            row.settings = {**row.settings, "server": "http://127.0.0.2:1"}
        with database.read() as session, pytest.raises(Exception, match="open"):
            resolve.connection(session, kind="datahub")

    def test_a_secret_of_an_older_portal_opens_and_is_bound_by_the_next_save(
        self, database: Database, save: Save, prod: EnvironmentView
    ) -> None:
        from backend.connections import secrets
        from backend.core import secret_store

        save("datahub", None, {"token": "x"})
        old = secret_store.get_vault().encrypt(
            SECRET, binding=secrets.binding(prod.id, "datahub", "token")
        )
        with database.write() as session:
            session.query(ConnectionSecret).filter_by(kind="datahub").one().ciphertext = old
        assert save("datahub", {"timeout": "7"}).secrets["token"] == SECRET
        with database.read() as session:
            row = session.query(ConnectionSecret).filter_by(kind="datahub").one()
            place = secrets.binding(prod.id, "datahub", "token", VALID["datahub"])
            assert secret_store.get_vault().decrypt(row.ciphertext, binding=place) == SECRET


def test_every_setting_that_is_an_address_is_parsed_by_the_one_module() -> None:
    """A new kind whose secret goes somewhere says where."""
    for kind in kinds.KINDS.values():
        directed = [field for field in kind.settings if field.directs]
        assert directed or kind.name == "tokenization", kind.name
        for field in kind.settings:
            if any(mark in field.name for mark in ("url", "host", "server", "endpoint")):
                assert field.address is not None, f"{kind.name} {field.name}"


def test_a_new_address_field_is_guarded_because_it_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    known = kinds.get_kind("datahub")
    added = Field("mirror", "Mirror", "", address=addresses.web)
    plain = Field("note", "Note", "")
    new = dataclasses.replace(known, settings=(*known.settings, added, plain))
    monkeypatch.setattr(kinds, "KINDS", {**kinds.KINDS, "datahub": new})
    bad = "http://169.254.169.254/latest"
    guard.check_literal("datahub", {"note": bad})
    with pytest.raises(InvalidInput, match=r"^datahub mirror leads to a link-local"):
        guard.check_literal("datahub", {"mirror": bad})


def test_addresses_are_stored_as_drivers_take_them() -> None:
    assert addresses.database("postgres://u@Db.Example/dms").text.startswith("postgresql+psycopg2")
    assert addresses.database("mysql://u@Db.Example:3306/dms").hosts == ("Db.Example",)
    assert addresses.broker("amqps://u@[::1]:5671/v").hosts == ("::1",)
    assert addresses.jdbc("jdbc:databricks://h.net:443;httpPath=/sql/1").hosts == ("h.net",)
