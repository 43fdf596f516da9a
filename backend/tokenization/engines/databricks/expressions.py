"""The token rule of `backend.tokenization.tokens`, as Spark SQL for a Delta table.

HMAC-SHA256 is built from sha2(binary, 256), which answers hex. The padded keys and the pattern go
in as native parameters (`:inner_block`, `:outer_block`, `:token_pattern`), never as text.
"""

from collections.abc import Mapping, Sequence

from backend.core.errors import InvalidInput
from backend.tokenization.schemas import TableName
from backend.tokenization.tokens import (
    HASHES,
    PATTERN,
    PREFIX,
    SUFFIX,
    TEXT_HEX,
    UTF8_HEX,
    Scheme,
    Tokenizer,
)


def identifier(name: str) -> str:
    """A quoted name. Spark has no escape for control characters in one, so those are refused."""
    if not name or not name.isprintable():
        raise InvalidInput(f"{name!r} cannot be a name in Databricks.")
    return "`" + name.replace("`", "``") + "`"


def qualified(table: TableName) -> str:
    return ".".join(identifier(part) for part in (table.database, table.schema, table.table))


def is_plain(column: str) -> str:
    """True for a value that a run changes: not NULL, not '', not a token.

    The suffix is asked for apart, because Java's `$` also matches before a final newline.
    """
    name = identifier(column)
    return (
        f"({name} <> '' AND NOT (left({name}, {len(PREFIX)}) = '{PREFIX}' "
        f"AND right({name}, {len(SUFFIX)}) = '{SUFFIX}' AND {name} RLIKE :token_pattern))"
    )


def bodies(table: TableName, column: str) -> str:
    """The query for `tokens.reversible`: the column's tokens by their body's size and kind.

    Longer bodies than any hash are taken for text: Java's patterns fail on long ones.
    """
    longest = max(HASHES)
    name = identifier(column)
    marks = len(PREFIX) + len(SUFFIX)
    body = f"unbase64(substring({name}, {len(PREFIX) + 1}, length({name}) - {marks}))"
    return (
        f"SELECT size, is_text, count(*) FROM (SELECT least(length(body), {longest + 1}) "  # noqa: S608  # quoted
        f"AS size, CASE WHEN length(body) > {longest} THEN true "
        f"WHEN length(body) IN ({', '.join(map(str, HASHES))}) "
        f"THEN lower(hex(body)) RLIKE '{TEXT_HEX}' "
        f"ELSE lower(hex(body)) RLIKE '{UTF8_HEX}' END AS is_text FROM ("
        f"SELECT CASE WHEN {name} <> '' AND NOT {is_plain(column)} THEN {body} END AS body "
        f"FROM {qualified(table)}) AS bodies WHERE body IS NOT NULL) AS sized "
        "GROUP BY size, is_text"
    )


def token_of(column: str, scheme: Scheme) -> str:
    """The token of a plain value."""
    data = f"CAST({identifier(column)} AS BINARY)"
    if scheme.keyed:
        inner = f"unhex(sha2(concat(unhex(:inner_block), {data}), 256))"
        # The first hex digits are the first bytes.
        digits = scheme.bits // 4
        data = f"unhex(left(sha2(concat(unhex(:outer_block), {inner}), 256), {digits}))"
    # Some Spark versions break base64 into lines of 76 characters; a token has no line breaks.
    return f"concat('{PREFIX}', translate(base64({data}), '\\r\\n', ''), '{SUFFIX}')"


def any_plain(columns: Sequence[str]) -> str:
    return "(" + " OR ".join(is_plain(column) for column in columns) + ")"


def update(table: TableName, columns: Sequence[str], tokenizer: Tokenizer) -> str:
    """The one statement of a run."""
    assignments = ", ".join(
        f"{identifier(column)} = {rewritten(column, tokenizer.scheme_of(column))}"
        for column in columns
    )
    where = any_plain(columns)
    return f"UPDATE {qualified(table)} SET {assignments} WHERE {where}"  # noqa: S608  # quoted


def rewritten(column: str, scheme: Scheme) -> str:
    """The column's value after a run."""
    return (
        f"CASE WHEN {is_plain(column)} THEN {token_of(column, scheme)} "
        f"ELSE {identifier(column)} END"
    )


def parameters(tokenizer: Tokenizer) -> Mapping[str, str]:
    """Values for the placeholders of `update`, `rewritten` and `token_of`."""
    if not tokenizer.scheme.keyed:
        return {"token_pattern": PATTERN}
    keys = tokenizer.padded_keys()
    return {
        "token_pattern": PATTERN,
        "inner_block": keys.inner.hex(),
        "outer_block": keys.outer.hex(),
    }


def pattern_only() -> Mapping[str, str]:
    """Values for statements that hold `is_plain` alone."""
    return {"token_pattern": PATTERN}
