"""Graphene with Relay as a directory: PORT PEOPLE, at /graphql/ and with the slash only."""

import base64
import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import graphene
from graphene import relay

PORT, COUNT = map(int, sys.argv[1:3])


class Person(graphene.ObjectType):
    class Meta:
        interfaces = (relay.Node,)

    mail = graphene.String(required=True)
    name = graphene.String()
    department = graphene.String()


class PersonConnection(relay.Connection):
    class Meta:
        node = Person


PEOPLE = [
    Person(
        id=str(n),
        mail=f"user{n}@example.com",
        name=f"User {n}",
        department="Finance" if n % 2 else "Marketing",
    )
    for n in range(COUNT)
]


class Query(graphene.ObjectType):
    users = relay.ConnectionField(PersonConnection)
    broken = graphene.List(Person)

    def resolve_users(self, info, after=None, **_):
        if os.environ.get("FAILS") and after and _offset(after) >= 3999:
            raise RuntimeError("the source went away")
        return PEOPLE

    def resolve_broken(self, info):
        return [*PEOPLE[:4], Person(id="x"), *PEOPLE[5:9]]


def _offset(cursor: str) -> int:
    return int(base64.b64decode(cursor).decode().rpartition(":")[2])


SCHEMA = graphene.Schema(query=Query)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/graphql/":
            return self._send(404, {"errors": [{"message": "not found"}]})
        if self.headers.get("Authorization") != "Bearer sesame":
            return self._send(401, {"errors": [{"message": "Authentication required"}]})
        result = SCHEMA.execute(body["query"], variable_values=body.get("variables"))
        status = 400 if result.data is None and result.errors else 200
        return self._send(status, result.formatted)

    def _send(self, status: int, document: object) -> None:
        raw = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        """Nothing: the log is for errors."""


ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
