"""What the gateway returns: users, domains, versions; only the fields the portal uses."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from backend.core import clock

_WARN_AHEAD = timedelta(days=14)


class DomainRef(msgspec.Struct, frozen=True, gc=False):
    """A domain as a user refers to it. fqn equals name for a top-level domain."""

    id: str
    name: str
    fqn: str


class StoredUser(msgspec.Struct, frozen=True, gc=False):
    """A user as OpenMetadata stores it.

    domains: the direct ones, sorted by id; inherited: those that come from teams (read-only here).
    version grows by 0.1 with most changes; updated_at is in milliseconds since 1970. texts: further
    attributes that the gateway was asked to read.
    """

    id: str
    name: str
    email: str
    display_name: str | None
    version: float | None
    updated_at: int | None
    updated_by: str | None
    is_bot: bool
    deleted: bool
    domains: tuple[DomainRef, ...]
    inherited: tuple[DomainRef, ...]
    texts: Mapping[str, str] = {}


@dataclass(frozen=True)
class UserPage:
    """One page of the listing; unreadable counts the entries without id or name."""

    users: list[StoredUser]
    total: int | None
    unreadable: int = 0


@dataclass(frozen=True)
class Domain:
    id: str
    name: str
    fqn: str
    display_name: str | None

    @property
    def ref(self) -> DomainRef:
        return DomainRef(id=self.id, name=self.name, fqn=self.fqn)


@dataclass(frozen=True)
class ServerVersion:
    """text as the server says it; parts empty when it cannot be read ("garbage")."""

    text: str
    parts: tuple[int, ...]

    @property
    def too_old(self) -> bool:
        """Before the supported ones; a version that cannot be read is judged by its answers."""
        return bool(self.parts) and self.parts < (1, 9)

    @property
    def stores_domains_with_if_match(self) -> bool:
        """Servers before the fix after 1.13.0 answer 200 to such a PATCH and store nothing."""
        return self.parts >= (2, 0)

    @property
    def rules(self) -> str:
        """How the portal writes to this version, in one sentence."""
        if not self.parts:
            return "The version cannot be read; every answer is compared with what was asked."
        if self.parts >= (2, 0):
            return "Rules of 2.0 and newer: every change is guarded by If-Match and compared."
        if self.parts >= (1, 10):
            return "Rules of 1.10 to 1.13: name changes are guarded, domain changes read back."
        return "Rules of 1.9: the server has no If-Match; every change is read back."

    @property
    def keeps_bot_names(self) -> bool:
        """From 2.0 on a bot's change of a display name is silently dropped beside other changes."""
        return self.parts >= (2, 0)


@dataclass(frozen=True)
class Probe:
    """A proven connection: who the token is, and what to know about it.

    may_rename: None where only a role of the account tells. users: how many the server lists.
    page_ms: how long it took to list `page_users` of them.
    """

    version: str
    principal: str
    email: str
    is_bot: bool
    is_admin: bool
    token_expires_at: datetime | None
    warnings: tuple[str, ...]
    sees_emails: bool = True
    may_rename: bool | None = None
    users: int | None = None
    page_users: int = 0
    page_ms: float = 0.0

    @property
    def expiring(self) -> tuple[str, ...]:
        """A warning when the token ends within two weeks; who tests a connection knows that of
        every secret already."""
        at = self.token_expires_at
        if at is None or at - clock.now() >= _WARN_AHEAD:
            return ()
        return (f"The token expires on {at:%Y-%m-%d at %H:%M} UTC: make a new one.",)


@dataclass(frozen=True)
class Preflight:
    """What the portal may do at a server, found out without changing anything there.

    if_match: whether the server refuses a change of what somebody else changed meanwhile.
    rules: which version's rules the portal follows, in one sentence.
    """

    server_version: str
    principal: str
    is_admin: bool
    is_bot: bool
    sees_emails: bool
    may_rename: bool | None
    if_match: bool | None
    users: int | None
    page_users: int
    page_ms: float
    rules: str
    warnings: tuple[str, ...]


def is_masked(email: str) -> bool:
    """Whether the server hid this address from the caller (`********@masked.com`)."""
    return email.endswith("@masked.com") and email.startswith("***")


def domain_ref(raw: Mapping[str, Any]) -> DomainRef:
    """A reference from a JSON object; absent names fall back on the id."""
    identifier = str(raw.get("id") or "")
    fqn = str(raw.get("fullyQualifiedName") or raw.get("name") or identifier)
    return DomainRef(id=identifier, name=str(raw.get("name") or fqn), fqn=fqn)
