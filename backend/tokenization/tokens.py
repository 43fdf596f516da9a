"""What a token is, in Python: the bytes that every engine must produce.

A token is `tok_<base64>_poc`. Scheme `hmac-sha256` puts the standard base64 of
HMAC-SHA256(key, UTF-8 value) between the marks; `hmac-sha256-144` and `hmac-sha256-96` only its
first 18 and 12 bytes, multiples of three, so that each shorter body is the beginning of the longer.
Scheme `base64` puts the base64 of the value itself there (reversible by anybody). NULL and the
empty string stay as they are, and so does every text that is already a token: exactly the texts
that match PATTERN, that is, canonical, padded, non-empty base64 between the marks. Anything else
that merely looks like one is a plain value.
"""

import base64
import hashlib
import hmac
import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from backend.core import choices
from backend.core.errors import InvalidInput
from backend.core.words import counted

PREFIX: Final = "tok_"
SUFFIX: Final = "_poc"
KEY_BYTES: Final = 32

#: The whole rule. Written with what Python, PostgreSQL, Java and RE2 understand alike: no escapes,
#: no look-around. The last group's classes leave no stray bits, so that the base64 is canonical.
#: `$` also matches before a final newline in some engines; `is_token` and the SQL forms therefore
#: ask for the suffix as well.
PATTERN: Final = (
    "^tok_([A-Za-z0-9+/]{4})*"
    "([A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=|[A-Za-z0-9+/][AQgw]==)_poc$"
)
#: The same of what stands between the marks, where its length is known to be a multiple of four:
#: for an engine whose expressions cost by the number of their states.
BODY: Final = "^[A-Za-z0-9+/]*([A-Za-z0-9+/]|[AEIMQUYcgkosw048]=|[AQgw]==)$"
_TOKEN = re.compile(PATTERN)
#: UTF-8 as the lower-case hex of its bytes, and UTF-8 without control characters; no escapes.
_NEXT = "[89ab][0-9a-f]"
_BEYOND_ASCII = (
    f"|(c[2-9a-f]|d[0-9a-f]){_NEXT}"
    f"|(e0[ab][0-9a-f]|e[1-9a-cef]{_NEXT}|ed[89][0-9a-f]){_NEXT}"
    f"|(f0[9ab][0-9a-f]|f[1-3]{_NEXT}|f48[0-9a-f]){_NEXT}{_NEXT})+$"
)
UTF8_HEX: Final = f"^([0-7][0-9a-f]{_BEYOND_ASCII}"
TEXT_HEX: Final = f"^(0[9ad]|[2-6][0-9a-f]|7[0-9a-e]{_BEYOND_ASCII}"

_BLOCK_BYTES = 64
_INNER = 0x36
_OUTER = 0x5C


