"""An honest connection test: SELECT 1 on the warehouse, and the catalog when one is named."""

from collections.abc import Mapping
from dataclasses import dataclass

from backend.core.errors import InvalidInput
from backend.core.settings import get_settings
from backend.integrations.databricks.client import (
    DatabricksClient,
    DatabricksConfig,
    from_connection,
    from_settings,
)


@dataclass(frozen=True)
class Probe:
    """What a probe found. `cause` and `advice` are "" when nothing is missing."""

    server_version: str
    cause: str = ""
    advice: str = ""


def probe(
    settings: Mapping[str, str], secrets: Mapping[str, str], *, timeout: float = 10.0
) -> Probe:
    """Ask the warehouse for 1, its version and the catalog.

    Raises InvalidInput when the connection is incomplete, else UpstreamError and its kinds.
    """
    config = from_connection(settings, secrets) or from_settings(get_settings())
    if config is None:
        raise InvalidInput(
            "The Databricks connection needs a host name, an HTTP path (or a JDBC URL with both) "
            "and an access token."
        )
    with DatabricksClient(config, timeout=timeout) as client:
        version = str(client.rows("SELECT version() FROM (SELECT 1)")[0][0])
        return _check_catalog(client, config, version)


def _check_catalog(client: DatabricksClient, config: DatabricksConfig, version: str) -> Probe:
    if not config.catalog:
        return Probe(version)
    visible = {str(row[0]) for row in client.rows("SHOW CATALOGS")}
    if config.catalog in visible:
        return Probe(version)
    return Probe(
        version,
        f"the catalog {config.catalog} is not visible to the token's owner.",
        "Check its spelling, or grant USE CATALOG.",
    )
