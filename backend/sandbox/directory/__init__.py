"""A people directory over GraphQL (graphql-core), for the sandbox, tests and benchmarks."""

import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from graphql import GraphQLError, build_schema, graphql_sync

from backend.sandbox.directory.seeding import elsewhere
from backend.sandbox.directory.styles import STYLES, Style
from backend.sandbox.faults import Faults
from backend.sandbox.loopback import LoopbackServer, Request, Response, json_response

Person = dict[str, Any]


#: What the directories beside the first one want in their style's header.
BESIDE_TOKEN = "sandbox"  # noqa: S105 - of a stand-in on loopback


class StandIn:
    """Serves /graphql on 127.0.0.1; `users` may be changed at any time.

    style: one of `styles.STYLES`. token: when set, requests must carry it in the style's header.
    beside: further styles, served at /<style>/graphql with BESIDE_TOKEN, of the same people as
    `seeding.elsewhere` has them.
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
        beside: Sequence[str] = (),
    ) -> None:
        self.refuse_after: int | None = None
        self._file = state_file
        self.style = STYLES[style]
        first = _Endpoint(self.style, token, self._people)
        self._endpoints = {"/graphql": first, "/": first}
        for name in beside:
            endpoint = _Endpoint(STYLES[name], BESIDE_TOKEN, lambda: elsewhere(self.users))
            self._endpoints[f"/{name}/graphql"] = endpoint
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
        endpoint = self._endpoints.get(request.path)
        if endpoint is None:
            return Response(404, b"<html><body>Not Found</body></html>", "text/html")
        return endpoint.answer(request, (self.refuse_after, id(self.users)))

    def _people(self) -> list[Any]:
        if self.refuse_after is None:
            return list(self.users)
        lost = GraphQLError("the upstream directory closed the connection")
        return [*self.users[: self.refuse_after], lost]


class _Endpoint:
    """One schema over some people."""

    def __init__(self, style: Style, token: str, people: Callable[[], list[Any]]) -> None:
        self._style, self._token, self._people = style, token, people
        self._schema = build_schema(style.schema)
        self._lock = threading.Lock()
        self._known: dict[str, tuple[int, bytes]] = {}

    def answer(self, request: Request, mark: object) -> Response:
        """mark: what else the answer depends on."""
        sent = request.headers.get(self._style.header, "").removeprefix("Bearer ")
        if self._token and sent != self._token:
            return json_response(*self._style.refusal)
        if request.method != "POST":
            return Response(200, _ABOUT, "text/html; charset=utf-8")
        try:
            document = json.loads(request.body)
            query = str(document["query"])
        except (ValueError, KeyError, TypeError):
            return json_response(400, {"errors": [{"message": "no query"}]})
        return Response(200, self._execute(query, document.get("variables"), mark))

    def _execute(self, query: str, variables: Any, more: object) -> bytes:
        """The answer; the same query on the same people is answered from memory."""
        with self._lock:
            key = json.dumps([query, variables, more])
            people = self._people()
            mark = hash(tuple(map(repr, people))) if len(people) < 1000 else len(people)
            known = self._known.get(key)
            if known is not None and known[0] == mark:
                return known[1]
            result = graphql_sync(
                self._schema,
                query,
                root_value=self._style.root(people),
                variable_values=variables,
            )
            body = json.dumps(result.formatted).encode()
            self._known = {key: (mark, body)}
            return body


_ABOUT = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Directory</title>
<p>Sandbox stand-in of a people directory. POST { users { email displayName domain } } here.</p>
<p>The same company in other schemas: /apollo/graphql, /relay/graphql, /hasura/graphql.</p>
</html>"""
