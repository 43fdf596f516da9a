"""One exchange of each kind that the stand-in models, and how two answers to it are compared.

What only the server says is no difference: the portal reads what it knows. What the stand-in says
must be said by the server, too.
"""

import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from tests.openmetadata_server.target import Target, principal_of

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
#: Different at any two servers, and at any two moments.
VOLATILE = {
    "href", "updatedAt", "timestamp", "revision", "version", "total", "after", "before",
    "authMechanism", "previousVersion",
}  # fmt: skip
NOBODY = str(uuid.UUID(int=7))


@dataclass(frozen=True)
class Exchange:
    """name: what it shows. pick: the part of an answer that is compared, "" for all of it.

    path and body may name what was made for it: {ann}, {bea} (users), {fin} (a domain's id), …
    """

    name: str
    method: str
    path: str
    who: str = "admin"
    body: Any = None
    if_match: str = ""
    authorization: str | None = None
    pick: str = ""

    @property
    def patch(self) -> bool:
        return self.method == "PATCH"


def _name(value: str) -> list[dict[str, Any]]:
    return [{"op": "add", "path": "/displayName", "value": value}]


def _domains(*keys: str) -> list[dict[str, Any]]:
    refs = [{"id": key, "type": "domain"} for key in keys]
    return [{"op": "add", "path": "/domains", "value": refs}]


#: In this order: later ones see what earlier ones stored.
EXCHANGES = (
    Exchange("version", "GET", "system/version", who=""),
    Exchange("admin's who-am-i", "GET", "users/loggedInUser", pick="isAdmin"),
    Exchange("bot's who-am-i", "GET", "users/loggedInUser", who="bot", pick="isBot"),
    Exchange("no token", "GET", "users?limit=1", who=""),
    Exchange("no token at all in the header", "GET", "users?limit=1", who="",
             authorization="Bearer nonsense"),
    Exchange("the word in lower case", "GET", "users?limit=1", authorization="bearer {token}"),
    Exchange("a page of no users", "GET", "users?limit=0", pick="data"),
    Exchange("a page of fewer than none", "GET", "users?limit=-1"),
    Exchange("a page of too many", "GET", "users?limit=1000001"),
    Exchange("both cursors", "GET", "users?limit=1&after=x&before=y"),
    Exchange("an unknown field", "GET", "users?limit=1&fields=shoeSize"),
    Exchange("a user without fields", "GET", "users/{ann}"),
    Exchange("a user", "GET", "users/{ann}?fields=domains"),
    Exchange("a user as the bot sees it", "GET", "users/{ann}?fields=domains", who="bot"),
    Exchange("a user as others see it", "GET", "users/{ann}?fields=domains", who="user"),
    Exchange("a user by name", "GET", "users/name/{prefix}ann?fields=domains"),
    Exchange("a user who inherits", "GET", "users/{ida}?fields=domains"),
    Exchange("an unknown user", "GET", "users/" + NOBODY),
    Exchange("a domain", "GET", "domains/{fin}"),
    Exchange("a domain by name", "GET", "domains/name/{prefix}fin"),
    Exchange("an unknown domain", "GET", "domains/" + NOBODY),
    Exchange("nothing changed", "PATCH", "users/{ann}", body=[]),
    Exchange("a name", "PATCH", "users/{ann}", body=_name("Ann B.")),
    Exchange("the same name again", "PATCH", "users/{ann}", body=_name("Ann B.")),
    Exchange("a name read back", "GET", "users/{ann}?fields=domains"),
    Exchange("domains", "PATCH", "users/{ann}", body=_domains("{res}", "{fin}")),
    Exchange("domains read back", "GET", "users/{ann}?fields=domains"),
    Exchange("no domains", "PATCH", "users/{ann}", body=_domains()),
    Exchange("no domains read back", "GET", "users/{ann}?fields=domains"),
    Exchange("a description", "PATCH", "users/{ann}",
             body=[{"op": "add", "path": "/description", "value": "Buys things"}]),
    Exchange("a name taken away", "PATCH", "users/{ann}",
             body=[{"op": "remove", "path": "/displayName"}]),
    Exchange("a name taken away read back", "GET", "users/{ann}?fields=domains"),
    Exchange("a domain that is none", "PATCH", "users/{ann}", body=_domains(NOBODY)),
    Exchange("after a domain that is none", "GET", "users/{ann}?fields=domains"),
    Exchange("a version nobody has", "PATCH", "users/{bea}", body=_name("X"), if_match='W/"0.0"'),
    Exchange("the strong tag", "PATCH", "users/{bea}", body=_name("Y"), if_match='"0.1"'),
    Exchange("after both", "GET", "users/{bea}?fields=domains"),
    Exchange("a guarded domain", "PATCH", "users/{cat}", body=_domains("{fin}"),
             if_match='W/"{version:cat}"'),
    Exchange("a guarded domain read back", "GET", "users/{cat}?fields=domains"),
    Exchange("others change a name", "PATCH", "users/{bea}", who="user", body=_name("Z")),
    Exchange("a bot changes a name", "PATCH", "users/{bea}", who="bot", body=_name("Z")),
    Exchange("a bot changes both", "PATCH", "users/{bea}", who="bot",
             body=[*_name("Z"), *_domains("{fin}")]),
    Exchange("what the bot changed", "GET", "users/{bea}?fields=domains"),
    Exchange("an unknown user's patch", "PATCH", "users/" + NOBODY, body=_name("X")),
    Exchange("an address is fixed", "PATCH", "users/{bea}",
             body=[{"op": "add", "path": "/email", "value": "other@example.com"}]),
    Exchange("after the address", "GET", "users/{bea}"),
    Exchange("a deletion", "DELETE", "users/{dan}", pick="deleted"),
    Exchange("the deleted", "GET", "users/{dan}"),
    Exchange("the deleted, asked for", "GET", "users/{dan}?include=all"),
    Exchange("a patch of the deleted", "PATCH", "users/{dan}", body=_name("X")),
)  # fmt: skip


