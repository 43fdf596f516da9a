"""The configurable rules by which columns with personal data are recognised."""

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from backend.core.errors import InvalidInput
from backend.core.settings import get_settings

SHIPPED = Path(__file__).resolve().parents[2] / "data" / "pii_patterns.yaml"
FILE_NAME = "pii_patterns.yaml"

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SEPARATORS = re.compile(r"[\W_]+")


def _is_expression(text: str) -> str:
    try:
        re.compile(text)
    except re.error as exc:
        raise ValueError(f"'{text}' is not a regular expression: {exc}") from exc
    return text


Expression = Annotated[str, AfterValidator(_is_expression)]


class Kind(BaseModel):
    """One kind of personal data."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: tuple[Expression, ...]
    values: Expression | None = None
    check: Literal["luhn", "iban", "ip"] | None = None
    share: float = Field(default=0.6, gt=0, le=1)
    by_value: bool = False

    def names(self, column: str) -> bool:
        """Whether the column's name, as a whole, says so."""
        name = normalised(column)
        return any(re.fullmatch(pattern, name) for pattern in self.columns)

    def accepts(self, value: str) -> bool:
        text = value.strip()
        if self.values is not None and not re.fullmatch(self.values, text):
            return False
        return self.check is None or _CHECKS[self.check](text)

    @property
    def checkable(self) -> bool:
        return self.values is not None or self.check is not None


class Patterns(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    field_tags: tuple[str, ...]
    sample_rows: int = Field(default=500, ge=10, le=10_000)
    kinds: dict[str, Kind]

    def is_personal(self, tag_urn: str) -> bool:
        """Whether a tag on a field means that it holds personal data."""
        name = tag_urn.removeprefix("urn:li:tag:").casefold()
        return any(fnmatchcase(name, pattern.casefold()) for pattern in self.field_tags)


@dataclass(frozen=True)
class Guess:
    """What heuristics say about a column. convincing: enough to suggest it to a person."""

    reason: str
    convincing: bool


def normalised(column: str) -> str:
    """`eMailAddress`, `E-Mail Address` → `e_mail_address`."""
    words = _SEPARATORS.sub("_", _CAMEL.sub("_", column))
    return words.strip("_").lower()


def guess(patterns: Patterns, column: str, values: Sequence[str]) -> Guess | None:
    """What the column's name and its sampled values (plain ones only) suggest."""
    for label, kind in patterns.kinds.items():
        if kind.names(column):
            return _by_name(label, kind, values)
    for label, kind in patterns.kinds.items():
        if kind.by_value and values and _share(kind, values) >= kind.share:
            return Guess(
                f"{_share(kind, values):.0%} of {len(values)} sampled values look like: {label}",
                True,
            )
    return None


def _by_name(label: str, kind: Kind, values: Sequence[str]) -> Guess:
    if not kind.checkable:
        return Guess(f"its name says: {label}", True)
    if not values:
        return Guess(f"its name says: {label}; it holds no plain value to check this by", True)
    share = _share(kind, values)
    if share >= kind.share:
        return Guess(f"its name says: {label}; {share:.0%} of {len(values)} values agree", True)
    return Guess(
        f"its name says: {label}, but only {share:.0%} of {len(values)} values agree", False
    )


def _share(kind: Kind, values: Sequence[str]) -> float:
    return sum(kind.accepts(value) for value in values) / len(values)


def load() -> Patterns:
    """The data folder's pii_patterns.yaml, else the shipped one. Raises InvalidInput."""
    own = get_settings().data_dir / FILE_NAME
    path = own if own.exists() else SHIPPED
    return _load(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _load(path: Path, _changed: int) -> Patterns:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Patterns.model_validate(document)
    except yaml.YAMLError as exc:
        raise InvalidInput(f"{path.name} is not valid YAML: {exc}") from exc
    except ValidationError as exc:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in error['loc'])}: {error['msg']}"
            for error in exc.errors()
        )
        raise InvalidInput(f"{path.name} cannot be used: {problems}") from exc


def _luhn(text: str) -> bool:
    digits = [int(character) for character in text if character.isascii() and character.isdigit()]
    if not 12 <= len(digits) <= 19:
        return False
    doubled = [d if i % 2 == 0 else d * 2 - 9 * (d > 4) for i, d in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0


def _iban(text: str) -> bool:
    compact = text.replace(" ", "").upper()
    if not re.fullmatch(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}", compact):
        return False
    return int("".join(str(int(c, 36)) for c in compact[4:] + compact[:4])) % 97 == 1


def _ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


_CHECKS: dict[str, Callable[[str], bool]] = {"luhn": _luhn, "iban": _iban, "ip": _ip}