class Scheme(StrEnum):
    HMAC_SHA256 = "hmac-sha256"
    HMAC_SHA256_144 = "hmac-sha256-144"
    HMAC_SHA256_96 = "hmac-sha256-96"
    BASE64 = "base64"

    @property
    def keyed(self) -> bool:
        """Whether the token is made with the key and says nothing about the value."""
        return self is not Scheme.BASE64

    @property
    def bits(self) -> int:
        """How many bits of the HMAC a keyed token keeps."""
        return _BITS[self]

    @property
    def body_length(self) -> int:
        """Characters between the marks of a keyed token: 44, 24 or 16."""
        return _encoded(self.bits // 8)

    @property
    def length(self) -> int | None:
        """Characters of every keyed token; None where they depend on the value."""
        return len(PREFIX) + self.body_length + len(SUFFIX) if self.keyed else None


_BITS = {Scheme.HMAC_SHA256: 256, Scheme.HMAC_SHA256_144: 144, Scheme.HMAC_SHA256_96: 96}
#: The keyed ones, longest token first.
KEYED: Final = tuple(_BITS)


def _encoded(size: int) -> int:
    return 4 * ((size + 2) // 3)


@dataclass(frozen=True)
class PaddedKeys:
    """The two 64-byte blocks that HMAC-SHA256 puts in front; an engine needs sha256 alone then."""

    inner: bytes
    outer: bytes


@dataclass(frozen=True)
class Tokenizer:
    """One scheme with its key. `repr` shows no key. columns: those that have another keyed one."""

    scheme: Scheme
    _key: bytes = b""
    columns: Mapping[str, Scheme] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if self.scheme.keyed and len(self._key) != KEY_BYTES:
            raise InvalidInput(
                f"The tokenization key must be {KEY_BYTES} bytes, base64-encoded; "
                f"this one has {len(self._key)} bytes. Set it again on the connections page."
            )

    def __repr__(self) -> str:
        return f"Tokenizer(scheme={self.scheme.value!r})"

    def scheme_of(self, column: str) -> Scheme:
        """The column's own scheme, or the one of all."""
        return self.columns.get(column, self.scheme)

    def of(self, column: str) -> "Tokenizer":
        """This tokenizer as it is for one column."""
        return replace(self, scheme=self.scheme_of(column), columns={})

    def token(self, value: str | None) -> str | None:
        """The token of `value`; None, '' and tokens come back unchanged."""
        if not value or is_token(value):
            return value
        return PREFIX + base64.b64encode(self._payload(value.encode("utf-8"))).decode() + SUFFIX

    def _payload(self, data: bytes) -> bytes:
        if not self.scheme.keyed:
            return data
        return hmac.digest(self._key, data, "sha256")[: self.scheme.bits // 8]

    def padded_keys(self) -> PaddedKeys:
        """What an engine needs to compute the HMAC with sha256 alone (keyed schemes only)."""
        block = self._key.ljust(_BLOCK_BYTES, b"\0")
        return PaddedKeys(
            inner=bytes(byte ^ _INNER for byte in block),
            outer=bytes(byte ^ _OUTER for byte in block),
        )

    def fingerprint(self) -> str:
        """16 hex digits that tell two keys apart and say nothing about either."""
        if not self.scheme.keyed:
            return "base64"
        return hmac.new(self._key, b"steward-portal key fingerprint", hashlib.sha256).hexdigest()[
            :16
        ]

    def token_length(self, utf8_bytes: int) -> int:
        """Characters of the token of a value with that many UTF-8 bytes."""
        return self.scheme.length or len(PREFIX) + _encoded(utf8_bytes) + len(SUFFIX)


def is_token(value: str) -> bool:
    """Whether `value` is a token, whichever scheme or key made it."""
    return value.endswith(SUFFIX) and _TOKEN.match(value) is not None


#: How likely the bytes of a hash are text, by their number: those of ours, and of other tools.
_CHANCE = {12: 8.4e-5, 16: 4e-6, 18: 8.5e-7, 20: 1.9e-7, 28: 4.1e-10, 32: 1.9e-11, 48: 0.0, 64: 0.0}
#: Bytes of a token's body that may be a hash; of any other number they can only be a value.
HASHES: Final = tuple(_CHANCE)
#: Keyed tokens of a column that may be taken for a value, at most: one in a thousand columns.
_RISK = 1e-3


@dataclass(frozen=True)
class Reversible:
    """A column's tokens by what they hold.

    rows: they hold their value itself, anybody can read it. unsure: too many to be keyed ones by
    chance, and too few to tell which are. others: neither text nor as long as a keyed token.
    sizes: bytes of a body (of those in HASHES) at which text is a value.
    """

    rows: int = 0
    unsure: int = 0
    others: int = 0
    sizes: frozenset[int] = frozenset()

    @property
    def left_alone(self) -> str:
        """Which tokens no run makes anew, and how many; "" for none."""
        said = []
        if self.unsure:
            said.append(f"{counted(self.unsure, 'token')} that may be of the key")
        if self.others:
            said.append(f"{counted(self.others, 'token')} without text in it")
        return " and ".join(said)


def reversible(bodies: Iterable[tuple[int, bool, int]]) -> Reversible:
    """Judge a column's tokens. bodies: (bytes of the body, whether they are text, tokens).

    Text means UTF-8, and for the numbers of bytes in HASHES UTF-8 without control characters. What
    a hash's bytes are by chance decides there: of 32 never text, of 12 once in 12,000 times.
    """
    texts: Counter[int] = Counter()
    others: Counter[int] = Counter()
    for size, is_text, rows in bodies:
        (texts if is_text else others)[size] += rows
    by_chance = {size: others[size] * _CHANCE.get(size, 0.0) for size in texts}
    sure = {size for size, expected in by_chance.items() if expected < _RISK}
    many = {size for size, n in by_chance.items() if texts[size] > 3 + n + 5 * math.sqrt(n)}
    keyed = {scheme.bits // 8 for scheme in KEYED}
    return Reversible(
        rows=sum(texts[size] for size in sure),
        unsure=sum(texts[size] for size in many - sure),
        others=sum(rows for size, rows in others.items() if size not in keyed),
        sizes=frozenset(sure & set(HASHES)),
    )


def held(token: str, sizes: Collection[int] = HASHES) -> str | None:
    """The plain value that a token holds itself, or None. sizes: as `Reversible` has them.

    A body that is a token is left alone, too: whoever made it did not make it from a value.
    """
    if not is_token(token):
        return None
    body = base64.b64decode(token[len(PREFIX) : -len(SUFFIX)])
    hashlike = len(body) in HASHES
    if hashlike and (len(body) not in sizes or not re.match(TEXT_HEX, body.hex())):
        return None
    try:
        value = body.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if is_token(value) else value


def fitting(length: int | None) -> Scheme | None:
    """The strongest keyed scheme whose tokens a column of that many characters holds."""
    return next((s for s in KEYED if length is None or (s.length or 0) <= length), None)


def too_long(needed: int | None, type_: str, length: int | None) -> list[str]:
    """Why tokens of that many characters do not fit the column, and which scheme does."""
    if length is None or needed is None or needed <= length:
        return []
    fits = fitting(length)
    advice = (
        f"the scheme {fits.value} ({fits.length} characters) fits, or widen the column first"
        if fits
        else "widen the column first"
    )
    return [f"a token has {needed} characters and {type_} holds only {length}; {advice}"]


def collisions(scheme: Scheme, values: int) -> str:
    """How likely it is that two of so many different values share a token (birthday bound)."""
    pairs = max(values, 2) * (max(values, 2) - 1) / 2
    return f"about 1 in {2.0**scheme.bits / pairs:.0e}".replace("e+", "e")


def parse_scheme(text: str | None) -> Scheme:
    """The scheme of a connection's setting; unset means hmac-sha256. Raises UnknownChoice."""
    if not text:
        return Scheme.HMAC_SHA256
    choices.check("tokenization scheme", text, Scheme)
    return Scheme(text)


def parse_key(text: str) -> bytes:
    """The 32 key bytes of a connection's secret (base64). Raises InvalidInput; never echoes it."""
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except ValueError as exc:
        raise InvalidInput(
            "The tokenization key is not base64. It must be the base64 of 32 random bytes."
        ) from exc
    if len(key) != KEY_BYTES:
        raise InvalidInput(
            f"The tokenization key must be the base64 of {KEY_BYTES} bytes; this one decodes "
            f"to {len(key)} bytes."
        )
    return key
