"""The probe logs in and opens a channel; every error of pika has its meaning."""

import inspect
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from pika import exceptions
from pika.adapters.utils import connection_workflow as workflow

from backend.core.errors import UpstreamError, UpstreamTimeout, UpstreamUnavailable
from backend.integrations.rabbitmq import errors
from backend.integrations.rabbitmq.parameters import parameters, with_password
from backend.integrations.rabbitmq.probe import probe


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Something that takes connections and never says a word."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        taken: list[socket.socket] = []
        threading.Thread(target=lambda: taken.append(server.accept()[0]), daemon=True).start()
        yield server.getsockname()[1]
        for connection in taken:
            connection.close()


class TestProbe:
    def test_names_the_server(self, rabbitmq_url: str):
        found = probe(rabbitmq_url)
        assert found.product == "RabbitMQ"
        assert found.version[0].isdigit()

    def test_a_wrong_password_is_said_without_quoting_it(self, rabbitmq_url: str):
        wrong = with_password(rabbitmq_url, "not-the-password")
        with pytest.raises(errors.BrokerRefused, match="user name or password") as caught:
            probe(wrong)
        assert "not-the-password" not in str(caught.value)

    def test_an_unknown_virtual_host_is_said(self, rabbitmq_url: str):
        with pytest.raises(errors.BrokerRefused, match="virtual host"):
            probe(rabbitmq_url.rsplit("/", 1)[0] + "/no-such-vhost")

    def test_nobody_there(self):
        with pytest.raises(errors.BrokerUnavailable, match="nothing listens"):
            probe("amqp://guest:guest@127.0.0.1:1/")

    def test_an_unknown_name(self):
        with pytest.raises(errors.BrokerUnavailable, match="name in"):
            probe("amqp://guest:guest@no-such-host.invalid/")

    def test_a_server_that_says_nothing_runs_into_the_deadline(self, silent_port: int):
        with pytest.raises((errors.BrokerTimeout, errors.BrokerUnavailable)):
            probe(f"amqp://guest:guest@127.0.0.1:{silent_port}/", timeout=1.0)

    @pytest.mark.parametrize("url", ["http://x", "nonsense", ""])
    def test_an_address_that_is_none(self, url: str):
        with pytest.raises(errors.BrokerRefused, match="cannot be read"):
            probe(url)


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
    def test_every_error_of_pika_is_translated(self, exc: Any):
        with pytest.raises(UpstreamError), errors.translated("amqp://u:hidden@h/"):
            raise exc

    @pytest.mark.parametrize(
        ("exc", "kind"),
        [
            (TimeoutError(), UpstreamTimeout),
            (ConnectionRefusedError(), UpstreamUnavailable),
            (socket.gaierror(), UpstreamUnavailable),
            (ssl.SSLError("bad certificate"), UpstreamUnavailable),
            (exceptions.ConnectionBlockedTimeout(), UpstreamTimeout),
            (exceptions.StreamLostError(), UpstreamUnavailable),
        ],
    )
    def test_each_means_what_it_says(self, exc: BaseException, kind: type[UpstreamError]):
        found = errors.explain(exc, "amqps://user:hidden@broker.example/prod")
        assert isinstance(found, kind)
        assert "hidden" not in found.message
        assert "amqps://broker.example:5671/prod" in found.message


class TestParameters:
    def test_every_connection_has_deadlines(self):
        made = parameters("amqp://u:p@h/", timeout=3)
        assert made.socket_timeout == made.stack_timeout == 3
        assert made.heartbeat
        assert made.blocked_connection_timeout

    def test_the_addresss_own_heartbeat_wins(self):
        assert parameters("amqp://u:p@h/?heartbeat=5").heartbeat == 5

    @pytest.mark.parametrize("password", ["simple", "p@ss/w:rd?#%", "ünï"])
    def test_a_password_is_put_in_whole(self, password: str):
        made = with_password("amqp://user@broker:5673/vhost", password)
        parts = urlsplit(made)
        assert unquote(parts.password or "") == password
        assert (parts.hostname, parts.port, parts.path) == ("broker", 5673, "/vhost")
        assert parameters(made).credentials.password == password

    def test_no_password_changes_nothing(self):
        assert with_password("amqp://a:b@h/", "") == "amqp://a:b@h/"
