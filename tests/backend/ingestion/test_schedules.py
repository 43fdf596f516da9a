"""Recipes and sources that start by themselves: when, in whose name, and what is said if not."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, update

from backend.accounts import api_tokens
from backend.accounts import service as accounts
from backend.connections import environments
from backend.core import clock, secret_rotation
from backend.core.access import SYSTEM, Actor, Role
from backend.core.audit import AuditEvent
from backend.core.database import Database
from backend.core.errors import InvalidInput, NotFound
from backend.core.secret_store import get_vault
from backend.ingestion import alerts, recipes, schedules
from backend.jobs import broker
from backend.jobs import service as jobs
from backend.models import Account
from backend.models.ingestion import IngestionSchedule
from backend.sandbox.datahub import StandIn
from tests.backend.ingestion.conftest import Headers, Run

SOURCE = "urn:li:dataHubIngestionSource:1"
Due = Callable[[], None]


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "send", lambda *_: None)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "r.yml").write_text(
        "source: {type: file, config: {path: '${API_TOKEN}', x: '${PLACE}'}}\n"
    )
    monkeypatch.setattr(recipes, "FOLDER", tmp_path)
    return tmp_path


@pytest.fixture
def ann(database: Database) -> Actor:
    """An operator with an account."""
    with database.write() as session:
        made = accounts.create(
            session, SYSTEM, name="ann", role="operator", password="correct horse battery"
        )
    return Actor(made.id, made.name, Role.OPERATOR, "user")


@pytest.fixture
def kept(database: Database, environment: str, folder: Path, ann: Actor) -> None:
    """The recipe at six on New Year's Day, set by the operator: not while a test runs."""
    with database.write() as session:
        schedules.put_schedule(
            session,
            ann,
            kind="recipe",
            name="r.yml",
            times="0 6 1 1 *",
            values={"API_TOKEN": "s3cr3t", "PLACE": "eu"},
        )


@pytest.fixture
def due(database: Database) -> Due:
    """Let every schedule be due and start what is."""

    def go() -> None:
        with database.write() as session:
            session.execute(
                update(IngestionSchedule).values(next_at=clock.now() - timedelta(hours=3))
            )
        schedules.start_due(database)

    return go


def only(database: Database) -> schedules.ScheduleView:
    with database.read() as session:
        [view] = schedules.list_schedules(session, SYSTEM)
    return view


def test_what_is_set_starts_once_when_it_is_due(database: Database, kept: None, due: Due) -> None:
    schedules.start_due(database)
    assert only(database).last_at is None
    due()
    schedules.start_due(database)
    view = only(database)
    assert view.next_at > clock.now()
    with database.read() as session:
        [job] = jobs.list_jobs(session, SYSTEM, kind=recipes.KIND).items
    assert (view.last_job_id, view.last_problem) == (job.id, "")
    assert (job.actor_name, job.subject) == ("ann", "r.yml on dev")


def test_a_second_start_while_one_goes_is_refused_and_said(
    database: Database, kept: None, due: Due, actors: SimpleNamespace
) -> None:
    due()
    due()
    view = only(database)
    assert (view.last_job_id, "does this already" in view.last_problem) == (None, True)
    with database.read() as session:
        [alert] = [a for a in alerts.alerts(session, actors.viewer) if "schedule" in a.text]
    assert "r.yml" in alert.text


@pytest.mark.parametrize("change", [{"role": "viewer"}, {"disabled": True}])
def test_it_does_not_outlive_the_right_of_who_set_it(
    database: Database, kept: None, due: Due, ann: Actor, change: dict[str, object]
) -> None:
    with database.write() as session:
        session.execute(update(Account).where(Account.id == ann.id).values(change))
    due()
    view = only(database)
    assert (view.last_job_id, "ann, who set it, may not" in view.last_problem) == (None, True)
    with database.read() as session:
        assert jobs.list_jobs(session, SYSTEM, kind=recipes.KIND).items == ()


def test_one_set_by_a_token_that_was_revoked_does_not_start(
    database: Database, environment: str, folder: Path, due: Due
) -> None:
    with database.write() as session:
        view = api_tokens.add(session, SYSTEM, name="nightly", role="operator").view
        token = Actor(view.id, view.name, Role.OPERATOR, "api_token")
        values = {"API_TOKEN": "s3cr3t", "PLACE": "eu"}
        schedules.put_schedule(
            session, token, kind="recipe", name="r.yml", times="0 6 * * *", values=values
        )
        api_tokens.revoke(session, SYSTEM, token_id=view.id)
    due()
    assert "nightly, who set it, may not" in only(database).last_problem


def test_a_recipe_that_is_gone_is_said(
    database: Database, kept: None, due: Due, folder: Path
) -> None:
    (folder / "r.yml").unlink()
    due()
    assert "There is no recipe r.yml" in only(database).last_problem


