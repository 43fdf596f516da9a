"""RabbitMQ's probe logs in and opens a channel, at every broker of the connection."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from backend.connections import addresses, credentials
from backend.connections.probes import rabbitmq
from backend.connections.schemas import ConnectionConfig, EnvironmentView
from backend.core.errors import UpstreamError, UpstreamTimeout, UpstreamUnavailable
from backend.dms import brokers

NOBODY = "127.0.0.1:1"


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Something that takes connections and never says a word."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        taken: list[socket.socket] = []
        threading.Thread(target=lambda: taken.append(server.accept()[0]), daemon=True).start()
        yield server.getsockname()[1]
        for connection in taken:
            connection.close()


def _probe(prod: EnvironmentView, url: str, deadline: float = 60.0) -> rabbitmq.Finding:
    config = ConnectionConfig(prod, "rabbitmq", {"url": url}, {}, 1)
    return rabbitmq.probe(config, deadline=deadline)


class TestProbe:
    def test_names_the_server(self, prod: EnvironmentView, rabbitmq_url: str):
        found = _probe(prod, rabbitmq_url)
        assert found.server_version.startswith("RabbitMQ ")
        assert found.warnings == ()

    def test_a_wrong_password_is_said_without_quoting_it(
        self, prod: EnvironmentView, rabbitmq_url: str
    ):
        wrong = credentials.with_password(rabbitmq_url, "not-the-password")
        with pytest.raises(rabbitmq.LoginRefused, match="user name or password") as caught:
            _probe(prod, wrong)
        assert "not-the-password" not in str(caught.value)

    def test_an_unknown_virtual_host_is_said(self, prod: EnvironmentView, rabbitmq_url: str):
        with pytest.raises(UpstreamError, match="no such virtual host"):
            _probe(prod, rabbitmq_url.rsplit("/", 1)[0] + "/no-such-vhost")

    def test_nobody_there(self, prod: EnvironmentView):
        with pytest.raises(UpstreamUnavailable, match="nothing listens"):
            _probe(prod, f"amqp://guest:guest@{NOBODY}/")

    def test_an_unknown_name(self, prod: EnvironmentView):
        with pytest.raises(UpstreamUnavailable, match="name in"):
            _probe(prod, "amqp://guest:guest@no-such-host.invalid/")

    def test_a_server_that_says_nothing_runs_into_the_deadline(
        self, prod: EnvironmentView, silent_port: int
    ):
        with pytest.raises((UpstreamTimeout, UpstreamUnavailable)):
            _probe(prod, f"amqp://guest:guest@127.0.0.1:{silent_port}/", 1.0)

    def test_of_several_the_one_that_is_away_is_a_warning(
        self, prod: EnvironmentView, rabbitmq_url: str
    ):
        scheme, _, rest = rabbitmq_url.partition("://")
        who, _, where = rest.rpartition("@")
        found = _probe(prod, f"{scheme}://{who}@{NOBODY},{where}")
        assert found.ok
        assert found.server_version.startswith("RabbitMQ ")
        assert [said.split(".")[0] for said in found.warnings] == [
            "RabbitMQ: nothing listens at amqp://127"
        ]


class TestSeveralBrokers:
    def test_the_guard_sees_every_host(self):
        found = addresses.broker("rabbit://u@mq1:5673,mq2/v?ssl=1")
        assert found.hosts == ("mq1", "mq2")
        assert found.sent_to == "mq1:5673,mq2:5671 [('ssl', '1')]"

    @pytest.mark.parametrize(
        ("url", "sent_to"),
        [
            ("amqp://u@MQ/", "amqp://mq:"),
            ("amqp://u@mq:5672/v", "amqp://mq:5672"),
            ("amqps://u@mq/?heartbeat=5", "amqps://mq:"),
        ],
    )
    def test_one_address_keeps_the_binding_that_secrets_were_stored_with(
        self, url: str, sent_to: str
    ):
        assert addresses.broker(url).sent_to == sent_to

    def test_the_password_is_taken_out_of_every_place_and_put_back(self):
        rest, password = credentials.split_password("amqp://u:a%2Cb@one,v:a%2Cb@two/,amqp://three/")
        assert (rest, password) == ("amqp://u@one,v@two/,amqp://three/", "a,b")
        again = brokers.read(credentials.with_password(rest, password))
        assert [(each.user, each.password, each.host) for each in again] == [
            ("u", "a,b", "one"),
            ("v", "a,b", "two"),
            ("guest", "guest", "three"),
        ]

    @pytest.mark.parametrize("password", ["simple", "p@ss/w:rd?#%,", "ünï"])
    def test_a_password_is_put_in_whole(self, password: str):
        made = credentials.with_password("amqp://user@broker:5673/vhost", password)
        (found,) = brokers.read(made)
        assert (found.host, found.port, found.vhost) == ("broker", 5673, "vhost")
        assert found.password == password

    def test_no_password_changes_nothing(self):
        assert credentials.with_password("amqp://a:b@h/", "") == "amqp://a:b@h/"
