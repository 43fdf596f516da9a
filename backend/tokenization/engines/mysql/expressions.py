"""The token rule of `backend.tokenization.tokens`, as SQL that MySQL and MariaDB share.

HMAC-SHA256 is built from SHA2(), which answers hex. Values go in as utf8mb4 bytes whatever the
column's character set; what decides is compared as binary, because collations here ignore case,
accents and trailing blanks. Identifiers have no placeholders in this protocol, so they are quoted
here; statements hold no value of a row and no key (see `Key`).
"""

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from backend.core.errors import InvalidInput
from backend.tokenization.schemas import TableName
from backend.tokenization.tokens import (
    HASHES,
    PREFIX,
    SUFFIX,
    TEXT_HEX,
    PaddedKeys,
    Scheme,
    Tokenizer,
)

#: `tokens.PATTERN` in two: MySQL's ICU gives up on a group that is repeated over a long text, and
#: on one that it may match in several ways. An atomic group is matched in one; both know it.
_TOKEN: Final = f"^{PREFIX}(?>[A-Za-z0-9+/]*)={{0,2}}{SUFFIX}$"
_LAST: Final = (
    "^([A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=|[A-Za-z0-9+/][AQgw]==)" + SUFFIX
)
#: By column, for a run that also makes tokens anew that hold their value: `Reversible.sizes`.
Held = Mapping[str, Collection[int]]
PLAIN_ONLY: Final[Held] = {}


def _bytes(first: int, last: int) -> str:
    """Those bytes `_by_character`, for a pattern: MySQL's latin1 is cp1252 without its gaps."""
    gaps = {0x81, 0x8D, 0x8F, 0x90, 0x9D}
    return "".join(
        chr(byte) if byte in gaps else bytes([byte]).decode("cp1252")
        for byte in range(first, last + 1)
    )


_MORE = f"[{_bytes(0x80, 0xBF)}]"
#: Finds what is no UTF-8 (RFC 3629, section 4).
_NO_UTF8: Final = "|".join(
    (
        f"[{_bytes(0xC0, 0xC1)}{_bytes(0xF5, 0xFF)}]",
        f"(^|[^{_bytes(0x80, 0xFF)}]){_MORE}",
        f"[{_bytes(0xC2, 0xDF)}]((?!{_MORE})|{_MORE}{{2}})",
        f"{_bytes(0xE0, 0xE0)}(?![{_bytes(0xA0, 0xBF)}])",
        f"{_bytes(0xED, 0xED)}(?![{_bytes(0x80, 0x9F)}])",
        f"[{_bytes(0xE0, 0xEF)}]((?!{_MORE}{{2}})|{_MORE}{{3}})",
        f"{_bytes(0xF0, 0xF0)}(?![{_bytes(0x90, 0xBF)}])",
        f"{_bytes(0xF4, 0xF4)}(?![{_bytes(0x80, 0x8F)}])",
        f"[{_bytes(0xF0, 0xF4)}]((?!{_MORE}{{3}})|{_MORE}{{4}})",
    )
)
_BLOCK = 64
#: BIGINT arithmetic is what both servers have for an exclusive or.
_PIECE = 8


def identifier(name: str) -> str:
    """A quoted name; inside backticks only a backtick itself has a meaning."""
    if not name or "\0" in name:
        raise InvalidInput(f"{name!r} cannot be a name in MySQL.")
    return "`" + name.replace("`", "``") + "`"


def qualified(table: TableName) -> str:
    return f"{identifier(table.database)}.{identifier(table.table)}"


def text_of(column: str) -> str:
    """The column's value as utf8mb4, whatever its character set."""
    return f"CONVERT(t.{identifier(column)} USING utf8mb4)"


def is_plain(value: str) -> str:
    """True for a text that a run changes: not NULL, not '', not a token.

    PCRE's and ICU's `$` also match before a final newline, so the suffix is asked for apart; both
    marks first, because the patterns are costly. The marks are eight characters, so a token's
    length is a multiple of four as its base64's is.
    """
    return (
        f"(OCTET_LENGTH({value}) > 0 AND NOT ("
        f"CAST(LEFT({value}, {len(PREFIX)}) AS BINARY) = '{PREFIX}' "
        f"AND CAST(RIGHT({value}, {len(SUFFIX)}) AS BINARY) = '{SUFFIX}' "
        f"AND MOD(CHAR_LENGTH({value}), 4) = 0 "
        f"AND RIGHT({value}, {4 + len(SUFFIX)}) COLLATE utf8mb4_bin REGEXP '{_LAST}' "
        f"AND {value} COLLATE utf8mb4_bin REGEXP '{_TOKEN}'))"
    )


