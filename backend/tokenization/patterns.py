"""The configurable rules by which columns with personal data are recognised."""

import re
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from backend.core.errors import InvalidInput
from backend.core.forwarded import is_address
from backend.core.settings import get_settings

if TYPE_CHECKING:
    import regex

SHIPPED = Path(__file__).resolve().parents[2] / "data" / "pii_patterns.yaml"
FILE_NAME = "pii_patterns.yaml"
GIVEN_NAMES = SHIPPED.with_name("given_names.txt")

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
#: Of the shortest national numbers; anything below is a code or a count.
_FEWEST_DIGITS = 6
#: Checks that made-up values fail and mistyped ones; a name and their form say enough.
_DIGITS = ("luhn", "iban")
_REGIONS = ("US", "GB", "DE", "FR", "IN")
#: What joined names are made of.
_KNOWN_WORDS = frozenset(
    re.findall(
        "[a-z]+",
        """
        account address billing birth card cell code contact credit customer date debit display
        driver driving display email employee family fax first full given home house id iban ip last
        licence license line login mail maiden middle mobile name national nick no number owner
        passport patient payment person phone post postal screen security ship shipping social
        ssn state street surname tax telephone user username work zip
        """,
    )
)
_VIN = re.compile("[A-HJ-NPR-Z0-9]{17}")
_VIN_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
_VIN_WORTH = dict(zip("ABCDEFGHJKLMNPRSTUVWXYZ", map(int, "12345678123457923456789"), strict=True))
#: A column of this name says nothing without its table's.
_BARE = "name"
_WORD = re.compile(r"[^\W\d_]+")
_NO_PERSON = re.compile(r"[0-9@/\\]")
_SEPARATORS = re.compile(r"[\W_]+")
_NUMBERED = re.compile(r"([a-z]+)([0-9]+)")
#: CPU seconds that the file's expressions may take for one column; the shipped ones need
#: hundredths. A match cannot be interrupted otherwise, and holds up every other thread.
SECONDS = 2.0
_left: ContextVar[float] = ContextVar("left", default=SECONDS)


class SlowExpression(InvalidInput):
    def __init__(self, expression: str) -> None:
        super().__init__(
            f"The expression '{expression}' of {FILE_NAME} takes too long on this table (over "
            f"{SECONDS:.0f} seconds for one column). Write it without a repetition of a "
            "repetition, such as (a+)+."
        )


def _is_expression(text: str) -> str:
    from regex import error

    try:
        _compiled(text)
    except (error, OverflowError, RecursionError) as exc:
        raise ValueError(f"'{text}' is not a regular expression: {exc}") from exc
    return text


@lru_cache(maxsize=1000)
def _compiled(expression: str) -> "regex.Pattern[str]":
    import regex

    return regex.compile(expression)


def _fits(expression: str, text: str) -> bool:
    """Whether it matches the whole text, in what is left of SECONDS. Raises SlowExpression."""
    begun = time.thread_time()
    try:
        return _compiled(expression).fullmatch(text, timeout=max(_left.get(), 0.001)) is not None
    except TimeoutError as exc:
        raise SlowExpression(expression) from exc
    finally:
        _left.set(_left.get() - (time.thread_time() - begun))


Expression = Annotated[str, AfterValidator(_is_expression)]


class Kind(BaseModel):
    """One kind of personal data."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: tuple[Expression, ...]
    tables: tuple[Expression, ...] = ()
    values: Expression | None = None
    words: tuple[str, ...] = ()
    check: Literal["luhn", "iban", "ip", "phone", "vin", "person"] | None = None
    share: float = Field(default=0.6, gt=0, le=1)
    by_value: bool = False

    def names(self, column: str) -> bool:
        """Whether the column's name, as a whole, says so."""
        spelt = {normalised(column), "_".join(words_of(column))}
        return any(_fits(pattern, name) for pattern in self.columns for name in spelt)

    def is_kept_in(self, table: str) -> bool:
        """Whether the table's name says that its column `name` is of this kind."""
        return any(_fits(pattern, normalised(table)) for pattern in self.tables)

    def mentions(self, column: str) -> str:
        """The phrase that stands in the column's name as whole words, "" if none does."""
        name = f" {' '.join(words_of(column))} "
        return next((phrase for phrase in self.words if f" {phrase} " in name), "")

    def has_form(self, value: str) -> bool:
        return self.values is None or _fits(self.values, value.strip())

    def accepts(self, value: str) -> bool:
        return self.has_form(value) and (self.check is None or _CHECKS[self.check](value.strip()))

    @property
    def checkable(self) -> bool:
        return self.values is not None or self.check is not None


