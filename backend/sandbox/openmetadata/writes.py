"""What PATCH, PUT, POST and DELETE do to a user, by server version, as `server-writes` found it."""

import copy
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import jsonpatch

from backend.sandbox.openmetadata import policy
from backend.sandbox.openmetadata.policy import Principal, Refused
from backend.sandbox.openmetadata.store import Json, Store, next_version, now_ms

IfMatch = Literal["enforced", "ignored", "echo_only"]
CONSOLIDATION_MS = 10 * 60 * 1000
_FIXED = (
    "id",
    "name",
    "fullyQualifiedName",
    "email",
    "inheritedRoles",
    "inheritedPersonas",
    "authenticationMechanism",
)
_IGNORED = ("/href", "/changeDescription", "/incrementalChangeDescription")


@dataclass(frozen=True)
class Rules:
    """How this version behaves.

    if_match: enforced; ignored (before it existed); echo_only (enforced, but a domain change sent
    with it is answered as if stored and is not).
    """

    parts: tuple[int, ...]
    if_match: IfMatch

    @property
    def keeps_bot_names(self) -> bool:
        return self.parts >= (2, 0)


def rules_for(version: str, if_match: str) -> Rules:
    parts = tuple(int(p) for p in version.split("-")[0].split(".")[:3])
    if if_match != "auto":
        # mypy: Literal; the caller took it from the same words
        return Rules(parts, if_match)  # type: ignore[arg-type]
    if parts < (1, 10):
        return Rules(parts, "ignored")
    return Rules(parts, "echo_only" if parts <= (1, 13, 0) else "enforced")


def patch(
    store: Store,
    rules: Rules,
    who: Principal,
    key: str,
    operations: Sequence[Any],
    if_match: str | None,
) -> Json:
    """Apply a JSON Patch; the stored user after it. Raises Refused."""
    user = _existing(store, key)
    wanted = [op for op in operations if isinstance(op, dict) and op.get("path") not in _IGNORED]
    policy.check_patch(who, wanted, user)
    guarded = if_match is not None and rules.if_match != "ignored"
    if guarded and if_match not in ("*", f'W/"{float(user["version"])!r}"'):
        raise Refused(
            412,
            f'The entity has been modified. Current ETag: W/"{user["version"]}". '
            "Please refresh and retry with the latest version.",
        )
    changed = _patched(store, user, wanted)
    changed["domains"] = _direct_domains(store, changed.get("domains") or [])
    if who.is_bot and rules.keeps_bot_names and user.get("displayName"):
        changed["displayName"] = user["displayName"]
    answer = copy.deepcopy(changed)
    if guarded and rules.if_match == "echo_only":
        changed["domains"] = user["domains"]
    return _store(store, user, changed, who, answer=answer, consolidate=if_match is None)


def put(store: Store, rules: Rules, who: Principal, body: Json) -> tuple[Json, bool]:
    """Create or replace a user: what the body leaves out is gone. (user, created)."""
    if not body.get("name") or not body.get("email"):
        raise Refused(400, "[name must not be null]" if not body.get("name") else "email is null")
    name = str(body["name"]).lower()
    user = store.user_named(name)
    policy.check_put(who, body, user)
    mapped = _mapped(store, body)
    if user is None:
        created = _new_user(name, str(body["email"]), mapped, who)
        store.replace_user(created)
        return created, True
    changed = {**{k: v for k, v in user.items() if k in (*_FIXED, "version", "history")}, **mapped}
    changed["email"], changed["deleted"] = user["email"], False
    for kept in ("allowImpersonation", "extension"):
        if kept in user:
            changed[kept] = user[kept]
    if who.is_bot:
        if user["domains"]:
            changed["domains"] = user["domains"]
        if user.get("description"):
            changed["description"] = user["description"]
        if rules.keeps_bot_names and user.get("displayName"):
            changed["displayName"] = user["displayName"]
    return _store(store, user, changed, who, answer=None, consolidate=True), False


def make(store: Store, who: Principal, kind: str, body: Json) -> Json:
    """Create a domain, or a team with the users and the domains (by full name) it names."""
    policy.check_admin(who)
    name = str(body.get("name") or "")
    if not name:
        raise Refused(400, "[name must not be null]")
    try:
        if kind == "domains":
            made = store.add_domain(name, parent=body.get("parent"))
        else:
            made = store.add_team(name, domains=tuple(body.get("domains") or ()))
            for key in body.get("users") or ():
                user = _existing(store, str(key))
                user["teams"] = [*user["teams"], store.team_ref(name)]
    except KeyError as exc:
        raise Refused(404, f"domain instance for {exc.args[0]} not found") from None
    store.save()
    return made


def remove(store: Store, who: Principal, kind: str, key: str) -> Json:
    """Delete a domain or a team, and what users have of it."""
    policy.check_admin(who)
    held = store.domains if kind == "domains" else store.teams
    if key not in held:
        raise Refused(404, f"{kind[:-1]} instance for {key} not found")
    for user in store.users.values():
        user[kind] = [ref for ref in user[kind] if ref["id"] != key]
    gone = held.pop(key)
    store.save()
    return gone


