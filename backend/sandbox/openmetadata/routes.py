"""The stand-in's HTTP face: which call does what."""

import base64
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from backend.sandbox.loopback import Request, Response, json_response
from backend.sandbox.openmetadata import pages, policy, writes
from backend.sandbox.openmetadata.policy import Principal, Refused
from backend.sandbox.openmetadata.store import Json, Store, now_ms
from backend.sandbox.openmetadata.writes import Rules

MOST = 1_000_000
_CHALLENGE = {"WWW-Authenticate": "om-auth"}


class Api:
    """Answers requests on a Store by the rules of one server version."""

    def __init__(self, store: Store, version: str, rules: Rules) -> None:
        self.store = store
        self.version = version
        self.rules = rules
        self._routes: list[tuple[str, re.Pattern[str], Callable[..., Response]]] = [
            (method, re.compile(pattern), function)
            for method, pattern, function in (
                ("GET", r"/users", self._list_users),
                ("GET", r"/users/loggedInUser", self._who_am_i),
                ("GET", r"/users/name/([^/]+)", self._user_by_name),
                ("GET", r"/users/([^/]+)/versions", self._versions),
                ("GET", r"/users/([^/]+)", self._user),
                ("PATCH", r"/users/([^/]+)", self._patch),
                ("PUT", r"/users", self._put),
                ("POST", r"/users", self._post),
                ("DELETE", r"/users/([^/]+)", self._delete),
                ("POST", r"/(domains|teams)", self._make),
                ("DELETE", r"/(domains|teams)/([^/]+)", self._remove),
                ("GET", r"/domains", self._list_domains),
                ("GET", r"/domains/name/([^/]+)", self._domain_by_name),
                ("GET", r"/domains/([^/]+)", self._domain),
            )
        ]

    def answer(self, request: Request) -> Response:
        if not request.path.startswith("/api/"):
            with self.store.lock:
                return pages.answer(self.store, request)
        path = request.path.removeprefix("/api/v1")
        if path == "/system/version":
            return json_response(
                200, {"version": self.version, "revision": "0" * 40, "timestamp": now_ms()}
            )
        if path == "/system/health":
            return Response(200, b"OK", "text/plain")
        try:
            with self.store.lock:
                who = policy.principal(self.store, request.headers.get("authorization"))
                return self._dispatch(request, path, who)
        except Refused as refusal:
            return Response(
                refusal.status, json.dumps(refusal.body).encode(), headers=dict(_CHALLENGE)
            )

    def _dispatch(self, request: Request, path: str, who: Principal) -> Response:
        known = False
        for method, pattern, function in self._routes:
            found = pattern.fullmatch(path)
            if found is None:
                continue
            known = True
            if method == request.method:
                return function(request, who, *(unquote(part) for part in found.groups()))
        if known:
            raise Refused(405, "HTTP 405 Method Not Allowed")
        raise Refused(404, "HTTP 404 Not Found")

    # --- reads ---------------------------------------------------------------------------

    def _list_users(self, request: Request, who: Principal) -> Response:
        users, query = self.store.users, request.query
        fields = self._fields(request)
        return _page(
            request,
            self.store.listed(
                query.get("include", "non-deleted"), query.get("isBot"), query.get("isAdmin")
            ),
            name=lambda key: str(users[key]["name"]),
            render=lambda key: json.dumps(
                policy.masked(who, self.store.view(users[key], fields))
            ).encode(),
        )

    def _list_domains(self, request: Request, _who: Principal) -> Response:
        domains = self.store.domains
        return _page(
            request,
            sorted(domains, key=lambda key: str(domains[key]["fullyQualifiedName"])),
            name=lambda key: str(domains[key]["fullyQualifiedName"]),
            render=lambda key: json.dumps(domains[key]).encode(),
        )

    def _fields(self, request: Request) -> frozenset[str]:
        """The optional fields asked for; a 1.2 server knows one domain and refuses the list."""
        fields = frozenset(filter(None, request.query.get("fields", "").split(",")))
        if self.rules.parts < (1, 3) and "domains" in fields:
            raise Refused(400, "Invalid field name domains")
        return fields

    def _who_am_i(self, request: Request, who: Principal) -> Response:
        user = self.store.user_named(who.name)
        return json_response(200, self.store.view(user or {}, self._fields(request)))

    def _user_by_name(self, request: Request, who: Principal, name: str) -> Response:
        user = self.store.user_named(name)
        if user is None:
            raise Refused(404, f"user instance for {name} not found")
        return self._shown(request, who, user)

    def _user(self, request: Request, who: Principal, key: str) -> Response:
        user = self.store.users.get(key)
        if user is None:
            raise Refused(404, f"user instance for {key} not found")
        return self._shown(request, who, user)

    def _shown(self, request: Request, who: Principal, user: Json) -> Response:
        if user["deleted"] and request.query.get("include", "non-deleted") == "non-deleted":
            raise Refused(404, f"user instance for {user['name']} not found")
        shown = policy.masked(who, self.store.view(user, self._fields(request)))
        # A strong tag over the body, as newer servers send: it never equals what PATCH expects.
        return json_response(200, shown, ETag=f'"{hash(str(user)) & 0xFFFFFFFF:x}"')

    def _versions(self, _request: Request, _who: Principal, key: str) -> Response:
        versions = [self.store.users[key], *reversed(self.store.history.get(key, []))]
        return json_response(
            200, {"entityType": "user", "versions": [json.dumps(version) for version in versions]}
        )

    def _domain(self, _request: Request, _who: Principal, key: str) -> Response:
        if key not in self.store.domains:
            raise Refused(404, f"domain instance for {key} not found")
        return json_response(200, self.store.domains[key])

    def _domain_by_name(self, request: Request, who: Principal, fqn: str) -> Response:
        try:
            return self._domain(request, who, self.store.domain_id(fqn))
        except KeyError:
            raise Refused(404, f"domain instance for {fqn} not found") from None

    # --- writes --------------------------------------------------------------------------

    def _patch(self, request: Request, who: Principal, key: str) -> Response:
        operations = _json(request)
        if not isinstance(operations, list):
            raise Refused(400, "a JSON Patch is an array")
        user = writes.patch(
            self.store, self.rules, who, key, operations, request.headers.get("if-match")
        )
        return json_response(200, self.store.view(user, frozenset(("*",))))

    def _put(self, request: Request, who: Principal) -> Response:
        user, created = writes.put(self.store, self.rules, who, _object(request))
        return json_response(201 if created else 200, self.store.view(user, frozenset(("*",))))

    def _post(self, request: Request, who: Principal) -> Response:
        body = _object(request)
        if self.store.user_named(str(body.get("name", ""))) is not None:
            raise Refused(409, "Entity already exists")
        return self._put(request, who)

    def _delete(self, request: Request, who: Principal, key: str) -> Response:
        hard = request.query.get("hardDelete") == "true"
        user = writes.delete(self.store, who, key, hard=hard)
        self.store.save()
        return json_response(200, self.store.view(user, frozenset(("*",))))

    def _make(self, request: Request, who: Principal, kind: str) -> Response:
        return json_response(201, writes.make(self.store, who, kind, _object(request)))

    def _remove(self, _request: Request, who: Principal, kind: str, key: str) -> Response:
        return json_response(200, writes.remove(self.store, who, kind, key))


