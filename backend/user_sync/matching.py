"""Directory against OpenMetadata: two lists in, one row per directory user out. Pure.

Users match by e-mail, domains by name, both whatever the case (`folded`). A directory that says
nothing about a name or a domain (null, blank) has no opinion: what OpenMetadata has stays.
Inherited domains are left out of the comparison. Nothing is ever wiped.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from backend.integrations.openmetadata.schemas import Domain, DomainRef, StoredUser
from backend.user_sync.addresses import address_key, hidden, looks_alike, skeleton
from backend.user_sync.domain_names import DomainNames, Rules, folded, said_domains
from backend.user_sync.fitness import MAX_EMAIL, MAX_NAME, UNFIT, shown, why_invalid, why_unfit

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


#: Differences somebody decided to leave: (user id, field) → (digest of both values, the words).
Ignores = Mapping[tuple[str, str], tuple[str, str]]


class _Decided:
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
        if known[0] == digest(field, old, new):
            return known[1]
        self.outdated.append((user.id, field, known[0]))
        return ""

    def left_domains(self, user: StoredUser, wanted: tuple[DomainRef, ...]) -> str:
        if not self._ignores:
            return ""
        return self.left(user, "domains", domain_identity(user.domains), domain_identity(wanted))


class Matcher:
    """Matches page by page, so that planning works while the next page is on its way.

    first() gives the rows that need no user (invalid, repeated), feed(users) those of a page,
    rest() the people nobody was found for; together one row per directory item.
    again() gives (row fed, row to replace it) where two users turned out to share an e-mail.
    outdated: the ignores (user id, field, digest) whose difference has changed.
    alone: the users fed that nobody in the directory is, bots and deleted ones left out.
    """

    def __init__(
        self,
        items: Sequence[object],
        domains: Sequence[Domain],
        ignores: Ignores | None = None,
        rules: Rules | None = None,
    ) -> None:
        self._items = items
        self._rules = rules or Rules()
        self._known = DomainNames(domains, self._rules.mapping)
        self._decided = _Decided(ignores or {})
        self.outdated = self._decided.outdated
        self._waiting: dict[str, int] = {}
        self._taken: dict[str, tuple[str, PlanRow]] = {}
        self._shared: set[str] = set()
        self._first: list[PlanRow] = []
        self._sort_out()
        self.matched = 0
        self.alone: list[StoredUser] = []

    def first(self) -> list[PlanRow]:
        return self._first

    def feed(self, users: Iterable[StoredUser]) -> list[PlanRow]:
        rows = []
        waiting, taken = self._waiting, self._taken
        for user in users:
            key = address_key(user.email)
            position = waiting.pop(key, None)
            if position is None:
                # A list that moves while it is read may name the same user twice.
                if key not in taken:
                    if not (user.is_bot or user.deleted):
                        self.alone.append(user)
                elif not user.deleted and taken[key][0] != user.id:
                    self._shared.add(key)
                continue
            if user.deleted:
                waiting[key] = position
                continue
            row = self._row(position, user)
            taken[key] = user.id, row
            rows.append(row)
        self.matched += len(rows)
        return rows

    def rest(self) -> list[PlanRow]:
        alike = {skeleton(user.email): user.email for user in self.alone}
        return [self._not_found(key, at, alike) for key, at in self._waiting.items()]

    def observations(self, most: int) -> tuple[list[PlanRow], Counter[str]]:
        """Rows to look at only, never written: users whom the directory does not name, and which
        of them probably have another address there (the same name, and domain where both have
        one). At most so many rows, and how many there are of each kind."""
        people = self._by_name()
        rows, counts = list[PlanRow](), Counter[str]()
        for user in self.alone:
            email = people.get(_said_as(user.display_name, user.domains))
            kind = "renamed" if email else "leaver"
            counts[kind] += 1
            if len(rows) < most:
                reason = (
                    f"probably renamed: the directory has {email} with the same name and domain"
                    if email
                    else "in OpenMetadata, not in the directory"
                )
                position = len(self._items) + len(rows)
                rows.append(PlanRow(position, kind, reason[:500], user.email[:MAX_EMAIL], user))
        return rows, counts

    def _by_name(self) -> dict[tuple[str, frozenset[str]], str]:
        """(name, domain ids) → address of people not found; a name that two have says nothing."""
        found: dict[tuple[str, frozenset[str]], str] = {}
        twice = set()
        for position in self._waiting.values():
            item = self._items[position]
            assert isinstance(item, dict)  # noqa: S101 - _key found an address in it
            wanted, _ = self._known.find_all(said_domains(item))
            key = _said_as(item.get("displayName"), wanted)
            if key in found:
                twice.add(key)
            found[key] = item["email"]
        return {key: email for key, email in found.items() if key[0] and key not in twice}

    def again(self) -> list[tuple[PlanRow, PlanRow]]:
        reason = "several OpenMetadata users have this e-mail"
        fed = [self._taken[key][1] for key in sorted(self._shared)]
        return [
            (row, self._said(row.position, PlanRow(row.position, "duplicate", reason, "")))
            for row in fed
        ]

    def _sort_out(self) -> None:
        keys = [_key(item) for item in self._items]
        repeated = {key for key, count in Counter(k for k in keys if k).items() if count > 1}
        firsts = _agreeing_firsts(self._items, keys, repeated) if repeated else {}
        for position, key in enumerate(keys):
            if not key:
                self._first.append(_invalid(position, self._items[position]))
            elif key in repeated and firsts.get(key) != position:
                reason = _repeated_reason(agrees=key in firsts)
                self._first.append(self._said(position, PlanRow(position, "duplicate", reason, "")))
            else:
                self._waiting[key] = position

    def _row(self, position: int, user: StoredUser) -> PlanRow:
        item = self._items[position]
        assert isinstance(item, dict)  # noqa: S101 - _key found an address in it
        reason = f"the e-mail belongs to the bot {user.name}" if user.is_bot else why_unfit(user)
        if reason:
            return self._said(position, PlanRow(position, "invalid", shown(reason, 500), ""))
        return _compared(position, item, user, self._known, self._decided, self._rules)

    def _not_found(self, key: str, position: int, alike: Mapping[str, str]) -> PlanRow:
        reason = "no such e-mail in OpenMetadata"
        if alike and (near := alike.get(skeleton(key))):
            reason = shown(f"{reason}; it looks like {near}", 500)
        return self._said(position, PlanRow(position, "not_found", reason, ""))

    def _said(self, position: int, row: PlanRow) -> PlanRow:
        """Show what the directory said about somebody who is not compared."""
        item = self._items[position]
        assert isinstance(item, dict)  # noqa: S101 - _key found an address in it
        row.email, row.new_name = item["email"], item.get("displayName")
        row.domain = ", ".join(said_domains(item))
        return row


def match(
    items: Sequence[object],
    users: Iterable[StoredUser],
    domains: Sequence[Domain],
    ignores: Ignores | None = None,
    rules: Rules | None = None,
) -> list[PlanRow]:
    """One row per directory item, in its order."""
    matcher = Matcher(items, domains, ignores, rules)
    rows = {row.position: row for row in matcher.first()}
    for found in (matcher.feed(users), matcher.rest(), [new for _, new in matcher.again()]):
        rows.update((row.position, row) for row in found)
    return [rows[position] for position in range(len(items))]


def digest(field: str, old: object, new: object) -> str:
    """Identifies a difference: it changes when either side does."""
    text = "\x00".join((field, repr(old), repr(new)))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def change_line(user_id: str, version: float | None, name: str | None, domains: set[str]) -> str:
    """One user's part of a plan's digest. name: None when it is not written."""
    return f"{user_id}|{version}|{name!r}|{sorted(domains)}"


def changes_digest(lines: Iterable[str]) -> str:
    """Identifies exactly these changes, in the plan's order."""
    whole = hashlib.sha256()
    for line in lines:
        whole.update(line.encode("utf-8", "surrogatepass") + b"\n")
    return whole.hexdigest()