def delete(store: Store, who: Principal, key: str, *, hard: bool) -> Json:
    # The server finds whatever is there (Include.ALL) to delete it for good.
    user = store.users[key] if hard and key in store.users else _existing(store, key)
    policy.check_admin(who)
    gone = {**copy.deepcopy(user), "deleted": True, "version": next_version(user)}
    gone.update(updatedAt=now_ms(), updatedBy=who.name)
    store.replace_user(gone)
    if hard:
        store.remove_user(key)
    return gone


def _existing(store: Store, key: str) -> Json:
    user = store.users.get(key)
    if user is None or user["deleted"]:
        raise Refused(404, f"user instance for {key} not found")
    return user


def _patched(store: Store, user: Json, operations: list[Json]) -> Json:
    """The document the patch is applied to holds the inherited domains, as on the server."""
    document = copy.deepcopy(user)
    document["domains"] = [*document["domains"], *store.inherited_domains(user)]
    try:
        changed: Json = jsonpatch.apply_patch(document, operations)
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError) as exc:
        raise Refused(
            500, f"An exception with message [{exc}] was thrown while processing request."
        ) from exc
    for field in _FIXED:
        if field in user:
            changed[field] = user[field]
        else:
            changed.pop(field, None)
    return changed


def _direct_domains(store: Store, refs: list[Any]) -> list[Json]:
    found = []
    for ref in refs:
        if not isinstance(ref, dict) or not ref.get("id") or not ref.get("type"):
            raise Refused(400, "a reference needs id and type")
        if ref.get("inherited"):
            continue
        if ref["id"] not in store.domains:
            raise Refused(404, f"domain instance for {ref['id']} not found")
        found.append(store.domain_ref(ref["id"]))
    return found


def _mapped(store: Store, body: Json) -> Json:
    """CreateUserRequest → a complete user; an absent key is a value, too."""
    organization = [store.team_ref("Organization")]
    mapped: Json = {
        "isBot": bool(body.get("isBot", False)),
        "isAdmin": bool(body.get("isAdmin", False)),
        "teams": [store.team_ref_by_id(t) for t in body.get("teams") or ()] or organization,
        "roles": [{"id": r, "type": "role", "name": r} for r in body.get("roles") or ()],
        "personas": [],
        "domains": [_domain_by_fqn(store, fqn) for fqn in body.get("domains") or ()],
        "deleted": False,
    }
    for field in ("displayName", "description", "profile", "timezone"):
        if body.get(field) is not None:
            mapped[field] = body[field]
    return mapped


def _domain_by_fqn(store: Store, fqn: str) -> Json:
    try:
        return store.domain_ref(store.domain_id(fqn))
    except KeyError:
        raise Refused(404, f"domain instance for {fqn} not found") from None


def _new_user(name: str, email: str, mapped: Json, who: Principal) -> Json:
    return {
        "id": str(uuid.uuid4()),
        "name": name,
        "fullyQualifiedName": f'"{name}"' if "." in name else name,
        "version": 0.1,
        "updatedAt": now_ms(),
        "updatedBy": who.name,
        "email": email,
        "inheritedRoles": [],
        **mapped,
    }


def _store(
    store: Store,
    before: Json,
    after: Json,
    who: Principal,
    *,
    answer: Json | None,
    consolidate: bool,
) -> Json:
    """Keep the change and answer with it. `answer` differs on servers that only echo."""
    shown = after if answer is None else answer
    if _same(before, shown):
        return before
    last = store.touched.get(before["id"])
    merged = (
        consolidate
        and last is not None
        and last[0] == who.name
        and now_ms() - last[1] < CONSOLIDATION_MS
    )
    stamp = {
        "version": before["version"] if merged else next_version(before),
        "updatedAt": now_ms(),
        "updatedBy": who.name,
        "changeDescription": _description(before, shown),
    }
    after.update(stamp)
    store.touched[before["id"]] = [who.name, now_ms()]
    store.history.setdefault(before["id"], []).append(copy.deepcopy(before))
    store.replace_user(after)
    store.save()
    return {**shown, **stamp}


_AUDIT = ("version", "updatedAt", "updatedBy", "changeDescription", "history")


def _same(before: Json, after: Json) -> bool:
    def bare(user: Json) -> Json:
        return {k: v for k, v in user.items() if k not in _AUDIT and v not in (None, [])}

    return bare(before) == bare(after)


def _description(before: Json, after: Json) -> Json:
    added, updated, deleted = [], [], []
    for key in sorted((before.keys() | after.keys()) - set(_AUDIT)):
        old, new = before.get(key), after.get(key)
        if old == new or (not old and not new):
            continue
        if not old:
            added.append({"name": key, "newValue": _text(new)})
        elif not new:
            deleted.append({"name": key, "oldValue": _text(old)})
        else:
            updated.append({"name": key, "oldValue": _text(old), "newValue": _text(new)})
    return {
        "fieldsAdded": added,
        "fieldsUpdated": updated,
        "fieldsDeleted": deleted,
        "previousVersion": before["version"],
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
