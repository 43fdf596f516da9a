"""Which texts are tokens, the server asked about many that nearly are: as `is_token` says."""

import itertools

from backend.integrations.postgres.connection import connect, sql
from backend.tokenization.engines.postgres import expressions
from backend.tokenization.tokens import is_token
from tests.backend.tokenization.world import SCHEMES, Source

_WHOLE = [tokenizer.token(text) for tokenizer in SCHEMES.values() for text in ("a", "ab", "abc")]
#: Every end that a quantum can have, canonical or not, and every length around a whole one.
_ENDS = [
    f"tok_{before}{last}{pad}_poc"
    for before, last, pad in itertools.product(
        ("", "A", "AA", "AAA", "poc", "pocA", "AAAAA", "AAAAAA", "AAAAAAA"),
        "ABEQaghw/+048_=é",
        ("", "=", "==", "==="),
    )
]
_ODD = ["\n", " ", "\t", "_", "-", "é", "🐤", "\u00a0", "=", "%", "\\", "'", "A"]


def _nearly(token: str) -> list[str]:
    """The token with an odd character put in, or put in the place of one, at each place."""
    places = range(len(token) + 1)
    return [
        changed
        for at, odd in itertools.product(places, _ODD)
        for changed in (token[:at] + odd + token[at:], token[:at] + odd + token[at + 1 :])
    ] + [token[:at] + token[at + 1 :] for at in places]


def test_the_server_says_what_python_says(source: Source) -> None:
    texts = [*_WHOLE, *_ENDS, *(near for token in _WHOLE for near in _nearly(token))]
    texts += ["tok_", "_poc", "tok_poc", "tok__poc", "TOK_QUJD_poc", "tok_QUJD_POC", "tok`QUJD_poc"]
    texts = list(dict.fromkeys(texts))
    query = sql.SQL(
        "SELECT value FROM unnest(%s::text[]) AS given (value) WHERE NOT {} AND value <> ''"
    ).format(expressions.is_plain(sql.SQL('(given.value COLLATE "C")')))
    with connect(source.settings, source.secrets) as connection, connection.cursor() as cursor:
        cursor.execute(query, (texts,))
        found = {row[0] for row in cursor.fetchall()}

    assert found == {text for text in texts if is_token(text)}
    assert len(_WHOLE) < len(found) < len(texts)  # tokens that no run made, too, and others
