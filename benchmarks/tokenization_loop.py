"""Tokenize two columns in the database, against the row-by-row SELECT/UPDATE loop.

The loop is what an ORM or a first script does: for each id read the row, compute the tokens in
Python, write the row; one connection, one transaction, on the same machine (a network between
makes it slower still). A loop that streams its reads and sends only UPDATEs is printed as well.
Both are timed on a twentieth of the rows. Claim: at least 12 times faster than the first.
Run: python -m benchmarks.tokenization_loop [rows]
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

from benchmarks import _tokenization
from benchmarks._tokenization import TOKENIZER, Bench

CLAIM = 12.0
ROUNDS = 3

Rows = Iterator[tuple[int, str, str]]


def one_by_one(cursor: Any, table: str) -> Rows:
    """Every row by a SELECT of its own."""
    cursor.execute(f"SELECT id FROM {table}")
    for (number,) in cursor.fetchall():
        cursor.execute(f"SELECT id, email, phone FROM {table} WHERE id = %s", (number,))
        yield cursor.fetchone()


def streamed(cursor: Any, table: str) -> Rows:
    """All rows by one SELECT."""
    cursor.execute(f"SELECT id, email, phone FROM {table}")
    yield from cursor.fetchall()


def loop(bench: Bench, rows: int, read: Callable[[Any, str], Rows]) -> float:
    """Seconds per row."""
    table = bench.fresh(rows)
    with closing(bench.server.connect(bench.database)) as connection:
        connection.autocommit = False
        reader, writer = connection.cursor(), connection.cursor()
        begun = time.perf_counter()
        for number, email, phone in read(reader, table.table):
            writer.execute(
                f"UPDATE {table.table} SET email = %s, phone = %s WHERE id = %s",
                (TOKENIZER.token(email), TOKENIZER.token(phone), number),
            )
        connection.commit()
        seconds = time.perf_counter() - begun
    bench.drop(table)
    return seconds / rows


def tokenized(bench: Bench, rows: int) -> float:
    """Seconds per row."""
    table = bench.fresh(rows)
    seconds = bench.tokenize(table)
    bench.drop(table)
    return seconds / rows


def main() -> int:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    few = max(1, rows // 20)
    slow, stream, fast = [], [], []
    with _tokenization.bench() as bench:
        for _ in range(ROUNDS):
            slow.append(loop(bench, few, one_by_one))
            stream.append(loop(bench, few, streamed))
            fast.append(tokenized(bench, rows))
    one, streaming, ours = (min(each) for each in (slow, stream, fast))
    print(f"{rows:,} rows, two columns, best of {ROUNDS}; loops timed on {few:,} rows")
    print(f"SELECT and UPDATE per row      {1 / one:12,.0f} rows/s")
    print(f"one SELECT, UPDATE per row     {1 / streaming:12,.0f} rows/s ({streaming / ours:.1f})")
    print(f"tokenize                       {1 / ours:12,.0f} rows/s")
    print(f"ratio {one / ours:.1f} (claim: at least {CLAIM:.0f})")
    return 0 if one / ours >= CLAIM else 1


if __name__ == "__main__":
    raise SystemExit(main())
