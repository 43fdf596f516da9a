"""What two years of history cost: every page's reads, list, filter without a hit, scheduled task.

Two portals of the same density: one after its first month, one after two years with 1,000,000
audit events, 300,000 jobs, 100,000 runs of ingestion and as many of tokenization, 15,000 of user
sync, each with its plan, 3,000 requests for an approval, 3,000 accounts.
Each call is made on both by turns; its ratio is that of the processor time, the server's with it,
of the cheapest ones; what comes out above is measured again with more. Goal: at most 1.2.
With --keep the clean-up comes first: what is older than so many days leaves the old one.

    python -m benchmarks.history [--scale 1.0] [--rounds 15] [--databases sqlite,postgresql]
                                [--keep 0]
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks import _history_calls, _history_rows

DAYS = 730
FIRST_MONTH = 30
LIMIT = 1.2
#: What a difference below this many milliseconds says nothing about.
NOISE_MS = 0.3
#: So many times as many rounds for what came out above the limit.
AGAIN = 4
EVENTS, JOBS, INGESTIONS, TOKENIZATIONS, ACCOUNTS = 1_000_000, 300_000, 100_000, 100_000, 3_000
SYNCS, CHANGES = 15_000, 3_000
_STEP = 5_000
_KEPT = ("AUDIT", "JOBS", "RUNS")
_ACTIONS = [f"{area}:{what}" for area in ("accounts", "mounts", "jobs") for what in ("add", "end")]


@dataclass(frozen=True)
class Size:
    """How many rows there are, spread evenly over the newest `days`."""

    days: int
    share: float

    def of(self, whole: int) -> int:
        return max(1, round(whole * self.share))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--databases", default="sqlite,postgresql")
    parser.add_argument("--keep", type=int, default=0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="portal-history-") as folder, ExitStack() as servers:
        os.environ.update(PORTAL_DATA_DIR=folder, PORTAL_SANDBOX="off")
        os.environ.update({f"PORTAL_KEEP_{name}_DAYS": str(chosen.keep) for name in _KEPT})
        from backend import composition

        composition.install()
        failed = 0
        for name in chosen.databases.split(","):
            pair = [Path(folder) / f"{name}-{part}" for part in ("month", "years")]
            urls = _urls(name, pair, servers)
            failed += compare(
                urls, scale=chosen.scale, rounds=chosen.rounds, keep=chosen.keep, name=name
            )
    raise SystemExit(1 if failed else 0)


def _urls(name: str, folders: list[Path], servers: ExitStack) -> list[str]:
    if name == "sqlite":
        return [f"sqlite:///{folder}.db" for folder in folders]
    from tests.fixtures.postgres import PostgresServer

    server = PostgresServer.launch()
    servers.callback(server.close)
    # In one process each, whose time is all that a call costs there.
    alone = "?options=-c%20max_parallel_workers_per_gather%3D0"
    return [server.url(server.create_database()) + alone for _ in folders]


def compare(urls: list[str], *, scale: float, rounds: int, keep: int, name: str) -> int:
    """Print every call's line; how many are above the limit."""
    month = Size(FIRST_MONTH, scale * FIRST_MONTH / DAYS)
    young, old = (
        fill(url, size) for url, size in zip(urls, (month, Size(DAYS, scale)), strict=True)
    )
    if keep:
        _clean_up(old)
    print(f"\n{name}: {Size(DAYS, scale).of(EVENTS):,} events against {month.of(EVENTS):,}")
    above = 0
    for title, call in _history_calls.everything():
        one, two = _times(young, old, call, rounds)
        if two > LIMIT * one:  # what a busy machine adds is not there in one of more rounds
            again = _times(young, old, call, AGAIN * rounds)
            one, two = min(one, again[0]), min(two, again[1])
        ratio = two / one if one else float("inf")
        bad = _is_above(one, two)
        above += bad
        mark = "  ABOVE" if bad else ""
        print(f"{title:>46}: {one:8.2f} ms {two:8.2f} ms  ratio {ratio:5.2f}{mark}", flush=True)
    print(f"{name}: {above} above {LIMIT}")
    return above


def _is_above(one: float, two: float) -> bool:
    return two > LIMIT * one and two - one > NOISE_MS


def _times(young: Any, old: Any, call: Callable[[Any], object], rounds: int) -> tuple[float, float]:
    """The fastest of each in milliseconds: what else the machine does only adds."""
    spent: list[list[float]] = [[], []]
    for number in range(rounds + 2):
        for place, database in enumerate((young, old)):
            processes = _processes(database)
            begun = _cpu(processes)
            call(database)
            if number >= 2:
                spent[place].append(1000 * (_cpu(processes) - begun))
    return min(spent[0]), min(spent[1])


def _processes(database: Any) -> list[Path]:
    """What Linux says of the server's processes for this database; SQLite works in this thread."""
    if database.engine.dialect.name == "sqlite":
        return []
    with database.engine.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
        )
        return [Path(f"/proc/{number}/schedstat") for number in found.scalars()]


