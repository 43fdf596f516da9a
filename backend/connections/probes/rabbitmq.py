"""RabbitMQ: a connection, a login and a channel."""

from urllib.parse import urlsplit

from backend.connections import resolve
from backend.connections.probes import Finding
from backend.connections.schemas import ConnectionConfig
from backend.core.errors import UpstreamError


def probe(config: ConnectionConfig, *, deadline: float) -> Finding:
    url = resolve.url(config)
    if url.startswith("memory://"):
        return Finding(server_version="in-memory transport of the sandbox")
    parts = urlsplit(url)
    if parts.username and parts.password is None:
        raise UpstreamError(
            "RabbitMQ",
            f"the URL names the user {parts.username} and no password is stored",
            "Set the password of this connection.",
        )
    from backend.integrations.rabbitmq.probe import probe as probe_broker

    found = probe_broker(url, timeout=deadline * 0.9)
    return Finding(server_version=f"{found.product} {found.version}".strip())
