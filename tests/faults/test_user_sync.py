"""User sync under faults: a plan is whole or failed, a run is resumed and writes nothing twice."""

from collections.abc import Callable
from typing import Any

import pytest

from backend.core.access import SYSTEM
from backend.jobs import runner
from backend.jobs import service as jobs
from backend.user_sync import service, sources
from tests.backend.user_sync.conftest import World, _no_pauses, directory, many, om, world
from tests.faults.conftest import Note
from tests.faults.killing import in_service, served
from tests.faults.matrix import Cell, faults

__all__ = ["_no_pauses", "directory", "many", "om", "world"]
#: Seconds: short where an answer never comes, else what a busy machine may take.
DEADLINE, ENOUGH = 0.4, 30.0
HTTP: dict[str, dict[str, Any]] = {
    "hanging": {"latency": 600},
    "slow": {"latency": 0.1},
    "garbage": {"html": True, "status": 200},
    "401": {"status": 401},
    "500": {"status": 500},
    "dies": {"drop": "before"},
}


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    callspec = getattr(request.node, "callspec", None)
    hangs = callspec is not None and callspec.params.get("fault") == "hanging"
    timeout = DEADLINE if hangs else ENOUGH
    client, gateway_for = sources.client, sources.gateway_for
    monkeypatch.setattr(sources, "client", lambda *a, **_: client(*a, timeout=timeout))
    monkeypatch.setattr(sources, "gateway_for", lambda *a, **_: gateway_for(*a, timeout=timeout))
    defaults = {**(gateway_for.__kwdefaults__ or {}), "timeout": timeout}
    monkeypatch.setattr(gateway_for, "__kwdefaults__", defaults)  # as applying has it


def run_job(world: World, job_id: int | None) -> jobs.JobView:
    assert job_id is not None
    runner.run(job_id, world.database)
    with world.database.read() as session:
        return jobs.get(session, SYSTEM, job_id=job_id)


@pytest.mark.parametrize(
    ("system", "fault"),
    [
        (system, fault)
        for system in ("Directory", "OpenMetadata")
        for fault in faults("user sync plan", system)
    ],
)
def test_plan(world: World, note: Note, system: str, fault: str) -> None:
    server = world.directory if system == "Directory" else world.om
    server.faults.add(**HTTP[fault])
    with world.database.write() as session:
        plan_id = service.start_plan(session, world.steward, environment=world.env)
    plan_id, job_id = plan_id.id, plan_id.job_id
    ended = run_job(world, job_id)
    with world.database.read() as session:
        plan = service.get_plan(session, world.steward, plan_id=plan_id)
    assert {method for method, _ in world.om.requests} <= {"GET"}
    cell = Cell("user sync plan", system, fault)
    if fault == "slow":
        assert (ended.state, plan.state) == ("succeeded", "ready")
        note(cell, sees=None, stored="plan ready")
        return
    assert (ended.state, plan.state, plan.error) == ("failed", "failed", ended.error)
    note(cell, sees=ended.error, stored="plan failed, job failed; nothing was written")
    server.faults.clear()
    assert world.plan().state == "ready"


@pytest.mark.parametrize("fault", faults("user sync apply", "OpenMetadata"))
def test_apply(many: Callable[[int], World], note: Note, fault: str) -> None:
    world = many(12)
    plan = world.plan()
    world.om.faults.add(method="PATCH", after=1, **HTTP[fault])
    idle = in_service()
    with world.database.write() as session:
        run = service.apply(session, world.steward, plan_id=plan.id)
    ended = run_job(world, run.job_id)
    with world.database.read() as session:
        run = service.get_run(session, world.steward, run_id=run.id)
    items = world.items(run).values()
    renamed = sum(
        str(user.get("displayName")).startswith("Renamed") for user in world.om.store.users.values()
    )
    # What is unknown may have been stored, at once or once the server goes on.
    applied, unknown = run.counts.get("applied", 0), run.counts.get("unknown", 0)
    assert applied <= renamed <= applied + unknown
    cell = Cell("user sync apply", "OpenMetadata", fault)
    if fault == "slow":
        assert (ended.state, run.state, renamed) == ("succeeded", "succeeded", 12)
        note(cell, sees=None, stored="run succeeded, 12 applied")
        return
    assert "sending" not in run.counts
    sees = run.note or next(item.reason for item in items if item.state != "applied")
    stored = f"run {run.state}: {run.counts}"
    world.om.faults.clear()
    served(world.om.server.port, idle)  # a write whose answer nobody waits for arrives all the same
    again = world.plan()  # an unknown row is never sent again unseen: a new plan says what is true
    final = world.apply(again) if again.changes else None
    assert final is None or final.state == "succeeded"
    assert world.plan().changes == 0
    note(cell, sees=sees, stored=f"{stored}; planned again: all 12 as wanted")
