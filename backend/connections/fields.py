"""What a setting is, and the checks that turn what people type into what is stored."""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from backend.core.errors import InvalidInput

Check = Callable[[str], str]
_HOST = re.compile(r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$|^\[?[0-9A-Fa-f:.]+\]?$|^/[^\s]+$")
MAX_LENGTH = 4000


@dataclass(frozen=True)
class Field:
    """One setting or secret of a kind.

    check: returns the value to store, raises ValueError with the rest of a sentence
    ("must be a number"). choices: allowed values, for a select box. multiline: a text area.
    """

    name: str
    label: str
    help: str
    required: bool = False
    default: str = ""
    placeholder: str = ""
    choices: tuple[str, ...] = ()
    check: Check | None = None

    @property
    def called(self) -> str:
        """What the page calls it and, where it differs, what a command calls it."""
        return self.name if self.label.lower() == self.name else f"{self.label} ({self.name})"

    def clean(self, kind: str, value: str) -> str:
        """The value to store; raises InvalidInput naming the kind, the field and what it takes."""
        text = value.strip()
        if len(text) > MAX_LENGTH:
            raise InvalidInput(f"{kind}: {self.called} is longer than {MAX_LENGTH} characters.")
        if any(ord(character) < 32 and character != "\n" for character in text):
            raise InvalidInput(f"{kind}: {self.called} holds a control character; type it again.")
        if not text:
            return ""
        if self.choices and text not in self.choices:
            raise InvalidInput(f"{kind}: {self.called} must be one of {', '.join(self.choices)}.")
        if self.check is None:
            return text
        try:
            return self.check(text)
        except ValueError as exc:
            raise InvalidInput(f"{kind}: {self.called} {exc}.") from exc


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


def web_address(text: str) -> str:
    """An http(s) address with a host and without a password; the last slash goes."""
    parts = _parts(text)
    if parts.scheme not in ("http", "https"):
        raise ValueError("must start with http:// or https://")
    if not parts.hostname:
        raise ValueError("has no host name")
    if parts.username or parts.password:
        raise ValueError("must not hold a user or password; secrets have their own field")
    return text.rstrip("/")


def api_address(text: str) -> str:
    """OpenMetadata's address: without `/api` its web page answers 200 with HTML."""
    address = web_address(text)
    if not urlsplit(address).path.endswith("/api"):
        raise ValueError("must end in /api, like https://openmetadata.example.com/api")
    return address


def url_of(*schemes: str) -> Check:
    """A URL of one of the schemes (drivers after a plus allowed), with a host or a path."""

    def check(text: str) -> str:
        scheme = _parts(text).scheme.split("+")[0]
        if scheme not in schemes:
            raise ValueError(f"must start with one of {', '.join(s + '://' for s in schemes)}")
        return text

    return check


_DRIVERS = {
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
    "postgres": "postgresql+psycopg2",
    "postgresql": "postgresql+psycopg2",
}


def ledger_url(text: str) -> str:
    """A SQLAlchemy URL; a plain one gets the driver that the portal ships."""
    url = url_of("mysql", "mariadb", "postgresql", "postgres", "sqlite")(text)
    scheme, _, rest = url.partition("://")
    return f"{_DRIVERS.get(scheme, scheme)}://{rest}"


def host(text: str) -> str:
    """A host name, an address, or the folder of a Unix socket."""
    if "://" in text:
        raise ValueError("takes the host name alone, without http:// or a path")
    if not _HOST.match(text):
        raise ValueError(
            "is not a host name: it has letters, digits, dots and hyphens, no port and no path"
        )
    return text


def key_of_32_bytes(text: str) -> str:
    """Standard base64 of exactly 32 bytes."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise ValueError("must be base64 of 32 bytes") from exc
    if len(raw) != 32:
        raise ValueError(f"must be base64 of 32 bytes, this is {len(raw)}")
    return text


def prefix(start: str) -> Check:
    """Text that starts with `start`."""

    def check(text: str) -> str:
        if not text.startswith(start):
            raise ValueError(f"must start with {start}")
        return text

    return check


def _parts(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        _ = parts.port  # a port that is no number raises here, not at the first test
    except ValueError as exc:
        raise ValueError("is not a URL") from exc
    return parts
