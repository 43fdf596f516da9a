"""What a kind of connection and its settings are, and the checks of what people type."""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from backend.connections.addresses import Address, Endpoint, Parser
from backend.core.errors import FieldInvalid, InvalidInput

Check = Callable[[str], str]
MAX_LENGTH = 4000


@dataclass(frozen=True)
class Field:
    """One setting or secret of a kind.

    check: returns the value to store, raises ValueError with the rest of a sentence
    ("must be a number"), or InvalidInput with a whole one.
    choices: allowed values, for a select box.
    address: parses it, where it is one: the guard looks at its hosts before anything connects.
    directs: the kind's secrets are sent where this value says, so changing it asks for them again.
    """

    name: str
    label: str
    help: str
    required: bool = False
    default: str = ""
    placeholder: str = ""
    choices: tuple[str, ...] = ()
    check: Check | None = None
    address: Parser | None = None
    directs: bool = False

    @property
    def called(self) -> str:
        """What the page calls it and, where it differs, what a command calls it."""
        return self.name if self.label.lower() == self.name else f"{self.label} ({self.name})"

    def clean(self, kind: str, value: str) -> str:
        """The value to store; raises FieldInvalid naming the kind, the field and what it takes."""
        text = value.strip()
        if len(text) > MAX_LENGTH:
            raise self._refused(kind, f"is longer than {MAX_LENGTH} characters")
        if any(ord(character) < 32 and character not in "\n\t" for character in text):
            raise self._refused(kind, "holds a control character; type it again")
        if not text:
            return ""
        if self.choices and text not in self.choices:
            raise self._refused(kind, f"must be one of {', '.join(self.choices)}")
        try:
            if self.address is not None:
                return self.address(text).text
            return self.check(text) if self.check else text
        except ValueError as exc:
            raise self._refused(kind, str(exc)) from exc
        except InvalidInput as exc:  # an adapter's own sentence
            raise FieldInvalid({self.name: f"{kind}: {exc.message}"}) from exc

    def parsed(self, kind: str, value: str) -> Address:
        """A stored value as an address; raises FieldInvalid for what may not be used any more."""
        if self.address is None or not value:
            return Address(value, (), value)
        try:
            return self.address(value)
        except ValueError as exc:
            raise self._refused(kind, str(exc)) from exc

    def _refused(self, kind: str, why: str) -> FieldInvalid:
        return FieldInvalid({self.name: f"{kind}: {self.called} {why}."})


@dataclass(frozen=True)
class Kind:
    """One kind. implicit: usable with its defaults when nothing is stored (tokenization).

    one_of: groups of settings of which at least one group must be complete.
    check: raises InvalidInput when settings and the names of the secrets that are set do not fit
    together. tls: where the kind speaks TLS when no single address says it. costs: a test starts
    what is paid by the minute, so only people ask for one.
    """

    name: str
    label: str
    purpose: str
    settings: tuple[Field, ...]
    secrets: tuple[Field, ...]
    implicit: bool = False
    one_of: tuple[tuple[str, ...], ...] = ()
    check: Callable[[Mapping[str, str], frozenset[str]], None] | None = None
    tls: Callable[[Mapping[str, str]], Endpoint | None] | None = None
    costs: bool = False

    def setting(self, name: str) -> Field | None:
        return next((item for item in self.settings if item.name == name), None)

    def secret(self, name: str) -> Field | None:
        return next((item for item in self.secrets if item.name == name), None)

    def endpoint(self, settings: Mapping[str, str]) -> Endpoint | None:
        """Where the kind speaks TLS with these settings; None where it does not."""
        if self.tls is not None:
            return self.tls(settings)
        addressed = (item for item in self.settings if item.address and item.directs)
        found = (item.parsed(self.label, settings.get(item.name, "")).tls for item in addressed)
        return next((each for each in found if each), None)

    def names(self) -> str:
        """The allowed names as a person reads them."""
        plain = ", ".join(item.name for item in self.settings)
        sealed = ", ".join(item.name for item in self.secrets)
        return f"settings {plain}; secrets {sealed}"


def number(low: float, high: float, *, whole: bool = False) -> Check:
    """A number between low and high, as text."""

    def check(text: str) -> str:
        try:
            value = int(text) if whole else float(text)
        except ValueError as exc:
            raise ValueError(f"must be a {'whole ' if whole else ''}number") from exc
        if not low <= value <= high:
            raise ValueError(f"must be between {low:g} and {high:g}")
        return text

    return check


def key_of_32_bytes(text: str) -> str:
    """Standard base64 of exactly 32 bytes."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise ValueError("must be base64 of 32 bytes") from exc
    if len(raw) != 32:
        raise ValueError(f"must be base64 of 32 bytes, this is {len(raw)}")
    return text


def pattern(expression: str, what: str) -> Check:
    """Text that a regular expression fits as a whole; what: the rest of the sentence."""
    compiled = re.compile(expression)

    def check(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(what)
        return text

    return check


def prefix(start: str) -> Check:
    """Text that starts with `start`."""

    def check(text: str) -> str:
        if not text.startswith(start):
            raise ValueError(f"must start with {start}")
        return text

    return check