def _page(
    request: Request,
    keys: list[str],
    *,
    name: Callable[[str], str],
    render: Callable[[str], bytes],
) -> Response:
    """One page by opaque cursors over (name, id), like the server's."""
    query = request.query
    limit = int(query.get("limit", "10"))
    if not 0 <= limit <= MOST:
        raise Refused(400, f"query param limit must be less than or equal to {MOST}")
    if "after" in query and "before" in query:
        raise Refused(400, "Only one of before or after query parameter allowed")
    start = _index(keys, query["after"], name, later=True) if query.get("after") else 0
    if query.get("before"):
        start = max(0, _index(keys, query["before"], name, later=False) - limit)
    chosen = keys[start : start + limit]
    paging: Json = {"total": len(keys)}
    if start > 0 and chosen:
        paging["before"] = _cursor(name(chosen[0]), chosen[0])
    if chosen and start + limit < len(keys):
        paging["after"] = _cursor(name(chosen[-1]), chosen[-1])
    body = b'{"data": [' + b", ".join(map(render, chosen)) + b'], "paging": '
    return Response(200, body + json.dumps(paging).encode() + b"}")


def _cursor(name: str, key: str) -> str:
    return base64.urlsafe_b64encode(json.dumps({"name": name, "id": key}).encode()).decode()


def _index(keys: list[str], cursor: str, name: Callable[[str], str], *, later: bool) -> int:
    """Where the page of a cursor starts (later) or ends; the entry itself may be gone."""
    try:
        mark = json.loads(base64.urlsafe_b64decode(cursor))["name"]
    except (ValueError, KeyError, TypeError):
        raise Refused(400, f"invalid cursor {cursor[:40]}") from None
    low, high = 0, len(keys)
    while low < high:
        middle = (low + high) // 2
        here = name(keys[middle])
        if here < mark or (later and here == mark):
            low = middle + 1
        else:
            high = middle
    return low


def _json(request: Request) -> Any:
    try:
        return json.loads(request.body)
    except ValueError:
        raise Refused(400, "Unable to process JSON") from None


def _object(request: Request) -> Json:
    body = _json(request)
    if not isinstance(body, dict):
        raise Refused(400, "Unable to process JSON")
    return body
