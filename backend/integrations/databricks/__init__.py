"""A Databricks SQL warehouse through databricks-sql-connector, imported when first used.

The settings of a connection: server_hostname, http_path, catalog, or jdbc_url (which holds the
first two); its secret: access_token. Values missing from the connection come from `DBX_JDBC_URL`,
`DBX_TOKEN`, `DBX_HTTP_PATH`, `DBX_CATALOG`.
"""
