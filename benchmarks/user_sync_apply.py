"""Applying 1,000 changes to a server that answers in 30 ms: a few at a time, beside one by one.

    .venv/bin/python -m benchmarks.user_sync_apply [--changes 1000] [--one-by-one 1000]

Both sides are the same code (re-read, If-Match, PATCH, compare, outcome stored per user); only the
number of users under way at once differs. Target: at least 6 times as fast.
"""

import argparse
import time
from dataclasses import replace

from benchmarks.user_sync_plan import prepare, server


def measure(database: object, actor: object, changes: int, concurrency: int) -> float:
    """Seconds per change; the run is undone afterwards, so both sides do the same work."""
    from backend.user_sync import service

    with database.write() as session:
        view = service.get_settings(session, actor, environment="bench")
        settings = replace(view.settings, concurrency=concurrency, limit_percent=100.0)
        service.save_settings(session, actor, environment="bench", settings=settings)
    plan = service.plan_now(database, actor, environment="bench")
    with database.read() as session:
        ids = service.applicable_user_ids(session, actor, plan_id=plan.id)[:changes]
    with database.write() as session:
        run = service.apply(session, actor, plan_id=plan.id, user_ids=ids, background=False)
    started = time.perf_counter()
    run = service.execute(database, actor, run_id=run.id)
    seconds = time.perf_counter() - started
    assert run.counts == {"applied": len(ids)}, run
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=1000)
    parser.add_argument("--one-by-one", type=int, default=1000)
    parser.add_argument("--concurrency", type=int, default=12)
    parser.add_argument("--latency-ms", type=float, default=30)
    chosen = parser.parse_args()
    users = str(chosen.changes + chosen.one_by_one)
    with (
        server(
            "backend.sandbox.openmetadata",
            *("--users", users, "--latency-ms", str(chosen.latency_ms)),
        ) as om,
        server("backend.sandbox.directory", "--users", users, "--changed-every", "1") as directory,
    ):
        database, actor = prepare(om, directory)
        together = measure(database, actor, chosen.changes, chosen.concurrency)
        alone = measure(database, actor, chosen.one_by_one, 1)
    per_change = alone / chosen.one_by_one
    whole = per_change * chosen.changes
    print(f"{chosen.changes:,} changes, {chosen.concurrency} at a time    {together:7.2f} s")
    print(
        f"{chosen.changes:,} changes, one by one      {whole:7.2f} s   "
        f"({chosen.one_by_one:,} measured, {per_change * 1000:.0f} ms each)"
    )
    print(f"times as fast                 {whole / together:7.1f}     ≥ 6")


if __name__ == "__main__":
    main()
