"""The token rule of `backend.tokenization.tokens`, as SQL that MySQL and MariaDB share.

HMAC-SHA256 is built from SHA2(), which answers hex. Values go in as utf8mb4 bytes whatever the
column's character set; what decides is compared as binary, because collations here ignore case,
accents and trailing blanks. Identifiers have no placeholders in this protocol, so they are quoted
here; statements hold no value of a row and no key (see `Key`).
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from backend.core.errors import InvalidInput
from backend.tokenization.schemas import TableName
from backend.tokenization.tokens import (
    LONGEST_HASH,
    PATTERN,
    PREFIX,
    SUFFIX,
    TEXT_HEX,
    PaddedKeys,
    Scheme,
    Tokenizer,
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
    marks first, because the pattern is costly.
    """
    return (
        f"(OCTET_LENGTH({value}) > 0 AND NOT ("
        f"CAST(LEFT({value}, {len(PREFIX)}) AS BINARY) = '{PREFIX}' "
        f"AND CAST(RIGHT({value}, {len(SUFFIX)}) AS BINARY) = '{SUFFIX}' "
        f"AND {value} COLLATE utf8mb4_bin REGEXP '{PATTERN}'))"
    )


def bodies(table: TableName, column: str) -> str:
    """The query for `tokens.reversible`: the column's tokens by their body's size and kind."""
    value = text_of(column)
    marks = len(PREFIX) + len(SUFFIX)
    body = f"FROM_BASE64(SUBSTR({value}, {len(PREFIX) + 1}, CHAR_LENGTH({value}) - {marks}))"
    return (
        f"SELECT LEAST(LENGTH(body), {LONGEST_HASH + 1}) AS size, LENGTH(body) > {LONGEST_HASH} "  # noqa: S608  # quoted
        f"OR LOWER(HEX(LEFT(body, {LONGEST_HASH}))) REGEXP '{TEXT_HEX}' AS is_text, COUNT(*) FROM ("
        f"SELECT CASE WHEN OCTET_LENGTH({value}) > 0 AND NOT {is_plain(value)} THEN {body} END "
        f"AS body FROM {qualified(table)} AS t) AS bodies "
        "WHERE body IS NOT NULL GROUP BY size, is_text"
    )


def token_of(value: str, scheme: Scheme) -> str:
    """The token of a plain text. A keyed scheme needs `Key.table` in the FROM clause, as `k`."""
    data = f"CAST({value} AS BINARY)"
    if scheme.keyed:
        inner = f"UNHEX(SHA2(CONCAT(k.inner_block, {data}), 256))"
        # The first hex digits are the first bytes.
        data = f"UNHEX(LEFT(SHA2(CONCAT(k.outer_block, {inner}), 256), {scheme.bits // 4}))"
    # TO_BASE64 breaks lines after 76 characters; a token has no line breaks.
    return f"CONCAT('{PREFIX}', REPLACE(TO_BASE64({data}), '\\n', ''), '{SUFFIX}')"


def any_plain(columns: Sequence[str]) -> str:
    """True for a row that a run changes; false for NULLs."""
    return "(" + " OR ".join(f"COALESCE({is_plain(text_of(c))}, FALSE)" for c in columns) + ")"


def update(
    table: TableName, columns: Sequence[str], kept: Sequence[str], tokenizer: Tokenizer, key: "Key"
) -> str:
    """The one statement of a run. kept: columns that an UPDATE would else set to the time."""
    assignments = [
        f"t.{identifier(name)} = CASE WHEN {is_plain(text_of(name))} "
        f"THEN {token_of(text_of(name), tokenizer.scheme_of(name))} ELSE t.{identifier(name)} END"
        for name in columns
    ]
    assignments += [f"t.{identifier(name)} = t.{identifier(name)}" for name in kept]
    keys = f" CROSS JOIN {key.table} AS k" if tokenizer.scheme.keyed else ""
    return (
        f"UPDATE {qualified(table)} AS t{keys} SET {', '.join(assignments)} "  # noqa: S608  # quoted
        f"WHERE {any_plain(columns)}"
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
        """Make and fill it; in memory only. Outside any transaction of the run."""
        if not tokenizer.scheme.keyed:
            return
        cursor.execute(
            f"CREATE TEMPORARY TABLE {self.table} (pad BINARY({2 * _BLOCK}) NOT NULL, "
            f"inner_block BINARY({_BLOCK}), outer_block BINARY({_BLOCK})) ENGINE = MEMORY"
        )
        cursor.execute(
            f"INSERT INTO {self.table} (pad) "  # noqa: S608  # a name of ours
            f"VALUES (CONCAT(RANDOM_BYTES({_BLOCK}), RANDOM_BYTES({_BLOCK})))"
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
