"""The token rule of `backend.tokenization.tokens`, as PostgreSQL expressions.

HMAC-SHA256 is built from `sha256(bytea)` (PostgreSQL 11 and later), so no extension is needed.
The two padded keys lie in a temporary table filled by COPY and are read through scalar
subqueries: the planner runs each once per statement and keeps the block-range plan, and no
statement text, log or pg_stat_activity row ever holds a key.

Every function, type and operator is named with its schema: the database's search_path stays as it
is for triggers' sake, and an operator somebody made may stand before PostgreSQL's own in it.
"""

import io
from collections.abc import Collection, Mapping
from typing import Final

from psycopg2.extensions import cursor as Cursor

from backend.integrations.postgres.connection import sql
from backend.tokenization.tokens import (
    BODY,
    HASHES,
    PATTERN,
    PREFIX,
    SUFFIX,
    TEXT_HEX,
    UTF8_HEX,
    PaddedKeys,
    Scheme,
    Tokenizer,
)

#: By column, for a run that also makes tokens anew that hold their value: `Reversible.sizes`.
Held = Mapping[str, Collection[int]]
PLAIN_ONLY: Final[Held] = {}

#: Where an expression finds the two padded keys: inner, outer.
Blocks = tuple[sql.Composable, sql.Composable]
_KEY_TABLE = sql.SQL("pg_temp.portal_tokenization_key")


def text_of(column: str) -> sql.Composable:
    """The column's value as text, compared byte by byte whatever its type and collation."""
    return sql.SQL('({}::pg_catalog.text COLLATE pg_catalog."C")').format(sql.Identifier(column))


def is_plain(value: sql.Composable) -> sql.Composable:
    """True for a value that a run changes: not NULL, not '', not a token.

    A run asks this of every value it has written before it commits, so the pattern costs more than
    all else: asked about the body alone it is half of what `tokens.PATTERN` is, and it is asked
    about values that begin and end like a token (two comparisons find the former faster than LIKE).
    Octets will do for characters: a body that the pattern takes has no longer ones. No per cent
    sign: some statements are executed with parameters.
    """
    return sql.SQL(
        "({value} OPERATOR(pg_catalog.<>) '' AND NOT ({value} OPERATOR(pg_catalog.>=) {first} "
        "AND {value} OPERATOR(pg_catalog.<) {behind} "
        "AND pg_catalog.right({value}, {last}) OPERATOR(pg_catalog.=) {suffix} "
        "AND pg_catalog.mod(pg_catalog.octet_length({value}), 4) OPERATOR(pg_catalog.=) {rest} "
        "AND pg_catalog.substr({value}, {start}, "
        "pg_catalog.octet_length({value}) OPERATOR(pg_catalog.-) {outside}) "
        "OPERATOR(pg_catalog.~) {body}))"
    ).format(
        value=value,
        first=sql.Literal(PREFIX),
        behind=sql.Literal(PREFIX[:-1] + chr(ord(PREFIX[-1]) + 1)),
        last=sql.Literal(len(SUFFIX)),
        suffix=sql.Literal(SUFFIX),
        start=sql.Literal(len(PREFIX) + 1),
        outside=sql.Literal(len(PREFIX) + len(SUFFIX)),
        rest=sql.Literal((len(PREFIX) + len(SUFFIX)) % 4),
        body=sql.Literal(BODY),
    )


FROM_TABLE: Blocks = (
    sql.SQL("(SELECT inner_block FROM {})").format(_KEY_TABLE),
    sql.SQL("(SELECT outer_block FROM {})").format(_KEY_TABLE),
)


def body_of(value: sql.Composable) -> sql.Composable:
    """The bytes between a token's marks; NULL for whatever is no token."""
    return sql.SQL(
        "CASE WHEN {value} OPERATOR(pg_catalog.<>) '' AND NOT {plain} THEN pg_catalog.decode("
        "pg_catalog.substr({value}, {first}, "
        "pg_catalog.length({value}) OPERATOR(pg_catalog.-) {marks}), 'base64') END"
    ).format(
        value=value,
        plain=is_plain(value),
        first=sql.Literal(len(PREFIX) + 1),
        marks=sql.Literal(len(PREFIX) + len(SUFFIX)),
    )


def is_text(body: sql.Composable) -> sql.Composable:
    """True for a token's bytes that read as a value, as `tokens.reversible` asks."""
    return sql.SQL(
        "(pg_catalog.encode({body}, 'hex') OPERATOR(pg_catalog.~) "
        "CASE WHEN {hashlike} THEN {text} ELSE {utf8} END)"
    ).format(
        body=body,
        hashlike=_one_of(body, HASHES),
        text=sql.Literal(TEXT_HEX),
        utf8=sql.Literal(UTF8_HEX),
    )


