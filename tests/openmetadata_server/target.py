"""The server under test: the one that TEST_OPENMETADATA_URL names, or a stand-in in its place.

Everything made there has a name that starts with the run's own prefix, and is removed at the end.
"""

import base64
import json
import os
import secrets
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from backend.sandbox.openmetadata import StandIn, seeding

URL = "TEST_OPENMETADATA_URL"
IDENTITIES = ("admin", "bot", "user")
#: Users listed and paged by the journey; the stand-in proves the test, not the size.
MANY, FEW = 5_000, 300
DEADLINE = 300.0


def configured() -> str:
    """The server's address, or "" where there is none."""
    return os.environ.get(URL, "").rstrip("/")


def token_of(identity: str) -> str:
    """The token of an identity, "" where its file is not named."""
    path = os.environ.get(f"TEST_OPENMETADATA_{identity.upper()}_JWT_FILE", "")
    return Path(path).read_text().strip() if path else ""


def principal_of(token: str) -> str:
    """The account's name as the token says it."""
    body = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return str(claims.get("sub") or claims.get("preferred_username") or "")


@dataclass
class Target:
    """A server, who may be asked as whom, and what was made there so far."""

    url: str
    tokens: dict[str, str]
    prefix: str
    users_to_page: int
    simulated: bool = False
    made: list[tuple[str, str]] = field(default_factory=list)
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=DEADLINE))

    def call(
        self,
        method: str,
        path: str,
        *,
        who: str = "admin",
        body: Any = None,
        headers: dict[str, str] | None = None,
        patch: bool = False,
    ) -> httpx.Response:
        """One exchange as an identity; `who` "" sends no token."""
        sent = dict(headers or {})
        if who:
            sent.setdefault("Authorization", f"Bearer {self.tokens[who]}")
        kind = "application/json-patch+json" if patch else "application/json"
        content = None if body is None else json.dumps(body)
        if content is not None:
            sent["Content-Type"] = kind
        return self.client.request(method, f"{self.url}/v1/{path}", content=content, headers=sent)

    def made_as(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.call("POST", path, body=body)
        assert answer.is_success, f"POST {path}: {answer.status_code} {answer.text[:500]}"
        found: dict[str, Any] = answer.json()
        self.made.append((path, found["id"]))
        return found

    def add_user(self, name: str, display: str | None, domains: Sequence[str] = ()) -> str:
        """The id of a new user `<prefix><name>`; domains by full name."""
        wanted = {"name": self.prefix + name, "email": self.email(name), "domains": [*domains]}
        if display is not None:
            wanted["displayName"] = display
        return str(self.made_as("users", wanted)["id"])

    def add_users(self, names: Sequence[str]) -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda name: self.add_user(name, f"Paged {name}"), names))

    def add_domain(self, name: str) -> str:
        """The full name of a new domain."""
        wanted = {"name": self.prefix + name, "description": "made by a test",
                  "domainType": "Aggregate"}  # fmt: skip
        return str(self.made_as("domains", wanted)["fullyQualifiedName"])

    def add_team(self, name: str, domain: str, users: Sequence[str]) -> None:
        """A team whose members inherit its domain."""
        wanted = {"name": self.prefix + name, "teamType": "Group", "domains": [domain],
                  "users": [*users]}  # fmt: skip
        self.made_as("teams", wanted)

    def email(self, name: str) -> str:
        return f"{self.prefix}{name}@example.com"

    def user(self, user_id: str, *, who: str = "admin") -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", f"users/{user_id}?fields=domains", who=who).json()
        return found

    def edit(self, user_id: str, path: str, value: Any) -> None:
        """As somebody else would."""
        operations = [{"op": "add", "path": path, "value": value}]
        answer = self.call("PATCH", f"users/{user_id}", body=operations, patch=True)
        assert answer.is_success, answer.text[:500]

    def delete(self, user_id: str) -> None:
        assert self.call("DELETE", f"users/{user_id}").is_success

    def clean(self) -> list[str]:
        """Remove everything made here, domains last; what could not be removed."""
        with ThreadPoolExecutor(8) as pool:
            people = [made for made in self.made if made[0] != "domains"]
            left = [*filter(None, pool.map(self._remove, people))]
        domains = [made for made in reversed(self.made) if made[0] == "domains"]
        left += filter(None, map(self._remove, domains))
        self.client.close()
        return left

    def _remove(self, made: tuple[str, str]) -> str:
        path, identifier = made
        answer = self.call("DELETE", f"{path}/{identifier}?hardDelete=true&recursive=true")
        gone = answer.is_success or answer.status_code == 404
        return "" if gone else f"{path}/{identifier}: {answer.status_code}"


def prefix() -> str:
    return f"steward-test-{secrets.token_hex(4)}-"


def simulated(version: str = "2.0.6", name: str = "") -> Iterator[Target]:
    accounts = {"admin": "portal-admin", "bot": "ingestion-bot", "user": "dana.fox"}
    with StandIn(seed=seeding.seed_demo, version=version) as server:
        tokens = {who: server.token(account) for who, account in accounts.items()}
        found = Target(server.url, tokens, name or prefix(), FEW, simulated=True)
        yield found
        left = found.clean()
    assert not left, f"could not be removed again: {left}"


def real() -> Iterator[Target]:
    tokens = {who: token for who in IDENTITIES if (token := token_of(who))}
    assert "admin" in tokens, f"{URL} needs TEST_OPENMETADATA_ADMIN_JWT_FILE, too"
    found = Target(configured(), tokens, prefix(), MANY)
    try:
        yield found
    finally:
        left = found.clean()
    assert not left, f"could not be removed again: {left}"