def _body_of(token: str) -> str:
    """The bytes between a token's marks."""
    marks = len(PREFIX) + len(SUFFIX)
    return f"FROM_BASE64(SUBSTR({token}, {len(PREFIX) + 1}, CHAR_LENGTH({token}) - {marks}))"


def _by_character(body: str) -> str:
    """A text with one character for each byte: latin1 has them all, and no conversion can fail,
    which would end an UPDATE."""
    return f"CONVERT(CONVERT({body} USING latin1) USING utf8mb4)"


def is_text(body: str) -> str:
    """True for a token's bytes that read as a value, as `tokens.reversible` asks.

    What may be long: MySQL makes NULL of bytes that are no UTF-8. MariaDB would end an UPDATE over
    them, so there they are searched for what breaks UTF-8, a search that MySQL gives up on. Each
    server reads its own comment and skips the other's.
    """
    return (
        f"CASE WHEN LENGTH({body}) IN ({_listed(HASHES)}) "
        f"THEN LOWER(HEX(LEFT({body}, {max(HASHES)}))) REGEXP '{TEXT_HEX}' "
        f"ELSE /*!80000 CONVERT({body} USING utf8mb4) IS NOT NULL */ "
        f"/*M! NOT ({_by_character(body)} COLLATE utf8mb4_bin REGEXP '{_NO_UTF8}') */ END"
    )


def _listed(sizes: Collection[int]) -> str:
    """For IN, which takes no empty list; no body has 0 bytes."""
    return ", ".join(map(str, sorted(sizes))) or "0"


def bodies(table: TableName, column: str) -> str:
    """The query for `tokens.reversible`: the column's tokens by their body's size and kind."""
    value = text_of(column)
    return (
        f"SELECT LEAST(LENGTH(body), {max(HASHES) + 1}) AS size, COALESCE({is_text('body')}, 0) "  # noqa: S608  # quoted
        f"AS is_text, COUNT(*) FROM (SELECT CASE WHEN OCTET_LENGTH({value}) > 0 "
        f"AND NOT {is_plain(value)} THEN {_body_of(value)} END AS body "
        f"FROM {qualified(table)} AS t) AS bodies WHERE body IS NOT NULL GROUP BY size, is_text"
    )


def changes(value: str, sizes: Collection[int] | None = None) -> str:
    """True for a value that a run changes; never NULL. sizes: also for a token that holds its
    value (`tokens.held`)."""
    plain = f"COALESCE({is_plain(value)}, FALSE)"
    if sizes is None:
        return plain
    body = _body_of(value)
    sure = f"LENGTH({body}) NOT IN ({_listed(set(HASHES) - set(sizes))})"
    held = f"{sure} AND {is_text(body)} AND {is_plain(_by_character(body))}"
    return f"CASE WHEN {plain} THEN TRUE ELSE COALESCE({held}, FALSE) END"


def token_of(value: str, scheme: Scheme, *, held: bool = False) -> str:
    """The token of a plain text. A keyed scheme needs `Key.table` in the FROM clause, as `k`.

    held: the text may be a token that holds its value; then the token is that of the latter.
    """
    data = f"CAST({value} AS BINARY)"
    if held:
        data = f"CASE WHEN {is_plain(value)} THEN {data} ELSE {_body_of(value)} END"
    if scheme.keyed:
        inner = f"UNHEX(SHA2(CONCAT(k.inner_block, {data}), 256))"
        # The first hex digits are the first bytes.
        data = f"UNHEX(LEFT(SHA2(CONCAT(k.outer_block, {inner}), 256), {scheme.bits // 4}))"
    # TO_BASE64 breaks lines after 76 characters; a token has no line breaks.
    return f"CONCAT('{PREFIX}', REPLACE(TO_BASE64({data}), '\\n', ''), '{SUFFIX}')"


