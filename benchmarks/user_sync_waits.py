"""How long another writer waits while a plan of very many people is stored.

    .venv/bin/python -m benchmarks.user_sync_waits [--people 1000000] [--stored 100000]

The directory's people beyond the stored ones are in no page of OpenMetadata, so a million rows come
at once at the end. A process of its own writes one row every 5 ms into the same SQLite file and
notes how long each write took; so does a run of it with nobody else there. Target: 100 ms.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.user_sync_plan import prepare, server

_SECONDS_ALONE = 10.0


def writer(url: str, stop: Path) -> None:
    """Write until `stop` exists; print the milliseconds of each write, sorted, as JSON."""
    from sqlalchemy import text

    from backend.core.database import Database

    database, waits = Database(url), []
    print("ready", flush=True)
    while not stop.exists():
        started = time.perf_counter()
        with database.write() as session:
            session.execute(text("UPDATE environments SET name = name WHERE id = -1"))
        waits.append((time.perf_counter() - started) * 1000)
        time.sleep(0.005)
    print(json.dumps(sorted(waits)))


class Other:
    """The other writer while the block lasts; `waits` afterwards."""

    def __init__(self, url: str, stop: Path) -> None:
        stop.unlink(missing_ok=True)
        self._stop = stop
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.user_sync_waits", "--write", url, str(stop)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def end(self) -> str:
        self._stop.touch()
        out, _ = self._process.communicate(timeout=60)
        waits = json.loads(out)
        at = [waits[int(share * (len(waits) - 1))] for share in (0.5, 0.99, 1)]
        middle, rare, longest = (f"{each:.0f}" for each in at)
        return f"{len(waits):,} writes: median {middle} ms, 99 % {rare} ms, longest {longest} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--stored", type=int, default=100_000)
    parser.add_argument("--write", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.write:
        return writer(chosen.write[0], Path(chosen.write[1]))
    with (
        server("backend.sandbox.openmetadata", "--users", str(chosen.stored)) as om,
        server("backend.sandbox.directory", "--users", str(chosen.people)) as directory,
    ):
        database, actor = prepare(om, directory)
        from backend.core.settings import get_settings
        from backend.user_sync import service

        folder = get_settings().data_dir
        url, stop = f"sqlite:///{folder / 'portal.sqlite'}", folder / "stop"
        other = Other(url, stop)
        time.sleep(_SECONDS_ALONE)
        alone = other.end()
        other = Other(url, stop)
        started = time.perf_counter()
        plan = service.plan_now(database, actor, environment="bench")
        seconds = time.perf_counter() - started
        print(f"alone                      {alone}")
        print(f"beside planning ({seconds:,.0f} s)   {other.end()}     longest ≤ 100 ms")
    assert plan.directory_count == chosen.people


if __name__ == "__main__":
    main()