def test_one_that_is_killed_between_its_turn_and_its_job_says_so(
    database: Database, kept: None, due: Due, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(schedules, "_start", killed)
    with pytest.raises(KeyboardInterrupt):
        due()
    assert "has left no job" in only(database).last_problem


def test_values_are_sealed_and_turned_with_the_keys(
    database: Database, kept: None, actors: SimpleNamespace
) -> None:
    with database.read() as session:
        row = session.scalars(select(IngestionSchedule)).one()
        rows = [row.ciphertext, *map(repr, session.execute(select(AuditEvent.details)).all())]
    assert "s3cr3t" not in repr(rows) + repr(only(database).document())
    assert only(database).values == ("API_TOKEN", "PLACE")
    with database.write() as session:
        counts = secret_rotation.rotate(session, SYSTEM, vault=get_vault())
    assert counts["ingestion_schedules"] == 1
    assert only(database).values == ("API_TOKEN", "PLACE")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"kind": "recipe", "name": "r.yml", "times": "at noon"}, "no cron expression"),
        ({"kind": "recipe", "name": "r.yml", "times": " "}, "needs its times"),
        ({"kind": "recipe", "name": "r.yml", "times": "0 6 * * *"}, "needs a value for API_TOKEN"),
        ({"kind": "source", "name": "athena", "times": "0 6 * * *"}, "no ingestion source"),
        ({"kind": "dataset", "name": "x", "times": "0 6 * * *"}, "'dataset' is no kind"),
    ],
)
def test_what_could_not_run_is_not_set(
    database: Database, environment: str, folder: Path, actors: SimpleNamespace,
    asked: dict[str, str], said: str,
) -> None:  # fmt: skip
    with database.write() as session, pytest.raises(InvalidInput, match=said):
        schedules.put_schedule(session, actors.operator, **asked)


def test_an_environment_has_so_many_and_each_of_them_can_still_be_changed(
    database: Database, kept: None, ann: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedules, "MAX_SCHEDULES", 1)
    one_more = {"kind": "source", "name": SOURCE, "times": "0 6 * * *"}
    with database.write() as session:
        with pytest.raises(InvalidInput, match="dev has 1 schedules, as many as an environment"):
            schedules.put_schedule(session, ann, **one_more)
        values = {"API_TOKEN": "s3cr3t", "PLACE": "eu"}
        changed = schedules.put_schedule(
            session, ann, kind="recipe", name="r.yml", times="0 7 * * *", values=values
        )
        assert changed.said().startswith("Every day at 07:00 UTC; next 2")
        environments.add(session, SYSTEM, name="other")
        schedules.put_schedule(session, ann, environment="other", **one_more)


def test_one_is_removed_once(database: Database, kept: None, actors: SimpleNamespace) -> None:
    with database.write() as session:
        gone = schedules.remove_schedule(session, actors.operator, kind="recipe", name="r.yml")
        assert gone == "r.yml"
        assert schedules.list_schedules(session, SYSTEM) == ()
        with pytest.raises(NotFound, match=r"r\.yml has no schedule in dev"):
            schedules.remove_schedule(session, actors.operator, kind="recipe", name="r.yml")


def test_a_source_of_datahub_starts_by_itself(
    database: Database, datahub: StandIn, due: Due, ann: Actor
) -> None:
    source = datahub.seed_ingestion_source("Athena", "athena")
    asked = {"kind": "source", "name": source, "times": "*/5 * * * *", "title": "Athena"}
    with database.write() as session:
        schedules.put_schedule(session, ann, **asked)
    due()
    with database.read() as session:
        [job] = jobs.list_jobs(session, SYSTEM, kind="ingestion.managed").items
    assert (job.subject, only(database).last_job_id) == ("Athena on dev", job.id)


def test_over_rest(client: TestClient, token: Headers, environment: str, folder: Path) -> None:
    headers, place = token("operator"), "/api/ingestion/schedules"
    body = {"kind": "recipe", "name": "r.yml", "cron": "0 6 * * *",
            "values": {"API_TOKEN": "s3cr3t", "PLACE": "eu"}}  # fmt: skip
    put = client.put(place, headers=headers, json=body)
    assert (put.status_code, put.json()["values"]) == (200, ["API_TOKEN", "PLACE"])
    [found] = client.get(place, headers=token("viewer")).json()["items"]
    assert (found["name"], found["cron"]) == ("r.yml", "0 6 * * *")
    asked = {"kind": "recipe", "name": "r.yml"}
    assert client.delete(place, headers=token("viewer"), params=asked).status_code == 403
    assert client.delete(place, headers=headers, params=asked).status_code == 204
    assert client.delete(place, headers=headers, params=asked).status_code == 404


def test_on_the_command_line(run: Run, environment: str, folder: Path) -> None:
    asked = ("recipe", "r.yml", "0 6 * * *", "--value", "PLACE=eu")
    done = run("schedules", "set", *asked, "--secret", "API_TOKEN", stdin="s3cr3t\n")
    assert (done.status, done.out.startswith("r.yml: Every day at 06:00 UTC; next ")) == (0, True)
    [found] = json.loads(run("schedules", "list", "--json").out)["items"]
    assert (found["title"], found["values"]) == ("r.yml", ["API_TOKEN", "PLACE"])
    assert "r.yml" in run("schedules", "list").out
    assert run("schedules", "remove", "recipe", "r.yml").status == 0
    assert json.loads(run("schedules", "list", "--json").out)["items"] == []
