"""Tokenize two columns of 1,000,000 rows, against a bare UPDATE that writes constants as long.

The bare UPDATE is the floor: the same rows must be rewritten. Claims: in place at most 1.8 times
the floor, by rewriting the table at most 1.0 times. All run on one server, one after the other,
three times on fresh tables; best of each counts.
Run: python -m benchmarks.tokenization_update [rows] [rounds]
"""

import sys
from collections.abc import Callable

from backend.tokenization.engines.base import RewriteResult
from backend.tokenization.engines.postgres import alter, rewrite
from benchmarks import _tokenization
from benchmarks._tokenization import Bench

IN_PLACE, REWRITE = 1.8, 1.0
ROUNDS = 3


def bare_update(bench: Bench, rows: int) -> float:
    table = bench.fresh(rows)
    constant = "'tok_" + "x" * 44 + "_poc'"
    seconds = bench.run(f"UPDATE {table.table} SET email = {constant}, phone = {constant}")
    bench.drop(table)
    return seconds


def tokenized(bench: Bench, rows: int, write: Callable[..., RewriteResult]) -> float:
    table = bench.fresh(rows)
    seconds = bench.tokenize(table, write=write)
    bench.drop(table)
    return seconds


def main() -> int:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else ROUNDS
    floor, in_place, whole = [], [], []
    with _tokenization.bench() as bench:
        for _ in range(rounds):
            floor.append(bare_update(bench, rows))
            in_place.append(tokenized(bench, rows, rewrite.rewrite))
            whole.append(tokenized(bench, rows, alter.rewrite_table))
    low = min(floor)
    print(f"{rows:,} rows, two columns, best of {rounds}")
    print(f"bare UPDATE of constants   {low:8.2f} s  {rows / low:12,.0f} rows/s")
    good = True
    for name, found, claim in (("in place", in_place, IN_PLACE), ("rewrite", whole, REWRITE)):
        best = min(found)
        good &= best / low <= claim
        print(
            f"tokenize, {name:<16} {best:8.2f} s  {rows / best:12,.0f} rows/s  "
            f"ratio {best / low:.2f} (claim: at most {claim})"
        )
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
