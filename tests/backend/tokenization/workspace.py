"""A Databricks workspace as far as the official ingestion looks: Unity Catalog's lists over REST.

The answers have the shapes of `GET /api/2.1/unity-catalog/{catalogs,schemas,tables}`.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

_BORN = {"owner": "owner@example.org", "metastore_id": "metastore-1", "created_at": 1700000000000}
_COLUMNS = (("id", "bigint", "LONG"), ("email", "string", "STRING"), ("phone", "string", "STRING"))
_TABLE = {
    **_BORN,
    "name": "people",
    "catalog_name": "main",
    "schema_name": "crm",
    "full_name": "main.crm.people",
    "table_id": "table-1",
    "table_type": "MANAGED",
    "data_source_format": "DELTA",
    "storage_location": "s3://bucket/people",
    "columns": [
        {"name": name, "type_text": text, "type_name": kind, "position": place, "nullable": True}
        for place, (name, text, kind) in enumerate(_COLUMNS)
    ],
}
_SCHEMA = {**_BORN, "name": "crm", "catalog_name": "main", "full_name": "main.crm"}
_CATALOG = {**_BORN, "name": "main", "catalog_type": "MANAGED_CATALOG"}
_LISTS: dict[str, dict[str, Any]] = {
    "catalogs": {"catalogs": [_CATALOG, {**_CATALOG, "name": "other"}]},
    "schemas": {"schemas": [_SCHEMA]},
    "tables": {"tables": [_TABLE, {**_TABLE, "name": "secret", "full_name": "main.crm.secret"}]},
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        listed = _LISTS.get(urlsplit(self.path).path.removeprefix("/api/2.1/unity-catalog/"))
        body = json.dumps(listed or {"error_code": "NOT_FOUND", "message": "not here"}).encode()
        self.send_response(200 if listed else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        """Quiet."""


@contextmanager
def workspace() -> Iterator[str]:
    """Serve it; yields the URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
