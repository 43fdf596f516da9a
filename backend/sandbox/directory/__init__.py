"""A people directory over GraphQL (graphql-core), for the sandbox, tests and benchmarks."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from graphql import GraphQLError, build_schema, graphql_sync

from backend.sandbox.directory.styles import STYLES
from backend.sandbox.loopback import (
    Faults,
    LoopbackServer,
    Request,
    Response,
    json_response,
)

Person = dict[str, Any]


class StandIn:
    """Serves /graphql on 127.0.0.1; `users` may be changed at any time.

    style: one of `styles.STYLES`. token: when set, requests must carry it in the style's header.
    refuse_after: answer with an error beside the data after so many people, as a directory does
    that loses its own source.
    seed gives the people when the state file holds none yet.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        state_file: Path | None = None,
        seed: Callable[[], list[Person]] | None = None,
        token: str = "",
        latency: float = 0.0,
        style: str = "plain",
    ) -> None:
        self.refuse_after: int | None = None
        self.style = STYLES[style]
        self._token = token
        self._file = state_file
        self._lock = threading.Lock()
        self._known: dict[str, tuple[int, bytes]] = {}
        self._schema = build_schema(self.style.schema)
        self.users: list[Person] = self._load(seed)
        self.server = LoopbackServer(self._answer, port=port, latency=latency)

    @property
    def url(self) -> str:
        """The endpoint setting of a connection."""
        return f"{self.server.base_url}/graphql"

    @property
    def faults(self) -> Faults:
        return self.server.faults

    def save(self) -> None:
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            scratch = self._file.with_suffix(".tmp")
            scratch.write_text(json.dumps(self.users))
            scratch.replace(self._file)

    def start(self) -> Self:
        self.server.start()
        return self

    def close(self) -> None:
        self.server.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _load(self, seed: Callable[[], list[Person]] | None) -> list[Person]:
        if self._file is not None and self._file.exists():
            loaded: list[Person] = json.loads(self._file.read_text())
            return loaded
        return seed() if seed is not None else []

    def _answer(self, request: Request) -> Response:
        sent = request.headers.get(self.style.header, "").removeprefix("Bearer ")
        if self._token and sent != self._token:
            return json_response(*self.style.refusal)
        if request.path not in ("/graphql", "/"):
            return Response(404, b"<html><body>Not Found</body></html>", "text/html")
        if request.method != "POST":
            return Response(200, _ABOUT, "text/html; charset=utf-8")
        try:
            document = json.loads(request.body)
            query = str(document["query"])
        except (ValueError, KeyError, TypeError):
            return json_response(400, {"errors": [{"message": "no query"}]})
        return Response(200, self._execute(query, document.get("variables")))

    def _execute(self, query: str, variables: Any) -> bytes:
        """The answer; the same query on the same people is answered from memory."""
        with self._lock:
            key = json.dumps([query, variables, self.refuse_after])
            mark = hash(tuple(map(repr, self.users))) if len(self.users) < 1000 else id(self.users)
            known = self._known.get(key)
            if known is not None and known[0] == mark:
                return known[1]
            result = graphql_sync(
                self._schema,
                query,
                root_value=self.style.root(self._people()),
                variable_values=variables,
            )
            body = json.dumps(result.formatted).encode()
            self._known = {key: (mark, body)}
            return body

    def _people(self) -> list[Any]:
        if self.refuse_after is None:
            return list(self.users)
        lost = GraphQLError("the upstream directory closed the connection")
        return [*self.users[: self.refuse_after], lost]


_ABOUT = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Directory</title>
<p>Sandbox stand-in of a people directory. POST { users { email displayName domain } } here.</p>
</html>"""
