"""Clients of the REST API: bursts of requests at once, reads and writes mixed."""

import asyncio
import random
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from benchmarks._load_parts import HOSTS
from benchmarks._load_portal import ENVIRONMENT, Portal
from benchmarks._load_size import Size
from benchmarks._load_standins import TO_INGEST
from tests.fixtures.dms_responder import mount_request

PATIENCE = 120.0
#: Job ids of the load's own mounts; the ledger's own go on from one million.
FIRST_JOB = 1_900_000_000
TESTED = ("ledger", "rabbitmq", "postgres", "openmetadata", "directory", "datahub", "aws")


@dataclass(frozen=True)
class Call:
    """One request to make. group: under which its time is reported."""

    group: str
    method: str
    path: str
    role: str = "operator"
    params: dict[str, Any] = field(default_factory=dict)
    json: dict[str, Any] | None = None
    key: str = ""


@dataclass
class Traffic:
    """What was answered. runs: run id by idempotency key. mounted, unmounted: accepted job ids."""

    times: dict[str, list[float]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    runs: dict[str, str] = field(default_factory=dict)
    mounted: set[int] = field(default_factory=set)
    unmounted: set[int] = field(default_factory=set)
    bursts: list[float] = field(default_factory=list)

    @property
    def all_times(self) -> list[float]:
        return [seconds for times in self.times.values() for seconds in times]


class Clients:
    """All clients with their tokens; keeps going until it is told to stop."""

    def __init__(self, portal: Portal, tokens: dict[str, list[str]], size: Size) -> None:
        self._portal, self._tokens, self._size = portal, tokens, size
        self._chance = random.Random(7)
        self._numbers, self._datasets = iter(range(10**9)), iter(range(size.datasets))
        self._to_unmount: list[int] = []
        self.accepted = Traffic()

    async def keep_asking(self, stop: asyncio.Event, bursts: int = 0) -> Traffic:
        """Burst after burst until `stop`, or so many; what they met is returned, and the writes
        that were accepted are also kept in `accepted` over all calls."""
        met = Traffic()
        limits = httpx.Limits(max_connections=None, keepalive_expiry=2.0)
        async with httpx.AsyncClient(
            base_url=self._portal.url, timeout=PATIENCE, limits=limits, trust_env=False
        ) as client:
            while (bursts and len(met.bursts) < bursts) or not (bursts or stop.is_set()):
                begun = time.perf_counter()
                calls = list(self._burst())
                await asyncio.gather(*(self._ask(client, call, met) for call in calls))
                met.bursts.append(time.perf_counter() - begun)
                await asyncio.sleep(self._size.pause)
        return met

    async def _ask(self, client: httpx.AsyncClient, call: Call, met: Traffic) -> None:
        headers = {"Authorization": f"Bearer {self._chance.choice(self._tokens[call.role])}"}
        if call.key:
            headers["Idempotency-Key"] = call.key
        begun = time.perf_counter()
        try:
            answer = await client.request(
                call.method, call.path, params=call.params, json=call.json, headers=headers
            )
        except httpx.HTTPError as exc:
            met.problems.append(f"{call.group}: no answer ({exc!r})")
            return
        met.times.setdefault(call.group, []).append(time.perf_counter() - begun)
        if answer.status_code != 200:
            met.problems.append(f"{call.group}: {answer.status_code} {answer.text[:300]}")
            return
        self._remember(call, answer.json(), met)

    def _remember(self, call: Call, document: Any, met: Traffic) -> None:
        kept = self.accepted
        if call.group == "start ingestion":
            if kept.runs.setdefault(call.key, document["runId"]) != document["runId"]:
                met.problems.append(f"one idempotency key, two runs: {call.key}")
        elif call.group == "mount":
            job = (call.json or {})["job"]["jobid"]
            kept.mounted.add(job)
            self._to_unmount.append(job)
        elif call.group == "unmount":
            kept.unmounted.add((call.json or {})["job"]["jobid"])
        elif call.group == "test a connection":
            failed = [r for r in document["results"] if not r["ok"]]
            met.problems += [f"test of {r['kind']}: {r['cause']}" for r in failed]

    # -- what is asked ---------------------------------------------------------------------------

    def _burst(self) -> Iterator[Call]:
        """As many calls as the size says: six of ten read the ledger, two of ten write."""
        makers = (
            self._ledger_page, self._ledger_page, self._ledger_page, self._ledger_page,
            self._ledger_page, self._small_read, self._small_read, self._start, self._mount,
            self._small_read, self._ledger_page, self._unmount, self._start, self._mount,
            self._ledger_page, self._unmount, self._ledger_page, self._test, self._start,
            self._ledger_page,
        )  # fmt: skip
        number = 0
        while number < self._size.requests:
            for call in makers[number % len(makers)]():
                yield call
                number += 1

    def _ledger_page(self) -> Iterator[Call]:
        host = f"compute-{self._chance.randrange(100):03}"
        target = f"target-{self._chance.randrange(1000):04}"
        since = datetime.now(UTC) - timedelta(days=self._chance.randrange(30, 900))
        params: dict[str, Any] = self._chance.choice(
            [
                {},
                {"active": True},
                {"active": True, "host": host},
                {"host": host, "sort": "host"},
                {"target": target},
                {"target": target, "host": host},
                {"job": 1_000_000 + self._chance.randrange(self._size.entries // 2)},
                {"since": since.isoformat(), "until": (since + timedelta(days=30)).isoformat()},
                {"deleted": True, "host": host},
            ]
        )
        yield Call("ledger page", "GET", "/api/mounts", params={**params, "limit": 50})

    def _small_read(self) -> Iterator[Call]:
        path = self._chance.choice(
            [
                "/api/ingestion/runs", "/api/jobs", "/api/tokenization/runs",
                "/api/mounts/operations", "/api/environments", "/api/user-sync/plans", "/healthz",
            ]
        )  # fmt: skip
        yield Call("list", "GET", path)

    def _start(self) -> Iterator[Call]:
        """Every fourth is sent twice at the same instant, as an impatient client does."""
        number = next(self._datasets, None)
        if number is None:
            yield from self._small_read()
            return
        key = f"load-{uuid.uuid4().hex}"
        body = {"datasetUrn": TO_INGEST.format(number), "reason": "load"}
        for _ in range(2 if number % 4 == 0 else 1):
            yield Call("start ingestion", "POST", "/api/ingestion/run", json=body, key=key)

    def _mount(self) -> Iterator[Call]:
        yield Call("mount", "POST", "/api/mounts/mount", json=_request(next(self._numbers)))

    def _unmount(self) -> Iterator[Call]:
        if self._to_unmount:
            request = _request(self._to_unmount.pop(0) - FIRST_JOB)
            yield Call("unmount", "POST", "/api/mounts/unmount", json=request)
        else:
            yield from self._mount()

    def _test(self) -> Iterator[Call]:
        path = f"/api/environments/{ENVIRONMENT}/test"
        kind = self._chance.choice(TESTED)
        yield Call("test a connection", "POST", path, "admin", params={"kind": kind})


def _request(number: int) -> dict[str, Any]:
    """A job of its own on a target of its own, so that each one is a message to its host."""
    return mount_request(FIRST_JOB + number, f"load-target-{number}", HOSTS[number % len(HOSTS)])
