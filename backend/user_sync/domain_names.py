"""Which domain a directory means by what it says. Pure."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from backend.integrations.openmetadata.schemas import Domain, DomainRef
from backend.user_sync import fields
from backend.user_sync.validation import shown


def folded(text: str) -> str:
    """What domain names are compared by: whatever the case and the Unicode form, blanks off.

    Lower case, not casefold(): that makes "ß" and "ss" the same, and so two people one.
    """
    key = text.strip().lower()
    return key if key.isascii() else unicodedata.normalize("NFC", key)


def said_domains(item: Mapping[str, Any]) -> tuple[str, ...]:
    """What the directory says: `domains` or `domain`, one or several, blanks left out."""
    said = item.get("domains") or item.get("domain")
    if isinstance(said, str):  # by far the usual case
        return (said,) if said.strip() else ()
    if not said:
        return ()
    several = said if isinstance(said, list | tuple) else (said,)
    return tuple(text for text in several if text is not None and str(text).strip())


@dataclass(frozen=True)
class Rules:
    """What is kept in step, and how domains are meant.

    mapping: what the directory says (folded) → full name of a domain. domain_mode: replace the
    user's direct domains, add to them, or only where there are none. attributes: see `fields`.
    """

    domain_mode: str = "replace"
    mapping: Mapping[str, str] = field(default_factory=dict)
    attributes: tuple[str, ...] = fields.chosen(fields.DEFAULT)

    @cached_property
    def names(self) -> bool:
        return fields.DISPLAY_NAME.name in self.attributes

    @cached_property
    def domains(self) -> bool:
        return fields.DOMAINS.name in self.attributes

    @cached_property
    def texts(self) -> tuple[fields.Text, ...]:
        """Those beside the display name."""
        return tuple(text for name, text in fields.TEXTS.items() if name in self.attributes)


class DomainNames:
    """Finds the domain a directory means: by the environment's own mapping, by name, by full name,
    by display name, whatever the case.

    Where several would do, only the exact full name tells them apart; nothing is guessed.
    """

    def __init__(self, domains: Sequence[Domain], mapping: Mapping[str, str] | None = None) -> None:
        self._mapping = mapping or {}
        self._by_display: dict[str, list[Domain]] = {}
        self._lists: dict[tuple[str, ...], tuple[tuple[DomainRef, ...], str]] = {}
        self._by_name: dict[str, list[Domain]] = {}
        self._by_fqn: dict[str, list[Domain]] = {}
        self._answers: dict[str, tuple[tuple[DomainRef, ...], str]] = {}
        for domain in {domain.id: domain for domain in domains}.values():
            self._by_name.setdefault(folded(domain.name), []).append(domain)
            self._by_fqn.setdefault(folded(domain.fqn), []).append(domain)
            if domain.display_name:
                self._by_display.setdefault(folded(domain.display_name), []).append(domain)

    def find_all(self, said: tuple[str, ...]) -> tuple[tuple[DomainRef, ...], str]:
        """(every domain, by which rules) or ((), why not) as soon as one of them is unknown."""
        if len(said) == 1:
            return self.find(said[0])
        answer = self._lists.get(said)
        if answer is None:
            found: dict[str, DomainRef] = {}
            why, rules = "", []
            for text in said:
                refs, note = self.find(text)
                if refs and note:
                    rules.append(note)
                why = why or ("" if refs else f"{shown(text, 200)}: {note}")
                found.update((ref.id, ref) for ref in refs)
            refs = tuple(sorted(found.values(), key=lambda ref: ref.id))
            answer = self._lists[said] = ((), why) if why else (refs, "; ".join(rules))
        return answer

    def find(self, text: str) -> tuple[tuple[DomainRef, ...], str]:
        """((the domain,), by which rule) or ((), why not); the same text gives the same tuple.
        The usual rule, by name, goes without saying."""
        answer = self._answers.get(text)
        if answer is None:
            answer = self._answers[text] = self._find(text.strip())
        return answer

    def _find(self, text: str) -> tuple[tuple[DomainRef, ...], str]:
        meant = self._mapping.get(folded(text))
        if meant is not None:
            mapped = [d for d in self._by_fqn.get(folded(meant), []) if d.fqn == meant]
            if len(mapped) == 1:
                return (mapped[0].ref,), shown(f"“{text}” is mapped to {meant}", 500)
            return (), shown(f"mapped to {meant}, which OpenMetadata does not have", 500)
        named = self._by_name.get(folded(text), [])
        if len(named) == 1:
            return (named[0].ref,), ""
        several = list(named)
        for full in (text, f'"{text}"'):
            found = self._by_fqn.get(folded(full), [])
            exact = [domain for domain in found if domain.fqn == full]
            if len(exact or found) == 1:
                return ((exact or found)[0].ref,), shown(f"“{text}” is a domain's full name", 500)
            several += found
        called = self._by_display.get(folded(text), [])
        if not several and len(called) == 1:
            return (called[0].ref,), shown(f"“{text}” is the display name of {called[0].fqn}", 500)
        several += called
        if several:
            names = " or ".join(sorted({domain.fqn for domain in several}))
            return (), shown(f"several domains have this name: write {names}", 500)
        return (), "no such domain in OpenMetadata; the domains stay"