def after(column: str, tokenizer: Tokenizer, held: Held, kept: str) -> str:
    """What a run leaves of the column. kept: the expression for values that it does not change."""
    value, sizes = text_of(column), held.get(column)
    token = token_of(value, tokenizer.scheme_of(column), held=sizes is not None)
    return f"CASE WHEN {changes(value, sizes)} THEN {token} ELSE {kept} END"


def any_changed(columns: Sequence[str], held: Held = PLAIN_ONLY) -> str:
    """True for a row that a run changes; false for NULLs."""
    return "(" + " OR ".join(changes(text_of(c), held.get(c)) for c in columns) + ")"


def update(
    table: TableName,
    columns: Sequence[str],
    kept: Sequence[str],
    tokenizer: Tokenizer,
    key: "Key",
    held: Held = PLAIN_ONLY,
) -> str:
    """The one statement of a run. kept: columns that an UPDATE would else set to the time."""
    assignments = [
        f"t.{identifier(name)} = {after(name, tokenizer, held, f't.{identifier(name)}')}"
        for name in columns
    ]
    assignments += [f"t.{identifier(name)} = t.{identifier(name)}" for name in kept]
    keys = f" CROSS JOIN {key.table} AS k" if tokenizer.scheme.keyed else ""
    return (
        f"UPDATE {qualified(table)} AS t{keys} SET {', '.join(assignments)} "  # noqa: S608  # quoted
        f"WHERE {any_changed(columns, held)}"
    )


@dataclass(frozen=True)
class Key:
    """A temporary table that holds the padded keys, under a name that nobody can know.

    The key is never in a statement, so in no log, process list or binary log: the server draws a
    one-time pad, whose way to the client is an answer, which no log records; the key comes back as
    its exclusive or with the pad. A trigger that nobody may see cannot name the table.
    """

    name: str = field(default_factory=lambda: f"portal_{secrets.token_hex(16)}", repr=False)

    @property
    def table(self) -> str:
        return identifier(self.name)

    def load(self, cursor: Any, tokenizer: Tokenizer) -> None:
        """Make and fill it; in memory only. Outside any transaction of the run.

        It has a primary key because servers may insist on one (sql_require_primary_key).
        """
        if not tokenizer.scheme.keyed:
            return
        cursor.execute(
            f"CREATE TEMPORARY TABLE {self.table} (id INT PRIMARY KEY, pad BINARY({2 * _BLOCK}), "
            f"inner_block BINARY({_BLOCK}), outer_block BINARY({_BLOCK})) ENGINE = MEMORY"
        )
        cursor.execute(
            f"INSERT INTO {self.table} (id, pad) "  # noqa: S608  # a name of ours
            f"VALUES (1, CONCAT(RANDOM_BYTES({_BLOCK}), RANDOM_BYTES({_BLOCK})))"
        )
        cursor.execute(f"SELECT pad FROM {self.table}")  # noqa: S608  # a name of ours
        pad = bytes(cursor.fetchone()[0])
        inner, outer = _masked(tokenizer.padded_keys(), pad)
        cursor.execute(
            f"UPDATE {self.table} SET inner_block = {_unmasked(inner, 0)}, "  # noqa: S608  # ours
            f"outer_block = {_unmasked(outer, _BLOCK)}, pad = ''"
        )

    def drop(self, cursor: Any) -> None:
        cursor.execute(f"DROP TEMPORARY TABLE IF EXISTS {self.table}")


def _masked(keys: PaddedKeys, pad: bytes) -> tuple[bytes, bytes]:
    if len(pad) != 2 * _BLOCK:
        raise ValueError("the server's pad has another length")
    both = bytes(a ^ b for a, b in zip(keys.inner + keys.outer, pad, strict=True))
    return both[:_BLOCK], both[_BLOCK:]


def _unmasked(masked: bytes, first: int) -> str:
    """The expression that takes the pad's bytes from `first` off again."""
    pieces = (
        f"LPAD(HEX(CAST(CONV(HEX(SUBSTR(pad, {first + place + 1}, {_PIECE})), 16, 10) AS UNSIGNED)"
        f" ^ CAST(CONV('{masked[place : place + _PIECE].hex()}', 16, 10) AS UNSIGNED)), 16, '0')"
        for place in range(0, _BLOCK, _PIECE)
    )
    return f"UNHEX(CONCAT({', '.join(pieces)}))"
