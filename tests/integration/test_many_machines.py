"""Two portals and three workers on one database and broker: any may die, no run is doubled."""

import contextlib
import functools
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.fernet import Fernet
from prometheus_client.parser import text_string_to_metric_families

from backend.sandbox import directory as directory_standin
from backend.sandbox.directory import seeding as people
from backend.sandbox.openmetadata import StandIn, seeding
from tests.fixtures.portal import ROOT, Portal, running_portal

USERS, CHANGED = 400, 80
SECONDS = 240


@pytest.fixture
def openmetadata() -> Iterator[StandIn]:
    """400 users, answering in 50 ms, so that a run lasts long enough to be interrupted."""
    seed = functools.partial(seeding.seed_many, count=USERS)
    with StandIn(seed=seed, latency=0.05) as server:
        yield server


@pytest.fixture
def portals(
    tmp_path: Path, postgres_url: str, rabbitmq_url: str, openmetadata: StandIn
) -> Iterator[list[Portal]]:
    """Two portals with folders of their own, as on two machines, on one database and broker."""
    shared = {
        "PORTAL_DATABASE_URL": postgres_url,
        "PORTAL_BROKER_URL": rabbitmq_url,
        "PORTAL_SECRET_KEYS": Fernet.generate_key().decode(),
        "PORTAL_METRICS": "loopback",
    }
    directory = functools.partial(people.seed_many, USERS, USERS // CHANGED)
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(directory_standin.StandIn(seed=directory))
        running = []
        for name in ("first", "second"):
            (tmp_path / name).mkdir()
            running.append(stack.enter_context(running_portal(tmp_path / name, **shared)))
        one = running[0]
        one.cli("environments", "add", "prod", "--default")
        one.cli("connections", "set", "prod", "directory", f"endpoint={source.url}")
        one.cli(
            *("connections", "set", "prod", "openmetadata", f"host_port={openmetadata.url}"),
            *("--secret", "jwt_token"),
            stdin=openmetadata.token("admin", expires_in=3600) + "\n",
        )
        yield running


@pytest.fixture
def workers(portals: list[Portal]) -> Iterator[list["subprocess.Popen[bytes]"]]:
    started = []
    for number in range(3):
        log = (portals[0].folder / f"worker-{number}.log").open("wb")
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "backend", "worker"],
                cwd=ROOT,
                env=portals[0].environ,
                stdout=log,
                stderr=log,
            )
        )
        log.close()
    yield started
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait(60)


@pytest.fixture
def api(portals: list[Portal]) -> Iterator[httpx.Client]:
    token = portals[0].cli("tokens", "add", "script", "--role", "steward").stdout.split()[-1]
    with httpx.Client(headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
        yield client


def _patched(openmetadata: StandIn) -> Counter[str]:
    """How often each user was changed."""
    return Counter(path for method, path in openmetadata.requests if method == "PATCH")


@pytest.mark.slow
def test_a_run_survives_the_death_of_a_portal_and_of_the_worker_that_had_it(
    portals: list[Portal],
    workers: list["subprocess.Popen[bytes]"],
    api: httpx.Client,
    openmetadata: StandIn,
) -> None:
    first, second = portals
    plan = api.post(f"{first.url}/api/user-sync/plans", json={"environment": "prod"}).json()
    assert plan["summary"]["update"] == CHANGED

    untouched = _users(openmetadata)[-1]["version"]
    address = f"/api/user-sync/plans/{plan['plan_id']}/apply"
    body = {"wait": 0, "confirm": CHANGED}
    runs = {api.post(portal.url + address, json=body).json()["run_id"] for portal in portals}
    assert len(runs) == 1, "the second portal gets the first one's run"

    _wait(lambda: len(_patched(openmetadata)) >= 10, "the first changes")
    first.kill()
    for worker in workers[:2]:
        worker.kill()
    _wait(lambda: _state(second, api, plan["plan_id"]) != "running", "the run's end")

    run = api.post(second.url + address, json=body).json()
    assert run["summary"].get("applied") == CHANGED, run["summary"]
    renamed = [u for u in _users(openmetadata) if u["displayName"].startswith("Renamed")]
    assert len(renamed) == CHANGED
    # A change raises the version by 0.1; the probe for If-Match, also a PATCH, does not.
    assert {round(user["version"] - untouched, 1) for user in renamed} == {0.1}


@pytest.mark.slow
def test_every_portal_shows_what_all_workers_counted(
    portals: list[Portal], workers: list["subprocess.Popen[bytes]"], api: httpx.Client
) -> None:
    first, second = portals
    plan = api.post(f"{first.url}/api/user-sync/plans", json={"environment": "prod"}).json()
    address = f"{first.url}/api/user-sync/plans/{plan['plan_id']}/apply"
    api.post(address, json={"wait": 0, "confirm": CHANGED})
    _wait(lambda: _state(first, api, plan["plan_id"]) != "running", "the run's end")
    ended = ("portal_jobs_ended_total", "user_sync.apply", "succeeded")
    _wait(lambda: _figures(second).get(ended) == 1, "the worker's job in a portal's figures")

    jobs = api.get(f"{first.url}/api/jobs?kind=user_sync.apply").json()["items"]
    assert [job["worker"].split(":")[1] in {str(each.pid) for each in workers} for job in jobs] == [
        True
    ]
    for portal in portals:
        figures = _figures(portal)
        assert figures["portal_sync_rows_total", "applied"] == CHANGED
        assert figures["portal_outside_calls_total", "succeeded", "openmetadata"] > CHANGED
        assert figures["portal_job_seconds_count", "user_sync.apply"] == 1
        assert figures["portal_job_seconds_bucket", "user_sync.apply", "+Inf"] == 1

    for worker in workers:
        worker.terminate()
        worker.wait(60)
    assert _figures(first)[ended] == 1


def _figures(portal: Portal) -> dict[tuple[str, ...], float]:
    text = httpx.get(f"{portal.url}/metrics", timeout=60).text
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _state(portal: Portal, api: httpx.Client, plan_id: int) -> str:
    answer = api.post(f"{portal.url}/api/user-sync/plans/{plan_id}/apply", json={"wait": 0})
    state = str(answer.json().get("status", ""))
    return "running" if state in ("queued", "running", "") else state


def _users(openmetadata: StandIn) -> list[dict[str, Any]]:
    answer = httpx.get(
        f"{openmetadata.url}/v1/users?limit=1000",
        headers={"Authorization": f"Bearer {openmetadata.token('admin', expires_in=60)}"},
    )
    return list(answer.json()["data"])


def _wait(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.2)
