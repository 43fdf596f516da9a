"""Tokenize two columns of 1,000,000 rows, against a bare UPDATE that writes constants as long.

The bare UPDATE is the floor: the same rows must be rewritten. Claims: in place at most 1.8 times
the floor, by rewriting the table at most 1.0 times. All run on one server, one after the other,
three times on fresh tables; best of each counts. What each method's write costs alone, without its
counting and its proof that nothing plain is left, stands beside it: no run can be faster.
Run: python -m benchmarks.tokenization_update [rows] [rounds]
"""

import sys
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

from backend.tokenization.engines.base import RewriteResult
from backend.tokenization.engines.postgres import alter, catalog, expressions, measure, rewrite
from backend.tokenization.engines.postgres.facts import TableFacts
from backend.tokenization.schemas import TableName
from benchmarks import _tokenization
from benchmarks._tokenization import COLUMNS, TOKENIZER, Bench

IN_PLACE, REWRITE = 1.8, 1.0
ROUNDS = 3
NAMES = [column.name for column in COLUMNS]


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


def update_alone(cursor: Any, facts: TableFacts, _table: TableName) -> None:
    """The statement that a run in place sends, for all blocks at once."""
    expressions.load_key(cursor, TOKENIZER)
    (member,) = facts.leaves
    cursor.execute(rewrite._update(member, NAMES, TOKENIZER, 0, member.blocks))


def alter_alone(cursor: Any, facts: TableFacts, table: TableName) -> None:
    alter._alter(cursor, facts, table, NAMES, TOKENIZER)


def written(bench: Bench, rows: int, write: Callable[..., None]) -> tuple[float, float]:
    """Seconds of the write alone with its commit, and of the proof that comes before the commit."""
    table = bench.fresh(rows)
    with closing(bench.server.connect(bench.database)) as connection:
        connection.autocommit = False
        with connection.cursor() as cursor:
            facts = catalog.read(cursor, table)
            begun = time.perf_counter()
            write(cursor, facts, table)
            proving = time.perf_counter()
            assert measure.count_plain(cursor, table, NAMES) == 0
            proven = time.perf_counter()
            connection.commit()
            seconds = time.perf_counter() - begun
    bench.drop(table)
    return seconds - (proven - proving), proven - proving


def main() -> int:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else ROUNDS
    methods = {
        "in place": (rewrite.rewrite, update_alone, IN_PLACE),
        "rewrite": (alter.rewrite_table, alter_alone, REWRITE),
    }
    floor, runs, alone = [], {name: [] for name in methods}, {name: [] for name in methods}
    with _tokenization.bench() as bench:
        for _ in range(rounds):
            floor.append(bare_update(bench, rows))
            for name, (whole, part, _claim) in methods.items():
                runs[name].append(tokenized(bench, rows, whole))
                alone[name].append(written(bench, rows, part))
    low = min(floor)
    print(f"{rows:,} rows, two columns, best of {rounds}")
    print(f"bare UPDATE of constants   {low:8.2f} s  {rows / low:12,.0f} rows/s")
    good = True
    for name, (_whole, _part, claim) in methods.items():
        best = min(runs[name])
        write, proof = (min(each) for each in zip(*alone[name], strict=True))
        good &= best / low <= claim
        print(
            f"tokenize, {name:<16} {best:8.2f} s  {rows / best:12,.0f} rows/s  "
            f"ratio {best / low:.2f} (claim: at most {claim}); its write alone "
            f"{write / low:.2f}, its proof {proof / low:.2f}"
        )
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
