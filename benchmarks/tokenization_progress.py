"""What progress, cancellation and the portal's own records cost a run, and how much memory.

The same table is tokenized in one UPDATE statement (nobody could watch or stop it) and in
block-range batches through the real job, with its rows, log and heartbeats in a state database.
Claims: under 5 % more time; the portal's memory does not grow with the table.
Run: python -m benchmarks.tokenization_progress [rows]
"""

import os
import sys
import tempfile
from pathlib import Path

from benchmarks import _tokenization
from benchmarks._tokenization import Bench, Quiet, peak_megabytes

CLAIM = 0.05
MEMORY_CLAIM = 16.0
ROUNDS = 3


def in_one_statement(bench: Bench, rows: int) -> float:
    """One batch over the whole table."""
    from backend.tokenization.engines.postgres import rewrite

    before = rewrite.FIRST_BATCH_BLOCKS
    rewrite.FIRST_BATCH_BLOCKS = 1 << 30
    control = Quiet()
    try:
        table = bench.fresh(rows)
        seconds = bench.tokenize(table, control)
        assert control.told == 2
        bench.drop(table)
        return seconds
    finally:
        rewrite.FIRST_BATCH_BLOCKS = before


def through_the_job(bench: Bench, rows: int) -> float:
    """The real job of a real run, its records in a SQLite state database."""
    from backend.core.database import get_database
    from backend.jobs import runner
    from backend.tokenization import service
    from backend.tokenization.schemas import Trigger
    from tests.backend.tokenization.world import STEWARD

    table = bench.fresh(rows)
    urn = f"urn:li:dataset:(urn:li:dataPlatform:postgres,{table},PROD)"
    database = get_database()
    view = service.start(
        database, STEWARD, dataset=urn, columns=["email", "phone"], trigger=Trigger.CLI
    )
    assert view.job_id
    runner.run(view.job_id, database)
    with database.read() as session:
        view = service.get(session, STEWARD, run_id=view.id)
    assert view.rows_updated == rows
    assert view.seconds
    bench.drop(table)
    return view.seconds


def prepare(bench: Bench, folder: Path) -> None:
    """A portal of its own with an environment for the server."""
    os.environ["PORTAL_DATA_DIR"] = str(folder)
    os.environ["PORTAL_LOG_LEVEL"] = "WARNING"
    from backend.core import log, secret_store, startup
    from backend.core.database import get_database
    from tests.backend.tokenization.world import Source, make_world

    log.configure("WARNING")
    startup.prepare(get_database(), secret_store.get_vault())
    make_world(get_database(), Source(bench.server.url(bench.database)))


def main() -> int:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    one, batched = [], []
    with _tokenization.bench() as bench, tempfile.TemporaryDirectory() as folder:
        prepare(bench, Path(folder))
        through_the_job(bench, rows // 10)
        small = peak_megabytes()
        for _ in range(ROUNDS):
            one.append(in_one_statement(bench, rows))
            batched.append(through_the_job(bench, rows))
        large = peak_megabytes()
    whole, watched = min(one), min(batched)
    cost, grown = watched / whole - 1, large - small
    print(f"{rows:,} rows, two columns, best of {ROUNDS}")
    print(f"one statement, unwatched   {whole:8.2f} s")
    print(f"batches through the job    {watched:8.2f} s")
    print(f"cost of progress {cost:+.1%} (claim: under {CLAIM:.0%})")
    print(f"peak memory: {small:.0f} MB at {rows // 10:,} rows, {large:.0f} MB at {rows:,} rows;")
    print(f"grown by {grown:.1f} MB (claim: at most {MEMORY_CLAIM:.0f} MB)")
    return 0 if cost < CLAIM and grown <= MEMORY_CLAIM else 1


if __name__ == "__main__":
    raise SystemExit(main())