@dataclass
class Stage:
    """What is made for the exchanges at one server."""

    target: Target
    ids: dict[str, str]

    @classmethod
    def at(cls, target: Target) -> "Stage":
        fin, res = target.add_domain("fin"), target.add_domain("res")
        ids = {name: target.add_user(name, name.capitalize(), [fin])
               for name in ("ann", "bea", "cat", "dan")}  # fmt: skip
        ids["ida"] = target.add_user("ida", "Ida")
        target.add_team("ida-team", res, [ids["ida"]])
        for short, fqn in (("fin", fin), ("res", res)):
            ids[short] = target.call("GET", f"domains/name/{fqn}").json()["id"]
        return cls(target, ids)

    def filled(self, value: Any) -> Any:
        """A path or a body with the names in braces filled in."""
        if isinstance(value, str):
            for name, identifier in self.ids.items():
                value = value.replace(f"{{{name}}}", identifier)
                if f"{{version:{name}}}" in value:
                    version = str(float(self.target.user(identifier)["version"]))
                    value = value.replace(f"{{version:{name}}}", version)
            return value.replace("{prefix}", self.target.prefix)
        if isinstance(value, list):
            return [self.filled(item) for item in value]
        if isinstance(value, dict):
            return {key: self.filled(item) for key, item in value.items()}
        return value

    def ask(self, exchange: Exchange) -> httpx.Response:
        headers = {}
        if exchange.if_match:
            headers["If-Match"] = self.filled(exchange.if_match)
        if exchange.authorization is not None:
            token = self.target.tokens.get(exchange.who, "")
            headers["Authorization"] = exchange.authorization.replace("{token}", token)
        return self.target.call(
            exchange.method,
            self.filled(exchange.path),
            who=exchange.who,
            body=self.filled(exchange.body),
            headers=headers,
            patch=exchange.patch,
        )

    def seen(self, exchange: Exchange) -> dict[str, Any]:
        """An answer as it is compared: status and document, the server's own names left out."""
        answer = self.ask(exchange)
        try:
            document = answer.json()
        except ValueError:
            document = answer.text
        if exchange.pick and isinstance(document, dict):
            document = {exchange.pick: document.get(exchange.pick)}
        if answer.status_code >= 400:
            # Words differ between versions; what the portal makes of them has its own tests.
            document = {"code": document.get("code")} if isinstance(document, dict) else {}
        return {"status": answer.status_code, "answer": self._plain(document)}

    def _plain(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {k: self._plain(v) for k, v in value.items() if k not in VOLATILE}
        if isinstance(value, list):
            plain = [self._plain(item) for item in value]
            return sorted(plain, key=repr)
        return self._text(value) if isinstance(value, str) else value

    def _text(self, text: str) -> str:
        for name, identifier in self.ids.items():
            text = text.replace(identifier, f"<{name}>")
        text = text.replace(self.target.prefix, "<prefix>")
        for who, token in self.target.tokens.items():
            if text == principal_of(token):
                text = f"<{who}>"
        return _UUID.sub("<id>", text)


def differences(standin: Any, server: Any, at: str = "") -> Iterator[str]:
    """Every field that the stand-in says and the server does not, or says otherwise."""
    if isinstance(standin, Mapping) and isinstance(server, Mapping):
        for key, value in standin.items():
            where = f"{at}.{key}" if at else str(key)
            if key in server:
                yield from differences(value, server[key], where)
            elif value not in (None, [], {}, False):
                yield f"{where}: the stand-in says {value!r}, the server nothing"
    elif isinstance(standin, list) and isinstance(server, list):
        if len(standin) != len(server):
            yield f"{at}: the stand-in has {len(standin)} entries, the server {len(server)}"
        for number, (one, other) in enumerate(zip(standin, server, strict=False)):
            yield from differences(one, other, f"{at}[{number}]")
    elif standin != server and not (standin in (None, [], "") and server in (None, [], "")):
        yield f"{at}: the stand-in says {standin!r}, the server {server!r}"
