"""The whole journey of user sync: preflight per identity, plan, apply, conflict, revert, ignore."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from backend.connections import environments
from backend.connections import service as connections
from backend.core.database import Database
from backend.integrations.openmetadata.errors import EmailsMasked
from backend.sandbox import directory as directory_standin
from backend.user_sync import service
from tests.backend.user_sync.conftest import World
from tests.openmetadata_server.conftest import needs
from tests.openmetadata_server.target import Target

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Journey:
    """A portal with an environment at the target, and a directory that a test fills."""

    world: World
    target: Target

    def connect(self, identity: str = "admin") -> None:
        needs(self.target, identity)
        with self.world.database.write() as session:
            connections.save(
                session,
                self.world.admin,
                environment=self.world.env,
                kind="openmetadata",
                settings={"host_port": self.target.url},
                secrets_in={"jwt_token": self.target.tokens[identity]},
            )

    def says(self, *people: tuple[str, str | None, str | None]) -> None:
        """The directory: (name, display name, domain) each."""
        self.world.directory.users = [
            {"email": self.target.email(name), "displayName": display, "domain": domain}
            for name, display, domain in people
        ]

    def kinds(self, plan: Any) -> dict[str, str]:
        start = len(self.target.prefix)
        return {row.email[start:].split("@")[0]: row.kind for row in self.world.rows(plan)}

    def outcome(self, run: Any, name: str) -> Any:
        return self.world.items(run)[self.target.email(name)]


@pytest.fixture
def journey(database: Database, actors: Any, target: Target) -> Iterator[Journey]:
    with directory_standin.StandIn(seed=list) as directory:
        om: Any = None
        world = World(database, actors.steward, actors.admin, om, directory)
        with database.write() as session:
            environments.add(session, actors.admin, name=world.env)
            connections.save(
                session,
                actors.admin,
                environment=world.env,
                kind="directory",
                settings={"endpoint": directory.url},
            )
        found = Journey(world, target)
        found.connect()
        yield found


def names(domains: Any) -> set[str]:
    return {ref["fullyQualifiedName"] for ref in domains or () if not ref.get("inherited")}


class TestIdentities:
    def preflight(self, journey: Journey, identity: str) -> Any:
        journey.connect(identity)
        return service.preflight(
            journey.world.database, journey.world.steward, environment=journey.world.env
        )

    def test_an_admin_may_do_everything(self, journey: Journey) -> None:
        found = self.preflight(journey, "admin")
        assert (found.is_admin, found.is_bot) == (True, False)
        assert (found.sees_emails, found.may_rename) == (True, True)
        assert found.users
        assert found.server_version

    def test_a_bot_may_not_rename(self, journey: Journey) -> None:
        found = self.preflight(journey, "bot")
        assert (found.is_bot, found.sees_emails, found.may_rename) == (True, True, False)
        assert any("bot's token" in warning for warning in found.warnings)

    def test_others_see_no_emails_and_that_stops_a_plan(self, journey: Journey) -> None:
        found = self.preflight(journey, "user")
        assert (found.is_admin, found.is_bot, found.sees_emails) == (False, False, False)
        journey.says(("anybody", "Any Body", None))
        with pytest.raises(EmailsMasked, match="may not see e-mail addresses"):
            journey.world.plan()


class TestChanges:
    def test_plan_apply_revert(self, journey: Journey) -> None:
        target = journey.target
        finance, research = target.add_domain("par-finance"), target.add_domain("par-research")
        ids = {
            "par-name": target.add_user("par-name", "Old Name", [finance]),
            "par-domain": target.add_user("par-domain", "Same Name", [finance]),
            "par-same": target.add_user("par-same", "Same", [finance]),
            "par-none": target.add_user("par-none", None),
            "par-lost": target.add_user("par-lost", "Lost", [finance]),
        }
        journey.says(
            ("par-name", "New Näme", finance),
            ("par-domain", "Same Name", research),
            ("par-same", "Same", finance),
            ("par-none", "First Name", research.upper()),
            ("par-lost", "Lost", "no such domain"),
            ("par-nobody", "Nobody", None),
        )
        before = {name: target.user(key) for name, key in ids.items()}
        plan = journey.world.plan()
        assert journey.kinds(plan) == {
            "par-name": "update",
            "par-domain": "update",
            "par-same": "unchanged",
            "par-none": "update",
            "par-lost": "unknown_domain",
            "par-nobody": "not_found",
        }
        assert all(row.why for row in journey.world.rows(plan))
        run = journey.world.apply(plan)
        assert (run.state, run.counts) == ("succeeded", {"applied": 3})
        after = {name: target.user(key) for name, key in ids.items()}
        assert after["par-name"]["displayName"] == "New Näme"
        assert names(after["par-domain"]["domains"]) == {research}
        assert after["par-none"]["displayName"] == "First Name"
        assert after["par-same"]["version"] == before["par-same"]["version"]
        again = journey.world.plan()
        assert again.changes == 0
        with journey.world.database.write() as session:
            inverse = service.revert(session, journey.world.steward, run_id=run.id)
        assert journey.world.apply(inverse).state == "succeeded"
        for name, key in ids.items():
            now = target.user(key)
            assert now.get("displayName") == before[name].get("displayName"), name
            assert names(now.get("domains")) == names(before[name].get("domains")), name

    def test_whoever_was_edited_since_is_a_conflict(self, journey: Journey) -> None:
        target = journey.target
        edited, left = target.add_user("con-a", "Before"), target.add_user("con-b", "Before")
        journey.says(("con-a", "Wanted", None), ("con-b", "Wanted", None))
        plan = journey.world.plan()
        target.edit(edited, "/displayName", "Somebody's own")
        run = journey.world.apply(plan)
        assert journey.outcome(run, "con-a").state == "conflict"
        assert "“Somebody's own”" in journey.outcome(run, "con-a").reason
        assert journey.outcome(run, "con-b").state == "applied"
        assert target.user(edited)["displayName"] == "Somebody's own"
        assert target.user(left)["displayName"] == "Wanted"

    def test_the_deleted_are_left_alone(self, journey: Journey) -> None:
        target = journey.target
        before, between = target.add_user("del-a", "Before"), target.add_user("del-b", "Before")
        target.delete(before)
        journey.says(("del-a", "Wanted", None), ("del-b", "Wanted", None))
        plan = journey.world.plan()
        assert journey.kinds(plan) == {"del-a": "not_found", "del-b": "update"}
        target.delete(between)
        run = journey.world.apply(plan)
        assert journey.outcome(run, "del-b").state == "conflict"
        assert "the user is gone" in journey.outcome(run, "del-b").reason

    def test_an_ignored_difference_leaves_the_plan(self, journey: Journey) -> None:
        journey.target.add_user("ign-a", "Before")
        journey.says(("ign-a", "Wanted", None))
        plan = journey.world.plan()
        with journey.world.database.write() as session:
            after = service.ignore(
                session,
                journey.world.steward,
                plan_id=plan.id,
                email=journey.target.email("ign-a"),
                field="displayName",
                reason="agreed",
            )
        assert (after.changes, journey.world.plan().changes) == (0, 0)

    def test_inherited_domains_are_neither_compared_nor_written(self, journey: Journey) -> None:
        target = journey.target
        theirs, own = target.add_domain("inh-team"), target.add_domain("inh-own")
        user = target.add_user("inh-a", "Before")
        target.add_team("inh-team", theirs, [user])
        journey.says(("inh-a", "Before", own))
        plan = journey.world.plan()
        row = journey.world.row(plan, target.email("inh-a"))
        assert [ref.fqn for ref in row.new_domains] == [own]
        assert [ref.fqn for ref in row.old_domains] == []
        run = journey.world.apply(plan)
        assert journey.outcome(run, "inh-a").state == "applied", journey.outcome(run, "inh-a")
        assert names(target.user(user)["domains"]) == {own}
        assert journey.world.plan().changes == 0

    def test_what_a_bot_may_not_change_is_a_failure_and_never_a_silence(
        self, journey: Journey
    ) -> None:
        target = journey.target
        domain = target.add_domain("bot-domain")
        user = target.add_user("bot-a", "Before")
        journey.says(("bot-a", "Wanted", domain))
        journey.connect("bot")
        run = journey.world.apply(journey.world.plan())
        item = journey.outcome(run, "bot-a")
        assert item.state == "failed"
        assert "bot" in item.reason.lower()
        assert target.user(user)["displayName"] == "Before"

    def test_many_users_in_pages(self, journey: Journey) -> None:
        target = journey.target
        people = [f"many-{number:05d}" for number in range(target.users_to_page)]
        target.add_users(people)
        journey.world.settings(page_size=max(25, target.users_to_page // 7))
        journey.says(*((name, f"Paged {name}", None) for name in people[:-1]),
                     (people[-1], "Renamed", None))  # fmt: skip
        plan = journey.world.plan()
        assert plan.matched_count == target.users_to_page
        assert plan.kinds["unchanged"] == target.users_to_page - 1
        assert plan.changes == 1


def test_the_connector_under_the_official_command_line(journey: Journey, tmp_path: Path) -> None:
    if journey.target.simulated:
        pytest.skip("tests/backend/user_sync/test_connector.py runs it at the stand-in")
    user = journey.target.add_user("ing-a", "Before")
    journey.says(("ing-a", "Wanted", None))
    recipe = (ROOT / "data" / "user_updater.yaml").read_text()
    file = tmp_path / "recipe.yaml"
    file.write_text(recipe.replace("http://localhost:8585/api", journey.target.url))
    done = subprocess.run(
        [sys.executable, "-m", "metadata", "ingest", "-c", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env={
            **os.environ,
            "HOME": str(tmp_path),
            "PYTHONPATH": str(ROOT),
            "PORTAL_GRAPHQL_URL": journey.world.directory.url,
            "OM_JWT_TOKEN": journey.target.tokens["admin"],
        },
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert journey.target.user(user)["displayName"] == "Wanted"