class Patterns(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    field_tags: tuple[str, ...]
    field_terms: tuple[str, ...] = ()
    sample_rows: int = Field(default=500, ge=10, le=10_000)
    kinds: dict[str, Kind]

    def is_personal(self, tag_urn: str) -> bool:
        """Whether a tag on a field means that it holds personal data."""
        name = tag_urn.removeprefix("urn:li:tag:").casefold()
        return any(fnmatchcase(name, pattern.casefold()) for pattern in self.field_tags)

    def is_personal_term(self, term_urn: str) -> bool:
        """Whether a glossary term on a field means the same; the last part of its name counts."""
        name = term_name(term_urn).casefold()
        return any(fnmatchcase(name, pattern.casefold()) for pattern in self.field_terms)


@dataclass(frozen=True)
class Guess:
    """What heuristics say about a column. convincing: likely; else it is only possible."""

    reason: str
    convincing: bool


def normalised(column: str) -> str:
    """`eMailAddress`, `E-Mail Address` → `e_mail_address`."""
    words = _SEPARATORS.sub("_", _CAMEL.sub("_", column))
    return words.strip("_").lower()


def words_of(column: str) -> list[str]:
    """The words of a name in snake, camel and joined spelling: `emailaddress2` → email,
    address, 2."""
    found = []
    for word in normalised(column).split("_"):
        numbered = _NUMBERED.fullmatch(word)
        for part in numbered.groups() if numbered else (word,):
            found += _split(part)
    return found


def _split(word: str) -> list[str]:
    """The word as known words, if it is made of nothing else; the longest first."""
    if word in _KNOWN_WORDS or not word:
        return [word] if word else []
    for size in range(len(word) - 1, 1, -1):
        if word[:size] in _KNOWN_WORDS:
            rest = _split(word[size:])
            if all(part in _KNOWN_WORDS for part in rest):
                return [word[:size], *rest]
    return [word]


def term_name(term_urn: str) -> str:
    """`urn:li:glossaryTerm:Classification.Phone Number` → `Phone_Number`."""
    last = term_urn.rpartition(":")[2].rpartition(".")[2]
    return _SEPARATORS.sub("_", last)


def guess(patterns: Patterns, column: str, values: Sequence[str], table: str = "") -> Guess | None:
    """What the column's name and its sampled values (plain ones only) suggest.

    table: what the column is of; a bare `name` of the table customers may be a customer's.
    Raises SlowExpression.
    """
    _left.set(SECONDS)
    named = [
        _by_name(label, kind, values)
        for label, kind in patterns.kinds.items()
        if kind.names(column)
    ]
    convincing = next((found for found in named if found.convincing), None)
    found = convincing or _by_values(patterns, values)
    if found or named:
        return found or named[0]
    for label, kind in patterns.kinds.items():
        phrase = kind.mentions(column)
        if phrase:
            return _by_phrase(label, kind, phrase, values)
        if normalised(column) == _BARE and kind.is_kept_in(table):
            return Guess(f"its table's name says whose: {label}", False)
    return None


def _by_values(patterns: Patterns, values: Sequence[str]) -> Guess | None:
    for label, kind in patterns.kinds.items():
        if kind.by_value and values and _share(kind, values) >= kind.share:
            return Guess(
                f"{_share(kind, values):.0%} of {len(values)} sampled values look like: {label}",
                True,
            )
    return None


def _by_phrase(label: str, kind: Kind, phrase: str, values: Sequence[str]) -> Guess:
    """A longer name that holds a phrase: likely when a check of the values, too, says so."""
    if kind.check and values and _share(kind, values) >= kind.share:
        return Guess(
            f"its name holds '{phrase}': {label}; {_share(kind, values):.0%} of {len(values)} "
            "values agree",
            True,
        )
    return Guess(f"its name holds '{phrase}': {label}", False)


def _by_name(label: str, kind: Kind, values: Sequence[str]) -> Guess:
    if not kind.checkable:
        return Guess(f"its name says: {label}", True)
    if not values:
        return Guess(f"its name says: {label}; it holds no plain value to check this by", True)
    share = _share(kind, values)
    if share >= kind.share:
        return Guess(f"its name says: {label}; {share:.0%} of {len(values)} values agree", True)
    form = sum(kind.has_form(value) for value in values) / len(values)
    if kind.check in _DIGITS and form >= kind.share:
        # Of made-up numbers some pass by chance; where none does they may be something else.
        return Guess(
            f"its name says: {label}; {form:.0%} of {len(values)} values have its form, "
            f"{f'{share:.0%}' if share else 'none'} its check digits",
            share > 0,
        )
    return Guess(
        f"its name says: {label}, but only {share:.0%} of {len(values)} values agree", False
    )


def _share(kind: Kind, values: Sequence[str]) -> float:
    """Of people each counts once: one name may fill a table of events."""
    counted = [*dict.fromkeys(values)] if kind.check == "person" else values
    return sum(kind.accepts(value) for value in counted) / len(counted)


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
    from schwifty import IBAN
    from schwifty.exceptions import SchwiftyException

    try:
        IBAN(text)
    except SchwiftyException:
        return False
    return True


def _phone(text: str) -> bool:
    """A possible number somewhere: national spellings are tried for a few large regions."""
    import phonenumbers

    if sum(character.isdigit() for character in text) < _FEWEST_DIGITS:
        return False
    for region in _REGIONS:
        try:
            if phonenumbers.is_possible_number(phonenumbers.parse(text, region)):
                return True
        except phonenumbers.NumberParseException:
            continue
    return False


def _vin(text: str) -> bool:
    """17 characters and the check digit of 49 CFR 565 in the ninth place."""
    if not _VIN.fullmatch(text.upper()):
        return False
    worth = sum(
        weight * (int(letter) if letter.isdigit() else _VIN_WORTH[letter])
        for letter, weight in zip(text.upper(), _VIN_WEIGHTS, strict=True)
    )
    return "0123456789X"[worth % 11] == text[8].upper()


def _person(text: str) -> bool:
    """Two to five words without digits; a common given name or a form of address begins them, or
    what stands behind a comma ("Hurricane Felix" is nobody's)."""
    parts = [_WORD.findall(part) for part in text.split(",")]
    first = [words[0] for words in parts[:2] if words]
    return (
        2 <= sum(map(len, parts)) <= 5
        and not _NO_PERSON.search(text)
        and any(word[0].isupper() and word.lower() in _given() for word in first)
    )


@lru_cache(maxsize=1)
def _given() -> frozenset[str]:
    lines = GIVEN_NAMES.read_text(encoding="utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


_CHECKS: dict[str, Callable[[str], bool]] = {
    "luhn": _luhn,
    "iban": _iban,
    "ip": is_address,
    "phone": _phone,
    "vin": _vin,
    "person": _person,
}
