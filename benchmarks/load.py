"""Everything at once on one portal: people, API clients and the three heavy jobs.

50 signed-in people switch pages over Streamlit's websocket, bursts of 200 API requests read a
ledger of 10 million entries and start and mount things, while 100,000 users are planned and 2,000
applied and a table of 1,000,000 rows is tokenized and written back. The portal is the process that
`make run` starts; MariaDB, RabbitMQ and PostgreSQL are real, OpenMetadata, the directory, DataHub
and AWS are the stand-ins. Each part is also measured alone in the same run. Afterwards the outside
systems are asked whether every accepted write is there exactly once.
Promise: no error, no lost write. Exit status 1 when it is broken.

    python -m benchmarks.load [--small] [--write]

--write puts the figures into benchmarks/RESULTS.md. Needs 3 GB of disk, 4 GB of memory and about
10 minutes; --small the same with small amounts in well under a minute.
"""

import argparse
import asyncio
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks import _load_parts, _load_portal, _load_report, _load_verify, _servers
from benchmarks._load_api import Clients
from benchmarks._load_jobs import Jobs, Work
from benchmarks._load_people import Visits, crowd
from benchmarks._load_portal import Member, Portal
from benchmarks._load_report import Figures
from benchmarks._load_size import FULL, SMALL, Size


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="small amounts, under a minute")
    parser.add_argument("--write", action="store_true", help="put the figures into RESULTS.md")
    chosen = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is also stopped
    size = SMALL if chosen.small else FULL
    with _servers.folder("load") as folder:
        figures = measure(size, folder)
    text = _load_report.table(figures)
    print(text)
    if chosen.write:
        _load_report.write(text)
    return 0 if figures.well else 1


def measure(size: Size, folder: Path) -> Figures:
    """The whole: start, alone, together, verify."""
    say = _Clock()
    with _load_parts.started(size) as parts:
        say("the outside systems are up and filled")
        with _load_portal.running(folder) as portal:
            _load_portal.configure(portal, parts)
            members, tokens = _load_portal.people(size)
            clients = Clients(portal, tokens, size)
            jobs = Jobs(portal, parts, tokens, size)
            say("the portal is configured")
            alone = asyncio.run(_alone(portal, members, clients, jobs, size))
            before = portal.now()
            say("every part was measured alone")
            with portal.watched():
                together = asyncio.run(_together(portal, members, clients, jobs, size))
            say("everything at once has ended")
            _load_verify.wait_for_quiet(portal, tokens["operator"][0], 60)
            checks = list(
                _load_verify.all_checks(
                    portal, parts, size, clients.accepted, [alone.work, together.work], tokens
                )
            )
            after = _load_portal.settle(portal, 12 if size is FULL else 1)
            say("every write was looked for")
            return Figures(
                size=size, alone=alone, together=together, checks=checks, before=before,
                peaks=portal.peaks, after=after, trouble=portal.trouble(),
                warnings=portal.warnings(),
            )  # fmt: skip


async def _alone(
    portal: Portal, members: list[Member], clients: Clients, jobs: Jobs, size: Size
) -> _load_report.Round:
    """One after the other: each part has the portal to itself."""
    never, work = asyncio.Event(), Work()
    begun = time.perf_counter()
    visitors = [next(m for m in members if m.role == role) for role in ("operator", "admin")]
    visits = Visits()
    # What fills imports, caches and connections is not timed, but held to the promise, too.
    visits.problems += (await crowd(portal, visitors[:1], never, rounds=1)).problems
    for visitor in visitors:
        visits.add(await crowd(portal, [visitor], never, rounds=size.rounds))
    first = await clients.keep_asking(never, 1)
    traffic = await clients.keep_asking(never, size.rounds)
    traffic.problems += first.problems
    with ThreadPoolExecutor(1) as pool:
        await _in_thread(pool, jobs.sync_round, work)
        await _in_thread(pool, jobs.tokenize_round, work, _load_parts.TABLES[0])
    return _load_report.Round(visits, traffic, work, time.perf_counter() - begun)


async def _together(
    portal: Portal, members: list[Member], clients: Clients, jobs: Jobs, size: Size
) -> _load_report.Round:
    """People and clients from a moment before the jobs until all of them have ended."""
    stop, work = asyncio.Event(), Work()
    begun = time.perf_counter()
    people = asyncio.create_task(crowd(portal, members, stop, pause=size.pause))
    asking = asyncio.create_task(clients.keep_asking(stop))
    await asyncio.sleep(size.seconds / 10)
    with ThreadPoolExecutor(2) as pool:
        heavy = [
            _in_thread(pool, jobs.sync_round, work),
            _in_thread(pool, jobs.tokenize_round, work, _load_parts.TABLES[1]),
        ]
        await asyncio.gather(*heavy)
    work_seconds = time.perf_counter() - begun
    await asyncio.sleep(max(0.0, size.seconds - work_seconds))
    stop.set()
    visits, traffic = await people, await asking
    return _load_report.Round(visits, traffic, work, time.perf_counter() - begun)


async def _in_thread(pool: ThreadPoolExecutor, call: object, work: Work, *arguments: str) -> None:
    """Run a job's round; what it raises becomes a problem of the report, not of the others."""
    try:
        await asyncio.get_running_loop().run_in_executor(pool, call, work, *arguments)  # type: ignore[arg-type]
    except Exception as exc:
        work.problems.append(f"a job did not end well: {exc!r}")


class _Clock:
    """Says on stderr how far it is."""

    def __init__(self) -> None:
        self._begun = time.perf_counter()

    def __call__(self, sentence: str) -> None:
        print(f"[{time.perf_counter() - self._begun:6.1f} s] {sentence}", file=sys.stderr)


if __name__ == "__main__":
    raise SystemExit(main())
