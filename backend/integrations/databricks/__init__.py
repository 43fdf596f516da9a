"""A Databricks SQL warehouse through databricks-sql-connector, imported when first used.

from backend.integrations.databricks.client import DatabricksConfig, from_connection
config = from_connection(settings, secrets)        None when it is not configured
    settings: server_hostname, http_path, catalog, or jdbc_url (which holds the first two).
    secrets: access_token. Values missing from the connection come from `DBX_JDBC_URL`,
    `DBX_TOKEN`, `DBX_HTTP_PATH`, `DBX_CATALOG` through `from_settings(get_settings())`.

from backend.integrations.databricks.probe import probe
probe(settings, secrets, *, timeout=10.0) -> Probe(server_version, cause, advice)
    SELECT 1 on the warehouse; `cause` and `advice` are "" or one sentence each.
    Raises UpstreamError, UpstreamUnavailable or UpstreamTimeout (backend.core.errors).

from backend.integrations.databricks.client import DatabricksClient
with DatabricksClient(config, timeout=…) as client:
    client.rows(sql, parameters) -> list[tuple]; client.execute(sql, parameters) -> int rows
"""
