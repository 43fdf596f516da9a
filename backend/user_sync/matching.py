"""Directory against OpenMetadata: two lists in, one row per directory user out. Pure.

Users match by e-mail, domains by name, both whatever the case (`folded`); how two users are
compared says `comparing`.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from backend.integrations.openmetadata.schemas import Domain, DomainRef, StoredUser
from backend.user_sync.addresses import address_key, skeleton
from backend.user_sync.comparing import Decided, Ignores, PlanRow, compared
from backend.user_sync.domain_names import DomainNames, Rules, folded, said_domains
from backend.user_sync.validation import (
    MAX_DOMAIN,
    MAX_EMAIL,
    MAX_NAME,
    UNFIT,
    shown,
    why_invalid,
    why_unfit,
)


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
        self._decided = Decided(ignores or {})
        self.outdated = self._decided.outdated
        self._waiting: dict[str, int] = {}
        self._taken: dict[str, tuple[str, PlanRow]] = {}
        self._shared: set[str] = set()
        self._first: list[PlanRow] = []
        self._sort_out()
        self.matched = 0
        self._alone: dict[str, StoredUser] = {}

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
                        self._alone[user.id] = user
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

    @property
    def alone(self) -> list[StoredUser]:
        return list(self._alone.values())

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
        return compared(position, item, user, self._known, self._decided, self._rules)

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


def change_line(
    user_id: str,
    version: float | None,
    name: str | None,
    domains: set[str],
    texts: Mapping[str, tuple[str | None, str | None]] | None,
) -> str:
    """One user's part of a plan's digest. name: None when it is not written."""
    more = f"|{[(key, new) for key, (_, new) in sorted(texts.items())]!r}" if texts else ""
    return f"{user_id}|{version}|{name!r}|{sorted(domains)}{more}"


def changes_digest(lines: Iterable[str]) -> str:
    """Identifies exactly these changes, in the plan's order."""
    whole = hashlib.sha256()
    for line in lines:
        whole.update(line.encode("utf-8", "surrogatepass") + b"\n")
    return whole.hexdigest()


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
    if name is not None and not _usable(name, MAX_NAME):
        return ""
    for domain in said_domains(item):
        if not _usable(domain, MAX_DOMAIN):
            return ""
    return key


def _usable(text: object, most: int) -> bool:
    if not isinstance(text, str) or len(text) > most:
        return False
    # Printable text is by far the usual case and the cheaper question.
    return text.isprintable() or not UNFIT.search(text)


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
