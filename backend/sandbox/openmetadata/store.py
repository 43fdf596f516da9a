"""What the stand-in remembers: users, teams, domains, who did what, kept in a file on demand."""

import copy
import json
import secrets
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

Json = dict[str, Any]
#: Fields that a server only returns when the caller names them.
OPTIONAL_FIELDS = (
    "profile",
    "teams",
    "roles",
    "inheritedRoles",
    "personas",
    "inheritedPersonas",
    "defaultPersona",
    "domains",
    "lastLoginTime",
)
_KEPT = ("users", "domains", "teams", "history", "signing_key", "touched")


class Store:
    """Entities by id. Every change goes through `save`, which the server calls under `lock`.

    Users are stored with their direct domains only; `view` adds the ones of their teams,
    flagged inherited, as the server does when it answers.
    """

    def __init__(self, state_file: Path | None = None) -> None:
        self.lock = threading.RLock()
        self.users: dict[str, Json] = {}
        self.domains: dict[str, Json] = {}
        self.teams: dict[str, Json] = {}
        self.history: dict[str, list[Json]] = {}
        #: user id → (principal, milliseconds) of the last change, for session consolidation.
        self.touched: dict[str, list[Any]] = {}
        self.signing_key = secrets.token_hex(16)
        self.extra_keys: Json = {}
        self._by_name: dict[str, str] = {}
        self._order: list[str] | None = None
        self._listed: dict[tuple[str | None, ...], list[str]] = {}
        self._file = state_file

    def load(self, seed: Callable[["Store"], None] | None) -> None:
        """Read the state file; run the seed when there is none."""
        if self._file is not None and self._file.exists():
            raw = json.loads(self._file.read_text())
            for name in _KEPT:
                setattr(self, name, raw[name])
            self._by_name = {user["name"]: key for key, user in self.users.items()}
            return
        if seed is not None:
            seed(self)
        self.save()

    def save(self) -> None:
        """Write the state file, whole or not at all."""
        if self._file is None:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        scratch = self._file.with_suffix(".tmp")
        scratch.write_text(json.dumps({name: getattr(self, name) for name in _KEPT}))
        scratch.replace(self._file)

    # --- making things -------------------------------------------------------------------

    def add_domain(self, name: str, *, parent: str | None = None, identifier: str = "") -> Json:
        """A domain; parent is the FQN of another one."""
        key = identifier or _stable_id("domain", f"{parent or ''}.{name}")
        quoted = f'"{name}"' if "." in name else name
        fqn = f"{parent}.{quoted}" if parent else quoted
        self.domains[key] = {
            "id": key,
            "domainType": "Aggregate",
            "name": name,
            "fullyQualifiedName": fqn,
            "displayName": name,
            "description": f"Everything about {name}.",
            "version": 0.1,
            "updatedAt": now_ms(),
            "updatedBy": "admin",
            "children": [],
        }
        return self.domains[key]

    def add_team(self, name: str, *, domains: tuple[str, ...] = ()) -> Json:
        """A team; its domains (by FQN) are inherited by its members."""
        key = _stable_id("team", name)
        self.teams[key] = {"id": key, "name": name, "domains": [self.domain_id(d) for d in domains]}
        return self.teams[key]

    def add_user(
        self,
        name: str,
        *,
        email: str | None = None,
        display_name: str | None = None,
        domains: tuple[str, ...] = (),
        teams: tuple[str, ...] = (),
        is_admin: bool = False,
        is_bot: bool = False,
        identifier: str = "",
        **more: Any,
    ) -> Json:
        """A user; domains by FQN, teams by name."""
        key = identifier or _stable_id("user", name)
        lowered = name.lower()
        user: Json = {
            "id": key,
            "name": lowered,
            "fullyQualifiedName": f'"{lowered}"' if "." in lowered else lowered,
            "version": 0.1,
            "updatedAt": now_ms(),
            "updatedBy": "admin",
            "email": email if email is not None else f"{lowered}@example.com",
            "isBot": is_bot,
            "isAdmin": is_admin,
            "teams": [self.team_ref(t) for t in teams],
            "roles": [],
            "inheritedRoles": [],
            "personas": [],
            "domains": [self.domain_ref(self.domain_id(d)) for d in domains],
            "deleted": False,
            **more,
        }
        if display_name is not None:
            user["displayName"] = display_name
        self.users[key] = user
        self._by_name[lowered] = key
        self._order = None
        self._listed.clear()
        return user

    def replace_user(self, user: Json) -> None:
        """Store the new state of a user (a copy is kept)."""
        if user["name"] not in self._by_name:
            self._order = None
        self.users[user["id"]] = user
        self._by_name[user["name"]] = user["id"]
        self._listed.clear()

    def edit_user(self, name: str, /, *, by: str, **changes: Any) -> Json:
        """What somebody else does meanwhile: display_name=…, domains=(FQN, …), deleted=…, name=…"""
        with self.lock:
            user = copy.deepcopy(self.users[self._by_name[name]])
            if "domains" in changes:
                wanted = changes.pop("domains")
                user["domains"] = [self.domain_ref(self.domain_id(d)) for d in wanted]
            if "display_name" in changes:
                user["displayName"] = changes.pop("display_name")
            if "name" in changes:
                del self._by_name[user["name"]]
            user.update(changes)
            user.update(version=next_version(user), updatedAt=now_ms(), updatedBy=by)
            self.replace_user(user)
            self.save()
            return user

    # --- looking things up ---------------------------------------------------------------

    def user_named(self, name: str) -> Json | None:
        key = self._by_name.get(name.strip('"').lower())
        return self.users.get(key) if key else None

    def listed(self, include: str, is_bot: str | None, is_admin: str | None) -> list[str]:
        """Ids of the users a listing shows, by name, as the server pages through them."""
        wanted = (include, is_bot, is_admin)
        if wanted not in self._listed:
            self._listed[wanted] = [key for key in self.ordered() if self._shows(key, *wanted)]
        return self._listed[wanted]

    def _shows(self, key: str, include: str, is_bot: str | None, is_admin: str | None) -> bool:
        user = self.users[key]
        if include != "all" and user["deleted"] != (include == "deleted"):
            return False
        flags = (("isBot", is_bot), ("isAdmin", is_admin))
        return all(value is None or user[flag] == (value == "true") for flag, value in flags)

    def ordered(self) -> list[str]:
        """Every user id by name."""
        if self._order is None:
            self._order = [self._by_name[name] for name in sorted(self._by_name)]
        return self._order

    def domain_id(self, fqn: str) -> str:
        for key, domain in self.domains.items():
            if domain["fullyQualifiedName"] == fqn:
                return key
        raise KeyError(fqn)

    def domain_ref(self, key: str, *, inherited: bool = False) -> Json:
        domain = self.domains[key]
        ref = {
            "id": key,
            "type": "domain",
            "name": domain["name"],
            "fullyQualifiedName": domain["fullyQualifiedName"],
            "displayName": domain["displayName"],
            "deleted": False,
        }
        return {**ref, "inherited": True} if inherited else ref

    def view(self, user: Json, fields: frozenset[str]) -> Json:
        """The user as answered: optional fields only when named, team domains flagged."""
        everything = "*" in fields
        shown = {
            key: value
            for key, value in user.items()
            if key not in OPTIONAL_FIELDS or everything or key in fields
        }
        if everything or "domains" in fields:
            shown["domains"] = [*user["domains"], *self.inherited_domains(user)]
        if "displayName" in shown and shown["displayName"] is None:
            del shown["displayName"]
        return {**shown, **self.extra_keys}

    def inherited_domains(self, user: Json) -> list[Json]:
        direct = {ref["id"] for ref in user["domains"]}
        found: dict[str, Json] = {}
        for ref in user["teams"]:
            for key in self.teams.get(ref["id"], {}).get("domains", []):
                if key not in direct:
                    found[key] = self.domain_ref(key, inherited=True)
        return list(found.values())

    def team_ref(self, name: str) -> Json:
        key = _stable_id("team", name)
        if key not in self.teams:
            self.add_team(name)
        return {"id": key, "type": "team", "name": name, "fullyQualifiedName": name}

    def team_ref_by_id(self, key: str) -> Json:
        return self.team_ref(self.teams[key]["name"])

    def remove_user(self, key: str) -> None:
        user = self.users.pop(key)
        del self._by_name[user["name"]]
        self._order = None
        self._listed.clear()


def next_version(user: Json) -> float:
    """One tenth more, without the noise of binary fractions."""
    return round(float(user["version"]) + 0.1, 1)


def now_ms() -> int:
    return int(time.time() * 1000)


def _stable_id(kind: str, name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"standin/{kind}/{name.lower()}"))
