"""Databricks: SELECT 1 on the warehouse."""

import importlib
import socket
from urllib.parse import urlsplit
from urllib.request import getproxies

from backend.connections.probes import Finding
from backend.connections.schemas import ConnectionConfig
from backend.core.errors import UpstreamUnavailable


def load() -> None:
    """Import the connector before the clock starts; it takes a second."""
    importlib.import_module("databricks.sql")


def probe(config: ConnectionConfig, *, deadline: float) -> Finding:
    from backend.integrations.databricks.probe import probe as probe_warehouse

    _reach(config, deadline / 3)
    found = probe_warehouse(config.settings, config.secrets, timeout=deadline * 0.9)
    return Finding(not found.cause, found.server_version, found.cause, found.advice)


def _reach(config: ConnectionConfig, timeout: float) -> None:
    """Raise at once when nobody is there: the connector would retry until the time is up.

    Behind a web proxy only the proxy has to be reachable, and the connector knows how.
    """
    address = config.settings["server_hostname"] or config.settings["jdbc_url"]
    parts = urlsplit("//" + address.removeprefix("jdbc:").split("://")[-1].split(";")[0])
    if not parts.hostname or getproxies().get("https"):
        return
    try:
        socket.create_connection((parts.hostname, parts.port or 443), timeout).close()
    except OSError as exc:
        raise UpstreamUnavailable(
            "Databricks",
            f"{parts.hostname} cannot be reached",
            "Check the host name, and the firewall between.",
        ) from exc
