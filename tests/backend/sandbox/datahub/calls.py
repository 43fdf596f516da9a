"""Plain HTTP against the stand-in, for what the SDK hides."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backend.sandbox.datahub import StandIn


@dataclass(frozen=True)
class Answer:
    status: int
    text: str
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def send(
    gms: StandIn, method: str, path: str, body: Any = None, *, token: str | None = "own"
) -> Answer:
    """token: "own" for the stand-in's, None for none."""
    headers = {"Content-Type": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {gms.token if token == 'own' else token}"
    data = None
    if body is not None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(gms.url + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return Answer(answer.status, answer.read().decode(), answer.headers)
    except urllib.error.HTTPError as refused:
        return Answer(refused.code, refused.read().decode(), refused.headers)


def graphql(gms: StandIn, query: str, variables: dict | None = None, *, token: str = "own") -> Any:
    answer = send(
        gms, "POST", "/api/graphql", {"query": query, "variables": variables or {}}, token=token
    )
    assert answer.status == 200, answer.text
    return answer.json
