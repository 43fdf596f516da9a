"""The stand-in's HTTP: who the caller is, and a call with that."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from backend.sandbox.loopback import Response

__all__ = ["Grant", "Json", "Request", "Response", "as_html", "as_json"]
Json = dict[str, Any]


@dataclass(frozen=True)
class Grant:
    """What a token may do. Every grant may read."""

    actor: str
    edit_entities: bool = True  # writes by rest.li and OpenAPI, and all mutations
    edit_tags: bool = True  # the narrow privilege, good for the tag mutations only
    manage_ingestion: bool = True
    read_events: bool = True


@dataclass(frozen=True)
class Request:
    """path_parts: decoded one by one, so that an encoded slash stays inside its part."""

    method: str
    path: str
    query: Mapping[str, str]
    body: bytes
    grant: Grant

    @property
    def path_parts(self) -> list[str]:
        return [unquote(part) for part in self.path.strip("/").split("/")]

    def json(self) -> Any:
        """The body. Raises ValueError when it is not JSON."""
        return json.loads(self.body)


def as_json(value: Any, status: int = 200, *, pretty: bool = False) -> Response:
    return Response(status, json.dumps(value, indent=2 if pretty else None).encode())


def as_html(text: str, status: int = 200, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, text.encode(), "text/html; charset=utf-8", named)
