"""A user of the directory beside one of OpenMetadata: what differs, by which rule, in words. Pure.

A directory that says nothing about an attribute (null, blank) has no opinion: what OpenMetadata has
stays. Inherited domains are left out of the comparison. Nothing is ever wiped.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from backend.core.database import UNSTORABLE
from backend.integrations.openmetadata.schemas import DomainRef, StoredUser
from backend.user_sync.addresses import hidden, looks_alike
from backend.user_sync.domain_names import DomainNames, Rules, said_domains
from backend.user_sync.fields import ATTRIBUTES, Changes, Text, differing
from backend.user_sync.validation import MAX_EMAIL, MAX_NAME, shown

_NO_REFS: tuple[DomainRef, ...] = ()
ONLY_FORM = "the names differ only in white space or Unicode form"


class PlanRow(msgspec.Struct, gc=False):
    """A row before it is stored (models.SyncRow). domain: what the directory said."""

    position: int
    kind: str
    reason: str
    email: str
    user: StoredUser | None = None
    new_name: str | None = None
    sets_name: bool = False
    look_alike: bool = False
    new_domains: tuple[DomainRef, ...] = _NO_REFS
    sets_domains: bool = False
    domain: str = ""
    texts: dict[str, tuple[str | None, str | None]] | None = None
    unknown: str | None = None

    @property
    def applicable(self) -> bool:
        return self.sets_name or self.sets_domains or self.texts is not None

    @property
    def changes(self) -> Changes:
        user = self.user
        if user is None:
            return {}
        return differing(
            (user.display_name, self.new_name) if self.sets_name else None,
            (user.domains, self.new_domains) if self.sets_domains else None,
            self.texts or {},
        )


#: Differences somebody decided to leave: (user id, field) → (digest of both values, the words).
Ignores = Mapping[tuple[str, str], tuple[str, str]]


class Decided:
    """The differences people left alone, and which of them are there no more.

    outdated: (user id, field, digest) of those where a side has changed. A side without an
    opinion, or an unknown domain, says nothing of the kind.
    """

    def __init__(self, ignores: Ignores) -> None:
        self._ignores = ignores
        self.outdated: list[tuple[str, str, str]] = []

    def left(self, user: StoredUser, field: str, old: object, new: object) -> str:
        """In whose words this very difference is left alone; "" when it is not."""
        known = self._ignores.get((user.id, field)) if self._ignores else None
        if known is None:
            return ""
        if known[0] == mark(field, old, new):
            return known[1]
        self.outdated.append((user.id, field, known[0]))
        return ""


def compared(
    position: int,
    item: Mapping[str, Any],
    user: StoredUser,
    known: DomainNames,
    decided: Decided,
    rules: Rules,
) -> PlanRow:
    row = PlanRow(position, "unchanged", "", item["email"] or "", user)
    left: list[str] = []
    name = (item.get("displayName") or "").strip() if rules.names else ""
    if name:
        row.new_name = name
        row.sets_name = name != user.display_name
        if words := decided.left(user, "displayName", user.display_name, name):
            row.sets_name = False
            left.append(words)
    remarks: list[str] = []
    said = said_domains(item) if rules.domains else ()
    unknown = _compare_domains(row, said, known, decided, rules, left, remarks)
    for attribute in rules.texts:
        _compare_text(row, attribute, item.get(attribute.name), decided, left, remarks)
    if user.email != row.email and user.email.strip().lower() != row.email.strip().lower():
        remarks.append(f"the same address is written {shown(user.email, MAX_EMAIL)} there")
    if left:
        remarks.append("ignored: " + "; ".join(left))
    if row.sets_name:
        row.look_alike = looks_alike(user.display_name or "", name)
        if not name.isascii() and (marks := hidden(name)):
            remarks.append(f"the new name holds invisible characters ({marks})")
    if not row.email.isascii() and (marks := hidden(row.email)):
        remarks.append(f"the directory's e-mail holds invisible characters ({marks})")
    if unknown:
        row.kind = "unknown_domain"
        remarks.insert(0, unknown)
    elif row.applicable:
        row.kind = "update"
        if row.look_alike and not (row.sets_domains or row.texts):
            remarks.insert(0, ONLY_FORM)
    if remarks:
        row.reason = "; ".join(remarks)[:500]
    return row


def _compare_text(
    row: PlanRow,
    attribute: Text,
    said: object,
    decided: Decided,
    left: list[str],
    remarks: list[str],
) -> None:
    """Note the text where it differs; a directory that says nothing has no opinion."""
    user = row.user
    assert user is not None  # noqa: S101 - compared with one
    if said is None or said == "":
        return
    if not isinstance(said, str) or len(said) > MAX_NAME or UNSTORABLE.search(said):
        remarks.append(
            f"the directory's {attribute.label.lower()} cannot be used: no text, longer than "
            f"{MAX_NAME} characters, or characters that no database stores"
        )
        return
    old, new = attribute.stored(user), said.strip()
    if not new:
        return
    if words := decided.left(user, attribute.name, old, new):
        left.append(words)
    elif not attribute.same(old, new):
        row.texts = {**(row.texts or {}), attribute.name: (old, new)}


def _compare_domains(
    row: PlanRow,
    said: tuple[str, ...],
    known: DomainNames,
    decided: Decided,
    rules: Rules,
    left: list[str],
    remarks: list[str],
) -> str:
    """Set the row's new domains; returns why the directory's cannot be taken, or "". Adds the
    words of who ignored the difference, and which rule decided unless it is the usual one."""
    user = row.user
    assert user is not None  # noqa: S101 - compared with one
    row.new_domains = user.domains
    if not said:
        return ""
    row.domain = said[0] if len(said) == 1 else ", ".join(said)
    wanted, note = known.find_all(said)
    if not wanted:
        row.unknown = "\n".join(text.strip() for text in said if not known.find(text)[0])
        return note
    if note:
        remarks.append(note)
    if rules.domain_mode == "add":
        wanted = _joined(user.domains, wanted)
    elif rules.domain_mode == "only_when_empty" and user.domains:
        if _differ(user.domains, wanted):
            remarks.append("the domains stay: only users without any are given some")
        return ""
    if words := decided.left(user, "domains", user.domains, wanted):
        left.append(words)
    elif _differ(user.domains, wanted):
        row.new_domains, row.sets_domains = wanted, True
    return ""


def _differ(old: tuple[DomainRef, ...], new: tuple[DomainRef, ...]) -> bool:
    if len(old) == len(new) == 1:  # by far the usual case
        return old[0].id != new[0].id
    return domain_identity(old) != domain_identity(new)


def _joined(old: tuple[DomainRef, ...], more: tuple[DomainRef, ...]) -> tuple[DomainRef, ...]:
    held = {ref.id for ref in old}
    added = [ref for ref in more if ref.id not in held]
    return tuple(sorted((*old, *added), key=lambda ref: ref.id)) if added else old


def mark(field: str, old: Any, new: Any) -> str:
    """What a difference is recognized by: it changes when either side does."""
    key = ATTRIBUTES[field].key
    text = "\x00".join((field, repr(key(old)), repr(key(new))))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def domain_identity(refs: Sequence[DomainRef]) -> list[str]:
    return sorted(ref.id for ref in refs)
