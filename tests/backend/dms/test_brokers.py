"""Addresses of brokers, one and several; what pika's errors mean."""

import inspect
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pika
import pytest
from pika import exceptions
from pika.adapters.utils import connection_workflow as workflow

from backend.dms import brokers
from backend.dms.broker_errors import RAISED, explain
from backend.dms.client import DMSClient
from backend.dms.errors import RabbitMQException
from tests.fixtures.dms_responder import mount_request

Start = Callable[..., Any]


class TestAddresses:
    def test_every_connection_has_deadlines(self):
        (found,) = brokers.read("amqp://u:p@h/")
        made = found.parameters(timeout=3)
        assert made.socket_timeout == made.stack_timeout == 3
        assert made.heartbeat
        assert made.blocked_connection_timeout

    def test_the_addresss_own_heartbeat_wins(self):
        (found,) = brokers.read("amqp://u:p@h/?heartbeat=5")
        assert found.parameters(timeout=3).heartbeat == 5

    @pytest.mark.parametrize(
        ("text", "addresses", "users"),
        [
            ("amqp://a,b/", ["amqp://a:5672/", "amqp://b:5672/"], ["guest", "guest"]),
            (
                "rabbit://u:p@h1:5672,v:q@h2:5673/vh?ssl=1",
                ["amqps://h1:5672/vh", "amqps://h2:5673/vh"],
                ["u", "v"],
            ),
            ("amqp://u:p@a,b:5673/", ["amqp://a:5672/", "amqp://b:5673/"], ["u", "u"]),
            (
                "amqp://u:p@a/, amqps://v:q@[::1]/%2Fx",
                ["amqp://a:5672/", "amqps://[::1]:5671//x"],
                ["u", "v"],
            ),
            ("amqp://", ["amqp://localhost:5672/"], ["guest"]),
        ],
    )
    def test_one_setting_may_name_several(self, text: str, addresses: list[str], users: list[str]):
        found = brokers.read(text)
        assert [each.address for each in found] == addresses
        assert [each.user for each in found] == users

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("http://x", "must start with amqp://"),
            ("", "must start with amqp://"),
            ("amqp://a/?ssl_options={}", "may not carry ssl_options"),
            ("amqp://a/?heartbeat=soon", "heartbeat=soon"),
            ("amqp://a/?ssl_ca_file=/ca.pem", "TLS files without TLS"),
            ("amqp://u@a/", "names the user u and no password"),
        ],
    )
    def test_what_cannot_be_used_is_said(self, text: str, says: str):
        with pytest.raises(ValueError, match=says):
            brokers.read(text)

    def test_a_password_with_a_comma_is_not_quoted(self):
        with pytest.raises(ValueError, match="a host whose port is no number") as caught:
            brokers.read("amqp://u:hidden,part@h/")
        assert "hidden" not in str(caught.value)

    def test_no_password_is_in_its_repr(self):
        assert "hidden" not in repr(brokers.read("amqp://u:hidden@h/"))

    def test_tls_files_of_the_settings_count_where_an_address_names_none(self, tmp_path: Path):
        (own,) = brokers.read("amqps://h/?ssl_ca_file=/own.pem", {"ssl_ca_file": "/settings.pem"})
        (other,) = brokers.read("amqps://h/", {"ssl_ca_file": "/settings.pem", "ssl_key_file": ""})
        assert own.options["ssl_ca_file"] == "/own.pem"
        assert other.options["ssl_ca_file"] == "/settings.pem"
        with pytest.raises(ValueError, match="names TLS files that cannot be used"):
            other.parameters(timeout=3)

    def test_the_servers_name_and_certificate_are_checked(self):
        (found,) = brokers.read("amqps://mq.example/")
        tls = found.parameters(timeout=3).ssl_options
        assert tls.server_hostname == "mq.example"
        assert tls.context.verify_mode is ssl.CERT_REQUIRED
        assert tls.context.check_hostname


class TestTryingInTurn:
    def test_the_first_that_answers_is_used(
        self, rabbitmq_url: str, start_responder: Start, start_client: Start
    ):
        server = start_responder(rabbitmq_url)
        scheme, _, rest = rabbitmq_url.partition("://")
        who, _, where = rest.rpartition("@")
        client: DMSClient = start_client(f"{scheme}://{who}@127.0.0.1:1,{where}", 60)
        assert client.mount(mount_request())["outcome"] == "replied"
        assert server.actions == ["mount"]

    def test_none_of_them_is_one_sentence(self, ledger_url: str):
        with pytest.raises(RabbitMQException, match=r"nothing listens at .* other broker"):
            DMSClient(ledger_url, "amqp://u:hidden@127.0.0.1:1,127.0.0.1:2/")


def _instances() -> list[BaseException]:
    """One of every exception pika and its connection workflow define."""
    found: list[BaseException] = []
    for module in (exceptions, workflow):
        for kind in vars(module).values():
            if inspect.isclass(kind) and issubclass(kind, Exception):
                found.append(_made(kind))
    return found


def _made(kind: type[BaseException]) -> BaseException:
    for arguments in ((), ("why",), (403, "why"), ([], [])):
        try:
            return kind(*arguments)
        except TypeError:
            continue
    raise AssertionError(f"how is {kind} made?")


class TestErrors:
    @pytest.mark.parametrize("exc", _instances(), ids=lambda e: type(e).__name__)
    def test_every_error_of_pika_is_caught_and_has_a_meaning(self, exc: Any):
        assert isinstance(exc, RAISED)
        found = explain(exc, "amqp://u:hidden@h/")
        assert found.cause
        assert found.advice
        assert "hidden" not in found.sentence

    @pytest.mark.parametrize(
        ("exc", "kind"),
        [
            (TimeoutError(), "timeout"),
            (ConnectionRefusedError(), "nobody"),
            (socket.gaierror(), "unavailable"),
            (ssl.SSLError("bad certificate"), "unavailable"),
            (pika.exceptions.ConnectionBlockedTimeout(), "timeout"),
            (pika.exceptions.StreamLostError(), "unavailable"),
        ],
    )
    def test_each_means_what_it_says(self, exc: BaseException, kind: str):
        found = explain(exc, "amqps://user:hidden@broker.example/prod")
        assert found.kind == kind
        assert "amqps://broker.example:5671/prod" in found.sentence
