"""Tokenization, mounts and ingestion under approval, from the question to the end of the work."""

from collections.abc import Callable

import pytest

from backend.changes import lifecycle, policy
from backend.changes import service as changes
from backend.changes.rules import Rule
from backend.changes.schemas import ChangeView, Preview
from backend.core.access import SYSTEM, Actor, Role
from backend.core.database import Database
from backend.core.errors import Waiting
from backend.ingestion import runs
from backend.ingestion.schemas import Request
from backend.jobs import broker, runner
from backend.jobs import service as jobs
from backend.models import Job
from backend.mounts import actions, explorer
from backend.mounts.errors import MountNotFound
from backend.sandbox.aws import AwsStandIn
from backend.tokenization import service as tokenization
from backend.tokenization.schemas import RunView, Trigger
from tests.backend.ingestion import conftest as ingestion
from tests.backend.ingestion.conftest import URN, AddRule
from tests.backend.tokenization import conftest as tokenizing
from tests.backend.tokenization.world import World, customers
from tests.fixtures.dms_responder import mount_request
from tests.fixtures.mounts import MountsEnvironment

aws_server, aws, environment = ingestion.aws_server, ingestion.aws, ingestion.environment
add_rule = ingestion.add_rule
source, world = tokenizing.source, tokenizing.world

ANN = Actor(0, "cli:ann", Role.ADMIN, "cli")
EVE = Actor(0, "cli:eve", Role.ADMIN, "cli")


@pytest.fixture(autouse=True)
def _workers() -> None:
    broker.reset()
    runner.stopping.clear()


def _rule(database: Database, place: str, action: str) -> None:
    rule = Rule(mode="approve")
    with database.write() as session:
        policy.save(session, SYSTEM, environment=place, action=action, rule=rule)


def _asked(call: Callable[[], object]) -> int:
    with pytest.raises(Waiting) as caught:
        call()
    return int(caught.value.document["change_id"])


def _preview(database: Database, number: int) -> Preview:
    """What the approver sees of what it would do now."""
    now = changes.would_do(database, EVE, change_id=number)
    assert (now.same, now.error) == (True, "")
    assert now.preview is not None
    return now.preview


def _approved(database: Database, number: int) -> ChangeView:
    """Another person approves; a worker does what is queued until nothing is."""
    with database.write() as session:
        changes.approve(session, EVE, change_id=number)
    while True:
        with database.read() as session:
            waiting = [job.id for job in session.query(Job).filter_by(state="queued")]
        if not waiting:
            break
        for job_id in waiting:
            runner.run(job_id, database)
    lifecycle.track(database)
    with database.read() as session:
        return changes.get(session, SYSTEM, change_id=number)


def test_a_tokenization_runs_as_it_was_asked_for(world: World) -> None:
    customers(world.source)
    _rule(world.database, world.environment, "tokenization.run")
    number = _asked(
        lambda: tokenization.start(
            world.database,
            ANN,
            dataset=world.source.urn("customers"),
            columns=["email"],
            schemes={"email": "hmac-sha256-144"},
            trigger=Trigger.CLI,
        )
    )
    plain = "SELECT count(*) FROM customers WHERE email LIKE '%@%'"
    assert world.source.column(plain) == [50]
    shown = _preview(world.database, number)
    assert "customers: 50 of 50 would change" in shown.title
    ((column, _, _, scheme, rows, before, _),) = shown.rows
    assert (column, scheme, rows) == ("email", "hmac-sha256-144", "50")
    assert "@example.com" not in before, "samples are masked"
    view = _approved(world.database, number)
    assert view.status == "succeeded", view.outcome
    assert world.source.column(plain) == [0]
    assert world.source.column("SELECT max(length(email)) FROM customers") == [32]


@pytest.mark.parametrize(
    ("ruled", "method", "waits"),
    [
        ("tokenization.rewrite", "rewrite", True),
        ("tokenization.rewrite", "in-place", False),
        ("tokenization.rewrite", "re-key", False),
        ("tokenization.run", "rewrite", True),
    ],
)
def test_a_rewrite_needs_what_its_own_rule_and_that_of_a_run_ask_for(
    world: World, ruled: str, method: str, waits: bool
) -> None:
    customers(world.source)
    _rule(world.database, world.environment, ruled)

    def ask() -> RunView:
        return tokenization.start(
            world.database, ANN, dataset=world.source.urn("customers"), columns=["email"],
            trigger=Trigger.CLI, method=method,
        )  # fmt: skip

    if not waits:
        assert ask().state == "queued"
        return
    number = _asked(ask)
    view = _approved(world.database, number)
    assert (view.action, view.status) == ("tokenization.rewrite", "succeeded"), view.outcome
    plain = "SELECT count(*) FROM customers WHERE email LIKE '%@%'"
    assert world.source.column(plain) == [0]


def test_a_mount_is_made(database: Database, lab: MountsEnvironment) -> None:
    _rule(database, lab.name, "mounts.mount")
    request = mount_request(jobid=7, target="fresh", host="compute-02")
    number = _asked(lambda: actions.run(database, ANN, kind="mount", request=request))
    with database.read() as session, pytest.raises(MountNotFound):
        explorer.status(session, SYSTEM, job=7, target="fresh")
    shown = _preview(database, number)
    assert (shown.title, shown.rows) == (
        "Mounted there now, 0 other jobs on fresh at compute-02",
        (),
    )
    view = _approved(database, number)
    assert view.status == "succeeded", view.outcome
    with database.read() as session:
        (entry,) = explorer.status(session, SYSTEM, job=7, target="fresh").items
    assert entry.mounted


def test_a_mount_submitted_before_the_policy_became_stricter_waits_and_its_job_says_so(
    database: Database, lab: MountsEnvironment
) -> None:
    request = mount_request(jobid=7, target="fresh", host="compute-02")
    job = actions.submit(database, ANN, kind="mount", request=request)
    _rule(database, lab.name, "mounts.mount")
    runner.run(job, database)
    with database.read() as session:
        ended = jobs.get(session, SYSTEM, job_id=job)
        (change,) = changes.list_changes(session, SYSTEM).items
    assert (ended.state, change.status) == ("failed", "waiting")
    assert f"Change {change.id} waits at" in str(ended.error)


def test_an_ingestion_is_started_once_under_its_reserved_number(
    database: Database, aws: AwsStandIn, environment: str, add_rule: AddRule
) -> None:
    aws.add_function("earnings-lambda", seconds=3_600)
    add_rule("exact", URN, "earnings-lambda")
    _rule(database, environment, "ingestion.run")
    number = _asked(lambda: runs.start(database, ANN, Request(URN)))
    with database.read() as session:
        reserved = changes.get(session, SYSTEM, change_id=number).run_id
    shown = dict(_preview(database, number).rows)
    assert (shown["Dataset"], shown["Target"]) == (URN, "lambda earnings-lambda")
    assert URN in shown["Payload"]
    assert aws.starts() == []
    view = _approved(database, number)
    assert (view.status, view.run_id) == ("running", reserved), view.outcome
    assert len(aws.starts()) == 1