def _cpu(processes: list[Path]) -> float:
    """Seconds of processor time so far: says more than the clock of a busy machine."""
    on_server = sum(int(file.read_text().split()[0]) for file in processes)
    return time.thread_time() + on_server / 1e9


def fill(url: str, size: Size) -> Any:
    """A migrated portal with so much history; returns its Database."""
    from backend.connections import environments
    from backend.core import secret_store, startup
    from backend.core.access import SYSTEM
    from backend.core.database import get_database

    begun = time.perf_counter()
    database = get_database(url)
    startup.prepare(database, secret_store.get_vault())
    with database.write() as session:
        number = environments.add(session, SYSTEM, name="prod").id
    _audit(database, size)
    for table, rows in _tables(size, number):
        _insert(database, table, rows)
    _vacuum(database)
    print(f"filled {size.days} days in {time.perf_counter() - begun:.0f} s", flush=True)
    return database


def _clean_up(database: Any) -> None:
    """What the retention rules say, as `jobs.retention` does it; the log verifies behind it."""
    from backend.core import audit, retention

    begun = time.perf_counter()
    left = dict(retention.clean(database, lambda _rule, _count: None))
    with database.read() as session:
        report = audit.verify(session)
    if not report.ok:
        raise SystemExit(f"the audit log does not verify after the clean-up: {report}")
    _vacuum(database)
    spent = time.perf_counter() - begun
    print(f"left in {spent:.0f} s: {left or 'nothing'}", flush=True)


def _vacuum(database: Any) -> None:
    """What a server does by itself when it is left alone for a while."""
    if database.engine.dialect.name == "postgresql":
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as open_:
            open_.exec_driver_sql("VACUUM ANALYZE")


def _insert(database: Any, table: Any, rows: Iterator[dict[str, Any]]) -> None:
    from itertools import islice

    from sqlalchemy import insert

    while some := list(islice(rows, _STEP)):
        with database.write() as session:
            session.execute(insert(table), some)


def _moments(count: int, days: int) -> Iterator[Any]:
    from backend.core import clock

    first, step = clock.now() - timedelta(days=days), timedelta(days=days) / count
    for number in range(count):
        yield number, first + number * step


def _audit(database: Any, size: Size) -> None:
    """A chain that verifies, without what starting wrote just now: the oldest leave first."""
    from sqlalchemy import delete

    from backend.core import audit, audit_base

    with database.write() as session:
        key = audit.key_of(session)
        session.execute(delete(audit.AuditEvent))
    previous = audit_base.GENESIS

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal previous
        for number, at in _moments(size.of(EVENTS), size.days):
            row = {
                "number": 1 + number,
                "at": at,
                "actor_id": number % 50,
                "actor_name": "admin" if number % 2 else f"person-{number % 50}",
                "actor_kind": "user",
                "action": _ACTIONS[number % len(_ACTIONS)],
                "subject": f"subject {number % 5000} of prod",
                "phase": "event",
                # One that only other people have.
                "outcome": "refused" if number % 400 == 0 else "succeeded",
                "details": "{}",
                "previous_hash": previous,
            }
            previous = row["hash"] = audit.row_hash_of(key, SimpleNamespace(**row))
            yield row

    _insert(database, audit.AuditEvent, rows())
    count = size.of(EVENTS)
    with database.write() as session:
        row = session.get(audit.AuditHead, 1)
        row.count, row.hash, row.mac = count, previous, audit._head_mac(key, count, previous)
        session.flush()
        audit.rewind_checkpoint(session)


def _tables(size: Size, environment: int) -> Iterator[tuple[Any, Iterator[dict[str, Any]]]]:
    from backend.models import (
        Account,
        Change,
        ChangeText,
        IngestionRun,
        Job,
        SyncPlan,
        SyncRun,
        TokenizationRun,
    )

    # Few start over a week of an account's life, so both sizes have as many in use.
    moments = _moments
    accounts = moments(size.of(ACCOUNTS), size.days)
    yield Account, (_history_rows.account(n, at) for n, at in accounts)
    yield Job, (_history_rows.job(n, at) for n, at in moments(size.of(JOBS), size.days))
    yield (
        IngestionRun,
        (
            _history_rows.ingestion(n, at, environment)
            for n, at in moments(size.of(INGESTIONS), size.days)
        ),
    )
    yield (
        TokenizationRun,
        (
            _history_rows.tokenization(n, at, environment)
            for n, at in moments(size.of(TOKENIZATIONS), size.days)
        ),
    )
    for table, make, count in (
        (SyncPlan, _history_rows.sync_plan, SYNCS),
        (SyncRun, _history_rows.sync_run, SYNCS),
        (Change, _history_rows.change, CHANGES),
        (ChangeText, _history_rows.change_text, CHANGES),
    ):
        rows = moments(size.of(count), size.days)
        yield table, (make(1 + n, at, environment) for n, at in rows)


if __name__ == "__main__":
    main()
