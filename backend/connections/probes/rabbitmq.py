"""RabbitMQ: a connection, a login and a channel."""

from backend.connections import resolve
from backend.connections.probes import Finding
from backend.connections.schemas import ConnectionConfig


def probe(config: ConnectionConfig, *, deadline: float) -> Finding:
    url = resolve.url(config)
    if url.startswith("memory://"):
        return Finding(server_version="in-memory transport of the sandbox")
    from backend.integrations.rabbitmq.probe import probe as probe_broker

    found = probe_broker(url, timeout=deadline * 0.9)
    return Finding(server_version=f"{found.product} {found.version}".strip())
