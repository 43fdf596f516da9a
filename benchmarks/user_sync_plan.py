"""Planning 100,000 directory users against 100,000 OpenMetadata users, beside listing them.

    .venv/bin/python -m benchmarks.user_sync_plan [--users 100000] [--rounds 3]

Both stand-ins run in processes of their own. One side lists OpenMetadata's pages with httpx and
json.loads and does nothing else; the other makes the whole plan: the directory asked, both sides
matched, every row stored in SQLite. The rounds alternate; the best of each side counts.
Targets: at most 1.3 times the listing, matching under 1 s, memory under 600 MB.
"""

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

import httpx


@contextlib.contextmanager
def server(module: str, *arguments: str) -> Iterator[dict[str, str]]:
    """A stand-in in a process of its own; the JSON line it prints."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()


class Side:
    """Wall and CPU seconds (of this process) of each round."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.cpu: list[float] = []

    @contextlib.contextmanager
    def measured(self) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.wall.append(time.perf_counter() - wall)
        self.cpu.append(time.process_time() - cpu)

    def __str__(self) -> str:
        rounds = ", ".join(f"{s:.2f}" for s in self.wall)
        return f"{min(self.wall):6.2f} s   ({rounds}; own CPU {min(self.cpu):.2f} s)"


def listing(url: str, token: str) -> int:
    """The other side: the same pages, nothing but httpx and json.loads."""
    seen, query = 0, {"limit": "1000", "fields": "domains"}
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(headers=headers, timeout=60, trust_env=False) as client:
        while True:
            page = json.loads(client.get(f"{url}/v1/users", params=query).content)
            seen += len(page["data"])
            after = page["paging"].get("after")
            if not after:
                return seen
            query["after"] = after


def prepare(om: dict[str, str], directory: dict[str, str]) -> tuple[object, object]:
    """A state database with one environment that points at both stand-ins."""
    os.environ["PORTAL_DATA_DIR"] = tempfile.mkdtemp(prefix="user-sync-bench-")
    from backend.connections import environments
    from backend.connections import service as connections
    from backend.core import log, secret_store, startup
    from backend.core.access import SYSTEM
    from backend.core.database import get_database

    log.configure("WARNING")
    database = get_database()
    startup.prepare(database, secret_store.get_vault())
    with database.write() as session:
        environments.add(session, SYSTEM, name="bench")
        connections.save(
            session,
            SYSTEM,
            environment="bench",
            kind="openmetadata",
            settings={"host_port": om["url"]},
            secrets_in={"jwt_token": om["token"]},
        )
        connections.save(
            session,
            SYSTEM,
            environment="bench",
            kind="directory",
            settings={"endpoint": directory["url"]},
        )
    return database, SYSTEM


def matching_alone(users: int) -> float:
    """Seconds the matcher needs for as many people on both sides."""
    from backend.integrations.openmetadata.schemas import Domain, StoredUser
    from backend.sandbox.directory import seeding
    from backend.user_sync.matching import match

    names = ("Finance", "Marketing", "Operations", "Research")
    domains = [Domain(f"d{n}", name, name, None) for n, name in enumerate(names)]
    stored = [
        StoredUser(
            f"id{n}",
            f"user{n:06d}",
            f"user{n:06d}@example.com",
            f"User {n:06d}",
            0.1,
            1,
            "admin",
            False,
            False,
            (domains[n % 4].ref,),
            (),
        )
        for n in range(users)
    ]
    people = seeding.seed_many(users)
    started = time.perf_counter()
    rows = match(people, stored, domains)
    assert len(rows) == users
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    count = str(chosen.users)
    with (
        server("backend.sandbox.openmetadata", "--users", count) as om,
        server("backend.sandbox.directory", "--users", count) as directory,
    ):
        database, actor = prepare(om, directory)
        from backend.user_sync import service

        listed, planned = Side(), Side()
        for _ in range(chosen.rounds):
            with listed.measured():
                seen = listing(om["url"], om["token"])
            with planned.measured():
                plan = service.plan_now(database, actor, environment="bench")
            assert plan.directory_count == chosen.users
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"listing {seen:,} users, httpx + json.loads   {listed}")
    print(f"planning {chosen.users:,} × {seen:,}, stored     {planned}")
    print(f"ratio                      {min(planned.wall) / min(listed.wall):6.2f}     ≤ 1.3")
    print(f"matching alone             {matching_alone(chosen.users):6.2f} s   < 1")
    print(f"memory of this process     {memory:6.0f} MB  < 600")
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    if load > cores * 1.5:
        print(
            f"load {load:.1f} on {cores} cores: planning works while the server answers, which a "
            "busy machine does not let it: on an idle one the ratio is lower"
        )


if __name__ == "__main__":
    main()
