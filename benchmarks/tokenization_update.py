"""Tokenize two columns of 1,000,000 rows, against a bare UPDATE that writes constants as long.

The bare UPDATE is the floor: the same rows must be rewritten. Claim: at most 2.2 times the floor.
Both run on the same server, one after the other, three times on fresh tables; best of each counts.
Run: python -m benchmarks.tokenization_update [rows]
"""

import sys

from benchmarks import _tokenization
from benchmarks._tokenization import Bench

CLAIM = 2.2
ROUNDS = 3


def bare_update(bench: Bench, rows: int) -> float:
    table = bench.fresh(rows)
    constant = "'tok_" + "x" * 44 + "_poc'"
    seconds = bench.run(f"UPDATE {table.table} SET email = {constant}, phone = {constant}")
    bench.drop(table)
    return seconds


def tokenized(bench: Bench, rows: int) -> float:
    table = bench.fresh(rows)
    seconds = bench.tokenize(table)
    bench.drop(table)
    return seconds


def main() -> int:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    floor, ours = [], []
    with _tokenization.bench() as bench:
        for _ in range(ROUNDS):
            floor.append(bare_update(bench, rows))
            ours.append(tokenized(bench, rows))
    low, mid = min(floor), min(ours)
    print(f"{rows:,} rows, two columns, best of {ROUNDS}")
    print(f"bare UPDATE of constants   {low:8.2f} s  {rows / low:12,.0f} rows/s")
    print(f"tokenize                   {mid:8.2f} s  {rows / mid:12,.0f} rows/s")
    print(f"ratio {mid / low:.2f} (claim: at most {CLAIM})")
    return 0 if mid / low <= CLAIM else 1


if __name__ == "__main__":
    raise SystemExit(main())
