"""Reads OpenMetadata's JSON: fast for the pages everybody sends, tolerant for the odd one.

msgspec decodes only the keys named here and skips the rest, several times faster than building
every dictionary. A page that does not fit (an e-mail that is a number, a user without id) is read
again with `json` and judged user by user, so that one odd entry never costs a page.
"""

import json
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec

from backend.core.errors import UpstreamError
from backend.integrations.openmetadata.errors import SYSTEM
from backend.integrations.openmetadata.schemas import (
    Domain,
    DomainRef,
    ServerVersion,
    StoredUser,
    UserPage,
    domain_ref,
)


class _Ref(msgspec.Struct, gc=False, rename="camel"):
    id: str
    name: str | None = None
    fully_qualified_name: str | None = None
    inherited: bool | None = None


class _User(msgspec.Struct, gc=False, rename="camel"):
    id: str
    name: str
    email: str
    display_name: str | None = None
    version: float | None = None
    updated_at: int | None = None
    updated_by: str | None = None
    is_bot: bool | None = None
    deleted: bool | None = None
    domains: list[_Ref] | None = None


class _Paging(msgspec.Struct, gc=False):
    after: str | None = None
    total: int | None = None


_NO_DOMAINS: tuple[DomainRef, ...] = ()
_NO_TEXTS: dict[str, str] = {}


@cache
def _decoder(texts: tuple[str, ...]) -> msgspec.json.Decoder[Any]:
    """Of a page whose users have these further texts."""
    user = msgspec.defstruct(
        "_UserWithTexts",
        [(name, str | None, None) for name in texts],
        bases=(_User,),
        gc=False,
        rename="camel",
    )
    page = msgspec.defstruct("_Page", [("data", list[user]), ("paging", _Paging)], gc=False)  # type: ignore[valid-type]  # made here
    return msgspec.json.Decoder(page)


class UserReader:
    """Decodes pages; references are shared between users, so 100,000 users stay small."""

    def __init__(self, texts: Sequence[str] = ()) -> None:
        """texts: further attributes of a user to be read."""
        self._texts = texts
        self._decoder = _decoder(tuple(texts))
        self._refs: dict[str, DomainRef] = {}
        self._alone: dict[str, tuple[DomainRef, ...]] = {}

    def page(self, body: bytes) -> tuple[UserPage, str | None]:
        """The page and the cursor of the next one."""
        try:
            page = self._decoder.decode(body)
        except msgspec.DecodeError:
            return self._tolerant(body)
        convert = self._user
        return UserPage([convert(user) for user in page.data], page.paging.total), (
            page.paging.after or None
        )

    def _user(self, user: _User) -> StoredUser:
        direct, inherited = self._domains(user.domains) if user.domains else (_NO_DOMAINS,) * 2
        return StoredUser(
            user.id,
            user.name,
            user.email,
            user.display_name,
            user.version,
            user.updated_at,
            user.updated_by,
            bool(user.is_bot),
            bool(user.deleted),
            direct,
            inherited,
            {name: text for name in self._texts if (text := getattr(user, name))}
            if self._texts
            else _NO_TEXTS,
        )

    def _domains(self, refs: list[_Ref]) -> tuple[tuple[DomainRef, ...], tuple[DomainRef, ...]]:
        if len(refs) == 1 and not refs[0].inherited:
            known = self._alone.get(refs[0].id)
            if known is None:
                known = self._alone[refs[0].id] = (self._ref(refs[0]),)
            return known, _NO_DOMAINS
        direct = tuple(self._ref(r) for r in sorted(refs, key=lambda r: r.id) if not r.inherited)
        return direct, tuple(self._ref(r) for r in refs if r.inherited)

    def _ref(self, ref: _Ref) -> DomainRef:
        known = self._refs.get(ref.id)
        if known is None:
            fqn = ref.fully_qualified_name or ref.name or ref.id
            known = self._refs[ref.id] = DomainRef(id=ref.id, name=ref.name or fqn, fqn=fqn)
        return known

    def _tolerant(self, body: bytes) -> tuple[UserPage, str | None]:
        data, after, total = _parts(body)
        users = [user for raw in data if (user := stored_user(raw, self._texts)) is not None]
        return UserPage(users, total, unreadable=len(data) - len(users)), after


def domain_page(body: bytes) -> tuple[list[Domain], str | None]:
    """The readable domains of a page and the cursor of the next one."""
    data, after, _ = _parts(body)
    return [d for d in map(domain, data) if d is not None], after


def _parts(body: bytes) -> tuple[list[object], str | None, int | None]:
    raw = document(body)
    data, paging = raw.get("data"), raw.get("paging") or {}
    if not isinstance(data, list) or not isinstance(paging, dict):
        raise UpstreamError(
            SYSTEM, "a list without data or paging", "Check the address and the server's version."
        )
    after, total = paging.get("after"), paging.get("total")
    return data, str(after) if after else None, total if isinstance(total, int) else None


def document(body: bytes) -> dict[str, Any]:
    """A JSON object, or UpstreamError."""
    try:
        raw = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise UpstreamError(
            SYSTEM, "the answer is not JSON", "Check the address and what stands in front of it."
        ) from exc
    if not isinstance(raw, dict):
        raise UpstreamError(SYSTEM, "the answer is not a JSON object", "Check the address.")
    return raw


def stored_user(raw: object, texts: Sequence[str] = ()) -> StoredUser | None:
    """A user from any JSON, with these further texts; None when id or name is missing."""
    if not isinstance(raw, dict) or not raw.get("id") or not raw.get("name"):
        return None
    refs = [r for r in raw.get("domains") or () if isinstance(r, dict) and r.get("id")]
    direct = sorted((domain_ref(r) for r in refs if not r.get("inherited")), key=lambda r: r.id)
    version, updated = raw.get("version"), raw.get("updatedAt")
    name = raw.get("displayName")
    return StoredUser(
        id=str(raw["id"]),
        name=str(raw["name"]),
        email=str(raw.get("email") or ""),
        display_name=None if name is None else str(name),
        version=float(version) if isinstance(version, int | float) else None,
        updated_at=int(updated) if isinstance(updated, int | float) else None,
        updated_by=str(raw["updatedBy"]) if raw.get("updatedBy") else None,
        is_bot=bool(raw.get("isBot")),
        deleted=bool(raw.get("deleted")),
        domains=tuple(direct),
        inherited=tuple(domain_ref(r) for r in refs if r.get("inherited")),
        texts={name: str(raw[name]) for name in texts if raw.get(name)},
    )


def domain(raw: object) -> Domain | None:
    if not isinstance(raw, dict) or not raw.get("id") or not raw.get("name"):
        return None
    ref = domain_ref(raw)
    display = raw.get("displayName")
    return Domain(ref.id, ref.name, ref.fqn, str(display) if display else None)


def server_version(raw: dict[str, Any]) -> ServerVersion:
    """Only `version` is read; a suffix such as -SNAPSHOT is cut from the numbers."""
    text = str(raw.get("version") or "")
    found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return ServerVersion(text, tuple(int(n) for n in found.groups("0")) if found else ())