def domain_identity(refs: Sequence[DomainRef]) -> list[str]:
    return sorted(ref.id for ref in refs)


def _said_as(name: str | None, domains: Sequence[DomainRef]) -> tuple[str, frozenset[str]]:
    return folded(name or ""), frozenset(ref.id for ref in domains)


def _key(item: object) -> str:
    """The address to match by; "" when the item cannot be used."""
    if not isinstance(item, dict):
        return ""
    email, name = item.get("email"), item.get("displayName")
    if not isinstance(email, str) or len(email) > MAX_EMAIL:
        return ""
    key = address_key(email)
    if "@" not in key or " " in key or (not key.isprintable() and UNFIT.search(key)):
        return ""
    for text, most in ((name, MAX_NAME), *((domain, 256) for domain in said_domains(item))):
        if text is None:
            continue
        if not isinstance(text, str) or len(text) > most:
            return ""
        # Printable text is by far the usual case and the cheaper question.
        if not text.isprintable() and UNFIT.search(text):
            return ""
    return key


def refusal(item: object) -> str:
    """Why an entry of the directory is no use, "" when it can be compared."""
    return "" if _key(item) else _invalid(0, item).reason


def _invalid(position: int, item: object) -> PlanRow:
    if not isinstance(item, dict):
        return PlanRow(position, "invalid", "the entry is no user", "")
    email = item.get("email")
    said = shown(email, MAX_EMAIL) if email is not None else ""
    row = PlanRow(position, "invalid", why_invalid(item), said)
    name = item.get("displayName")
    row.new_name = None if name is None else shown(name, MAX_NAME)
    return row


