"""Directory against OpenMetadata: two lists in, one row per directory user out. Pure.

Users match by e-mail, domains by name, both whatever the case (`folded`). A directory that says
nothing about a name or a domain (null, blank) has no opinion: what OpenMetadata has stays.
Inherited domains are left out of the comparison. Nothing is ever wiped.
"""

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from backend.integrations.openmetadata.schemas import Domain, DomainRef, StoredUser
from backend.user_sync.fitness import MAX_EMAIL, MAX_NAME, UNFIT, shown, why_invalid, why_unfit

_NO_REFS: tuple[DomainRef, ...] = ()


def folded(text: str) -> str:
    """What addresses and domain names are compared by: whatever the case, blanks around them off.

    Lower case, not casefold(): that makes "ß" and "ss" the same, and so two people one.
    """
    return text.strip().lower()


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
    """

    def __init__(
        self, items: Sequence[object], domains: Sequence[Domain], ignores: Ignores | None = None
    ) -> None:
        self._items = items
        self._known = DomainNames(domains)
        self._decided = _Decided(ignores or {})
        self.outdated = self._decided.outdated
        self._waiting: dict[str, int] = {}
        self._taken: dict[str, tuple[str, PlanRow]] = {}
        self._shared: set[str] = set()
        self._first: list[PlanRow] = []
        self._sort_out()
        self.matched = 0

    def first(self) -> list[PlanRow]:
        return self._first

    def feed(self, users: Iterable[StoredUser]) -> list[PlanRow]:
        rows = []
        waiting, taken = self._waiting, self._taken
        for user in users:
            key = folded(user.email)
            position = waiting.pop(key, None)
            if position is None:
                # A list that moves while it is read may name the same user twice.
                if key in taken and not user.deleted and taken[key][0] != user.id:
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
        return [self._not_found(position) for position in self._waiting.values()]

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
        return _compared(position, item, user, self._known, self._decided)

    def _not_found(self, position: int) -> PlanRow:
        row = PlanRow(position, "not_found", "no such e-mail in OpenMetadata", "")
        return self._said(position, row)

    def _said(self, position: int, row: PlanRow) -> PlanRow:
        """Show what the directory said about somebody who is not compared."""
        item = self._items[position]
        assert isinstance(item, dict)  # noqa: S101 - _key found an address in it
        row.email, row.new_name = item["email"], item.get("displayName")
        row.domain = item.get("domain") or ""
        return row


def match(
    items: Sequence[object],
    users: Iterable[StoredUser],
    domains: Sequence[Domain],
    ignores: Ignores | None = None,
) -> list[PlanRow]:
    """One row per directory item, in its order."""
    matcher = Matcher(items, domains, ignores)
    rows = {row.position: row for row in matcher.first()}
    for found in (matcher.feed(users), matcher.rest(), [new for _, new in matcher.again()]):
        rows.update((row.position, row) for row in found)
    return [rows[position] for position in range(len(items))]


class DomainNames:
    """Finds the domain a directory means: by name, then by full name, whatever the case.

    Where several would do, only the exact full name tells them apart; nothing is guessed.
    """

    def __init__(self, domains: Sequence[Domain]) -> None:
        self._by_name: dict[str, list[Domain]] = {}
        self._by_fqn: dict[str, list[Domain]] = {}
        self._answers: dict[str, tuple[tuple[DomainRef, ...], str]] = {}
        for domain in {domain.id: domain for domain in domains}.values():
            self._by_name.setdefault(folded(domain.name), []).append(domain)
            self._by_fqn.setdefault(folded(domain.fqn), []).append(domain)

    def find(self, text: str) -> tuple[tuple[DomainRef, ...], str]:
        """((the domain,), "") or ((), why not); the same text gives the same tuple."""
        answer = self._answers.get(text)
        if answer is None:
            answer = self._answers[text] = self._find(text.strip())
        return answer

    def _find(self, text: str) -> tuple[tuple[DomainRef, ...], str]:
        named = self._by_name.get(folded(text), [])
        if len(named) == 1:
            return (named[0].ref,), ""
        several = list(named)
        for full in (text, f'"{text}"'):
            found = self._by_fqn.get(folded(full), [])
            exact = [domain for domain in found if domain.fqn == full]
            if len(exact or found) == 1:
                return ((exact or found)[0].ref,), ""
            several += found
        if several:
            names = " or ".join(sorted({domain.fqn for domain in several}))
            return (), shown(f"several domains have this name: write {names}", 500)
        return (), "no such domain in OpenMetadata; the domains stay"


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


def looks_alike(old: str, new: str) -> bool:
    """Differs only in white space, invisible characters or Unicode form."""
    return _appearance(old) == _appearance(new)


def _appearance(text: str) -> str:
    visible = "".join(
        c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf"
    )
    return " ".join(visible.split())


def _key(item: object) -> str:
    """The address to match by; "" when the item cannot be used."""
    if not isinstance(item, dict):
        return ""
    email, name, domain = item.get("email"), item.get("displayName"), item.get("domain")
    if not isinstance(email, str) or len(email) > MAX_EMAIL:
        return ""
    key = folded(email)
    if "@" not in key or " " in key or (not key.isprintable() and UNFIT.search(key)):
        return ""
    for text, most in ((name, MAX_NAME), (domain, 256)):
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
        said = (item.get("displayName"), item.get("domain"))
        if key not in values:
            values[key], firsts[key] = said, position
        elif values[key] != said:
            firsts.pop(key, None)
    return firsts


def _compared(
    position: int,
    item: Mapping[str, str | None],
    user: StoredUser,
    known: DomainNames,
    decided: _Decided,
) -> PlanRow:
    row = PlanRow(position, "unchanged", "", item["email"] or "", user)
    name, domain = item.get("displayName"), item.get("domain")
    left = []
    if name is not None and name.strip():
        row.new_name = name
        row.sets_name = name != user.display_name
        if words := decided.left(user, "displayName", user.display_name, name):
            row.sets_name = False
            left.append(words)
    row.new_domains = user.domains
    unknown = ""
    if domain is not None and domain.strip():
        row.domain = domain
        wanted, unknown = known.find(domain)
        if wanted and (words := decided.left_domains(user, wanted)):
            left.append(words)
        elif wanted and (len(user.domains) != 1 or user.domains[0].id != wanted[0].id):
            row.new_domains, row.sets_domains = wanted, True
    if left:
        row.reason = ("left alone: " + "; ".join(left))[:500]
    if row.sets_name:
        row.look_alike = looks_alike(user.display_name or "", name or "")
    if unknown:
        row.kind, row.reason = "unknown_domain", unknown
    elif row.sets_name or row.sets_domains:
        row.kind = "update"
        if row.look_alike and not row.sets_domains:
            row.reason = "the names differ only in white space or Unicode form"
    return row
