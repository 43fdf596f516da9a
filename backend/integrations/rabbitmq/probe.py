"""An honest probe: a connection, a login and a channel, not just an open port."""

from dataclasses import dataclass

import pika

from backend.integrations.rabbitmq.errors import translated
from backend.integrations.rabbitmq.parameters import parameters


@dataclass(frozen=True)
class BrokerInfo:
    """What the broker says about itself."""

    product: str
    version: str
    cluster: str


def probe(url: str, *, timeout: float = 10.0) -> BrokerInfo:
    """Log in at `url`, open a channel and close both.

    timeout: seconds for the whole handshake. Raises BrokerUnavailable, BrokerTimeout or
    BrokerRefused, each with cause and advice.
    """
    with translated(url):
        connection = pika.BlockingConnection(parameters(url, timeout=timeout))
        try:
            connection.channel().close()
            said = connection._impl.server_properties or {}
        finally:
            connection.close()
    return BrokerInfo(
        product=_text(said.get("product")),
        version=_text(said.get("version")),
        cluster=_text(said.get("cluster_name")),
    )


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")
