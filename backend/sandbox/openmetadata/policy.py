"""Who may do what at the stand-in: signed tokens, admins, bots and DefaultBotPolicy."""

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from typing import Any

from backend.sandbox.openmetadata.store import Json, Store


class Refused(Exception):
    """The server's answer to a call it will not do."""

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"code": status, "message": message, **more}


@dataclass(frozen=True)
class Principal:
    name: str
    is_admin: bool
    is_bot: bool
    may_edit_users: bool


def make_token(store: Store, name: str, expires_in: float | None) -> str:
    """A JWT of the account, signed with the store's key; expires_in in seconds, None: never."""
    user = store.user_named(name)
    if user is None:
        raise KeyError(name)
    claims: Json = {"sub": name, "email": user["email"], "isBot": user["isBot"], "iss": "standin"}
    if expires_in is not None:
        claims["exp"] = int(time.time() + expires_in)
    head = _b64(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    body = _b64(json.dumps(claims).encode())
    return f"{head}.{body}.{_signature(store, f'{head}.{body}')}"


def principal(store: Store, authorization: str | None) -> Principal:
    """Who calls. Raises Refused 401 as the server words it."""
    if not authorization:
        raise Refused(401, "Not Authorized! Token not present")
    kind, _, token = authorization.partition(" ")
    parts = token.split(".")
    if kind != "Bearer" or len(parts) != 3:
        raise Refused(401, "Not Authorized! Invalid Token")
    if not hmac.compare_digest(parts[2], _signature(store, f"{parts[0]}.{parts[1]}")):
        raise Refused(401, "Not Authorized! Invalid Token")
    claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    if claims.get("exp") is not None and claims["exp"] <= time.time():
        raise Refused(401, "Expired token!")
    user = store.user_named(claims["sub"])
    if user is None or user["deleted"]:
        raise Refused(404, f"user instance for {claims['sub']} not found")
    roles = {role["name"] for role in user["roles"]}
    return Principal(
        name=user["name"],
        is_admin=bool(user["isAdmin"]),
        is_bot=bool(user["isBot"]),
        may_edit_users=bool(user["isAdmin"]) or bool(user["isBot"]) or "UserEditor" in roles,
    )


def masked(who: Principal, user: Json) -> Json:
    """The user as this caller sees it: e-mails are hidden from all but admins and bots."""
    if who.is_admin or who.is_bot:
        return user
    return {**user, "email": "********@masked.com"}


def check_admin(who: Principal) -> None:
    """Raises Refused for everybody else."""
    if not who.is_admin:
        raise Refused(403, f"Principal: CatalogPrincipal{{name='{who.name}'}} is not admin")


def check_patch(who: Principal, operations: list[Json], user: Json) -> None:
    """The permission of a PATCH: the operation of its paths. Raises Refused 403."""
    paths = {str(op.get("path", "")) for op in operations}
    if any(p in ("/isAdmin", "/isBot", "") or "/roles" in p for p in paths) and not who.is_admin:
        raise Refused(403, f"Principal: CatalogPrincipal{{name='{who.name}'}} is not admin")
    if who.is_bot and paths == {"/displayName"}:
        raise _denied(who, "EditDisplayName", "DefaultBotRole", "DefaultBotPolicy")
    if not who.may_edit_users and user["name"] != who.name:
        operation = "EditDisplayName" if paths == {"/displayName"} else "EditAll"
        raise Refused(
            403,
            f"Principal: CatalogPrincipal{{name='{who.name}'}} "
            f"operations [{operation}] not allowed",
        )


def check_put(who: Principal, body: Json, user: Json | None) -> None:
    if not who.may_edit_users and (user is None or user["name"] != who.name):
        raise Refused(
            403, f"Principal: CatalogPrincipal{{name='{who.name}'}} operation EditAll not allowed"
        )
    raises = [key for key in ("isAdmin", "isBot") if body.get(key)]
    if raises and not who.is_admin and not (user and user.get(raises[0])):
        raise Refused(403, f"Principal: CatalogPrincipal{{name='{who.name}'}} is not admin")


def _denied(who: Principal, operation: str, role: str, policy: str) -> Refused:
    return Refused(
        403,
        f"Principal: CatalogPrincipal{{name='{who.name}'}} operation {operation} denied by "
        f"role {role}, policy {policy}, rule DisplayName-Deny",
    )


def _signature(store: Store, text: str) -> str:
    return _b64(hmac.new(store.signing_key.encode(), text.encode(), hashlib.sha256).digest())


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
