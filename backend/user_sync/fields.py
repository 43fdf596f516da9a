"""The attributes of a user that can be kept in step with the directory, one entry each.

An entry says how the attribute is read on both sides, compared, shown, written and taken back;
plans, runs, connector, page, command line and REST go by this table alone. To add one that is text,
add a line to ATTRIBUTES (and its usual names to `integrations/directory/names.py`).
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from backend.core.errors import InvalidInput
from backend.integrations.openmetadata.schemas import DomainRef, StoredUser

#: Attribute → (what OpenMetadata holds, what it is to hold), in the table's order.
Changes = Mapping[str, tuple[Any, Any]]
_LONGEST_SHOWN = 120


class Attribute(Protocol):
    """name: as OpenMetadata's JSON, the directory's mapping and people outside call it.
    on: whether environments keep it in step unless their settings say otherwise."""

    @property
    def name(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def on(self) -> bool: ...

    def stored(self, user: StoredUser) -> Any:
        """What OpenMetadata holds."""

    def key(self, value: Any) -> object:
        """What a value is recognized by, in the mark of an ignored difference, too."""

    def same(self, one: Any, other: Any) -> bool:
        """Whether two values are one."""

    def shown(self, value: Any) -> str:
        """A value in a sentence."""

    def document(self, value: Any) -> Any:
        """A value in JSON."""

    def operation(self, value: Any) -> dict[str, Any]:
        """The JSON Patch that stores it, whole: `add` replaces a member that is there and creates
        one that is not; never positions in a list, which the server fills with inherited ones."""


@dataclass(frozen=True)
class Text:
    """A text of the user's own; None and "" are the same."""

    name: str
    label: str
    on: bool = True

    def stored(self, user: StoredUser) -> str | None:
        return user.display_name if self.name == "displayName" else user.texts.get(self.name)

    def key(self, value: str | None) -> object:
        return value

    def same(self, one: str | None, other: str | None) -> bool:
        return (one or "") == (other or "")

    def shown(self, value: str | None) -> str:
        if value is None:
            return "empty"
        cut = "…" if len(value) > _LONGEST_SHOWN else ""
        return f"“{value[:_LONGEST_SHOWN]}{cut}”"

    def document(self, value: str | None) -> str | None:
        return value

    def operation(self, value: str | None) -> dict[str, Any]:
        if value is None:
            return {"op": "remove", "path": f"/{self.name}"}
        return {"op": "add", "path": f"/{self.name}", "value": value}


@dataclass(frozen=True)
class DomainList:
    """The user's own domains; those inherited from teams are never compared and never written."""

    name: str = "domains"
    label: str = "Domains"
    on: bool = True

    def stored(self, user: StoredUser) -> tuple[DomainRef, ...]:
        return user.domains

    def key(self, value: tuple[DomainRef, ...]) -> object:
        return sorted(ref.id for ref in value)

    def same(self, one: tuple[DomainRef, ...], other: tuple[DomainRef, ...]) -> bool:
        return self.key(one) == self.key(other)

    def shown(self, value: tuple[DomainRef, ...]) -> str:
        return ", ".join(sorted(ref.fqn for ref in value)) or "none"

    def document(self, value: tuple[DomainRef, ...]) -> list[str]:
        return [ref.fqn for ref in value]

    def operation(self, value: tuple[DomainRef, ...]) -> dict[str, Any]:
        refs = [{"id": ref.id, "type": "domain"} for ref in value]
        return {"op": "add", "path": "/domains", "value": refs}


DISPLAY_NAME = Text("displayName", "Display name")
DOMAINS = DomainList()
_TABLE: tuple[Attribute, ...] = (
    DISPLAY_NAME,
    DOMAINS,
    Text("description", "Description", on=False),
)
ATTRIBUTES: Mapping[str, Attribute] = {found.name: found for found in _TABLE}
#: Texts beside the display name: kept as JSON in a plan's row, where they differ.
TEXTS: Mapping[str, Text] = {
    found.name: found for found in _TABLE if isinstance(found, Text) and found is not DISPLAY_NAME
}
DEFAULT = ",".join(name for name, found in ATTRIBUTES.items() if found.on)


def chosen(names: str) -> tuple[str, ...]:
    """The attributes that a setting names, in the table's order. Raises InvalidInput."""
    wanted = {name.strip() for name in names.split(",")} - {""}
    unknown = sorted(wanted - set(ATTRIBUTES))
    if unknown or not wanted:
        raise InvalidInput(
            f"The attributes kept in step are some of {', '.join(ATTRIBUTES)}, "
            f"not {', '.join(unknown) or 'none'}."
        )
    return tuple(name for name in ATTRIBUTES if name in wanted)


def labels(names: Collection[str]) -> str:
    """Attributes in a sentence: "display name and domains"."""
    said = [ATTRIBUTES[name].label.lower() for name in names]
    return " and ".join(filter(None, (", ".join(said[:-1]), *said[-1:])))


def differing(
    name: tuple[str | None, str | None] | None,
    domains: tuple[tuple[DomainRef, ...], tuple[DomainRef, ...]] | None,
    texts: Mapping[str, tuple[str | None, str | None]],
) -> Changes:
    """What is to be written, of the parts that a plan's row holds."""
    found: dict[str, tuple[Any, Any]] = {}
    if name:
        found[DISPLAY_NAME.name] = name
    if domains:
        found[DOMAINS.name] = domains
    found.update(texts)
    return found


def dumped(texts: Mapping[str, tuple[str | None, str | None]] | None) -> str | None:
    """Changed texts as a row stores them; None where there are none."""
    return json.dumps(texts) if texts else None


def loaded(texts: str | None) -> dict[str, tuple[str | None, str | None]]:
    """Changed texts from a stored row; of attributes that are gone, nothing."""
    if not texts:
        return {}
    return {name: (old, new) for name, (old, new) in json.loads(texts).items() if name in TEXTS}