def _repeated_reason(*, agrees: bool) -> str:
    if agrees:
        return "the directory repeats this entry; the first one counts"
    return "the directory names this e-mail more than once, with different values"


def _agreeing_firsts(
    items: Sequence[object], keys: Sequence[str], repeated: set[str]
) -> dict[str, int]:
    """key → position of the first entry, for those whose entries all say the same."""
    firsts: dict[str, int] = {}
    values: dict[str, tuple[object, object]] = {}
    for position, key in enumerate(keys):
        item = items[position]
        if key not in repeated or not isinstance(item, dict):
            continue
        said = (item.get("displayName"), said_domains(item))
        if key not in values:
            values[key], firsts[key] = said, position
        elif values[key] != said:
            firsts.pop(key, None)
    return firsts


def _compared(
    position: int,
    item: Mapping[str, Any],
    user: StoredUser,
    known: DomainNames,
    decided: _Decided,
    rules: Rules,
) -> PlanRow:
    row = PlanRow(position, "unchanged", "", item["email"] or "", user)
    left: list[str] = []
    name = (item.get("displayName") or "").strip()
    if name:
        row.new_name = name
        row.sets_name = name != user.display_name
        if words := decided.left(user, "displayName", user.display_name, name):
            row.sets_name = False
            left.append(words)
    remarks: list[str] = []
    unknown = _compare_domains(row, said_domains(item), known, decided, rules, left, remarks)
    if user.email != row.email and folded(user.email) != folded(row.email):
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
    elif row.sets_name or row.sets_domains:
        row.kind = "update"
        if row.look_alike and not row.sets_domains:
            remarks.insert(0, ONLY_FORM)
    if remarks:
        row.reason = "; ".join(remarks)[:500]
    return row


def _compare_domains(
    row: PlanRow,
    said: tuple[str, ...],
    known: DomainNames,
    decided: _Decided,
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
        return note
    if note:
        remarks.append(note)
    if rules.domain_mode == "add":
        wanted = _joined(user.domains, wanted)
    elif rules.domain_mode == "only_when_empty" and user.domains:
        if _differ(user.domains, wanted):
            remarks.append("the domains stay: only users without any are given some")
        return ""
    if words := decided.left_domains(user, wanted):
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