def _one_of(body: sql.Composable, sizes: Collection[int]) -> sql.Composable:
    return sql.SQL(
        "(pg_catalog.octet_length({}) OPERATOR(pg_catalog.=) ANY ({}::pg_catalog.int4[]))"
    ).format(body, sql.Literal("{" + ",".join(map(str, sorted(sizes))) + "}"))


def is_held(value: sql.Composable, sizes: Collection[int]) -> sql.Composable:
    """True for a token that holds its value: `tokens.held`. The bytes are decoded once."""
    body = sql.SQL("holder.body")
    return sql.SQL(
        "(SELECT COALESCE({text} AND ({sure} OR NOT {hashlike}) AND NOT "
        "(pg_catalog.substr(holder.body, 1, {marks}) OPERATOR(pg_catalog.=) {prefix}"
        "::pg_catalog.bytea AND pg_catalog.encode(holder.body, 'escape') "
        "OPERATOR(pg_catalog.~) {pattern}), false) "
        "FROM (SELECT {found} AS body OFFSET 0) AS holder)"
    ).format(
        text=is_text(body),
        sure=_one_of(body, sizes),
        hashlike=_one_of(body, HASHES),
        marks=sql.Literal(len(PREFIX)),
        prefix=sql.Literal(PREFIX),
        pattern=sql.Literal(PATTERN),
        found=body_of(value),
    )


def changes(value: sql.Composable, sizes: Collection[int] | None = None) -> sql.Composable:
    """True for a value that a run changes. sizes: also tokens that hold their value."""
    plain = is_plain(value)
    if sizes is None:
        return plain
    return sql.SQL("({} OR {})").format(plain, is_held(value, sizes))


def token_of(
    value: sql.Composable, scheme: Scheme, blocks: Blocks = FROM_TABLE, *, held: bool = False
) -> sql.Composable:
    """The token of a plain value. A keyed scheme needs `load_key` in the same transaction.

    held: the value may be a token that holds its value; then the token is that of the latter.
    textsend() gives the text's bytes in the client's encoding, which `connect` sets to UTF8; it
    does in a fraction of the time what convert_to() does.
    """
    data = sql.SQL("pg_catalog.textsend({})").format(value)
    if held:
        data = sql.SQL("COALESCE({}, {})").format(body_of(value), data)
    if scheme.keyed:
        data = sql.SQL(
            "pg_catalog.sha256({outer} OPERATOR(pg_catalog.||) "
            "pg_catalog.sha256({inner} OPERATOR(pg_catalog.||) {data}))"
        ).format(inner=blocks[0], outer=blocks[1], data=data)
        if scheme is not Scheme.HMAC_SHA256:
            data = sql.SQL("pg_catalog.substr({}, 1, {})").format(
                data, sql.Literal(scheme.bits // 8)
            )
    encoded = sql.SQL("pg_catalog.encode({}, 'base64')").format(data)
    if scheme is Scheme.BASE64:
        # encode() breaks lines after 76 characters, as MIME does; a token has no line breaks.
        # (The 44 characters of an HMAC fit on one.)
        encoded = sql.SQL("pg_catalog.replace({}, E'\\n', '')").format(encoded)
    return sql.SQL(
        "({prefix} OPERATOR(pg_catalog.||) {encoded} OPERATOR(pg_catalog.||) {suffix})"
    ).format(prefix=sql.Literal(PREFIX), suffix=sql.Literal(SUFFIX), encoded=encoded)


def after(
    value: sql.Composable,
    scheme: Scheme,
    blocks: Blocks = FROM_TABLE,
    sizes: Collection[int] | None = None,
) -> sql.Composable:
    """What a run leaves of any value: the token of one that it changes, all else as it is."""
    return sql.SQL("CASE WHEN {} THEN {} ELSE {} END").format(
        changes(value, sizes), token_of(value, scheme, blocks, held=sizes is not None), value
    )


def load_key(cursor: Cursor, tokenizer: Tokenizer) -> None:
    """Put the padded keys into a temporary table that is gone at commit or rollback."""
    if not tokenizer.scheme.keyed:
        return
    cursor.execute(
        "CREATE TEMPORARY TABLE pg_temp.portal_tokenization_key "
        "(inner_block pg_catalog.bytea NOT NULL, outer_block pg_catalog.bytea NOT NULL) "
        "ON COMMIT DROP"
    )
    cursor.copy_expert(
        "COPY pg_temp.portal_tokenization_key (inner_block, outer_block) FROM STDIN",
        io.StringIO(_copy_line(tokenizer.padded_keys())),
    )


def drop_key(cursor: Cursor) -> None:
    """Take the key away. Emptied first: DROP may call an event trigger while the table is there."""
    cursor.execute("TRUNCATE pg_temp.portal_tokenization_key")
    cursor.execute("DROP TABLE pg_temp.portal_tokenization_key")


def _copy_line(keys: PaddedKeys) -> str:
    return f"\\\\x{keys.inner.hex()}\t\\\\x{keys.outer.hex()}\n"
