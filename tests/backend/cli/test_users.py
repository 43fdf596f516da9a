"""users plan, apply and revert on the command line, against servers on loopback."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import update

from backend.core import clock
from backend.models import SyncPlan
from tests.backend.user_sync import conftest as rooms

directory, om, world, many = rooms.directory, rooms.om, rooms.world, rooms.many


@pytest.fixture
def planned(run_cli, world):
    ended = run_cli("users", "plan", "test", "--json")
    assert ended.status == 0, ended.err
    return json.loads(ended.out)


class TestPlan:
    def test_prints_one_document_with_a_row_per_directory_user(self, planned, world):
        assert len(planned["rows"]) == len(world.directory.users)
        assert sum(planned["summary"].values()) == len(planned["rows"])
        rows = {row["email"]: row for row in planned["rows"]}
        row = rows["aaron_johnson0@example.com"]
        assert row["status"] == "update"
        assert row["changes"] == {
            "displayName": {"old": "Aaron Jonson", "new": "Aaron Johnson"},
            "domains": {"old": ["Operations"], "new": ["Marketing"]},
        }
        assert row["user_id"] == world.stored("aaron_johnson0")["id"]
        assert rows["new.joiner@example.com"]["status"] == "not_found"
        assert rows["new.joiner@example.com"]["changes"] == {}

    def test_for_a_person_names_the_changes_and_the_next_command(self, run_cli, world):
        out = run_cli("users", "plan", "test").out
        assert "“Aaron Jonson” → “Aaron Johnson”; Operations → Marketing" in out
        assert "users apply 1" in out

    def test_says_the_same_numbers_as_the_document_and_its_rows(self, run_cli, world):
        document = json.loads(run_cli("users", "plan", "test", "--json").out)
        rows, counts = document["rows"], document["counts"]
        changing = [row for row in rows if row["changes"]]
        both = [row for row in changing if row["status"] == "unknown_domain"]
        assert counts["changes"] == len(changing) == document["fields"]["users"]
        assert counts["rows"] == len(rows)
        assert counts["unknown_domain"] == document["summary"]["unknown_domain"]
        assert both, "somebody's name differs and his domain is unknown"
        out = run_cli("users", "plan", "test").out
        changed = f"{len(changing)} will change (of them {len(both)} with an unknown domain)"
        assert f": {changed}, " in out
        assert f"{counts['unknown_domain']} unknown domain" in out

    def test_names_that_look_alike_are_told_apart(self, run_cli, world):
        world.om.store.edit_user("lena.novak", by="x", display_name="Lena\u00a0Novak")
        for person in world.directory.users:
            if (person["email"] or "").lower() == "lena.novak@example.com":
                person["displayName"] = "Lena Novak"
        out = run_cli("users", "plan", "test").out
        assert "“Lena⟨U+00A0⟩Novak” → “Lena␣Novak”" in out
        assert "“Aaron Jonson” → “Aaron Johnson”" in out, "others stay as they are"

    def test_blanks_that_nobody_sees_are_marked(self, run_cli, world):
        world.om.store.edit_user("lena.novak", by="x", display_name=" Lena  Horvat ")
        out = run_cli("users", "plan", "test").out
        assert "“␣Lena␣␣Horvat␣” → “Lena Novak-Horvat”" in out

    def test_every_row_says_why(self, run_cli, world):
        document = json.loads(run_cli("users", "plan", "test", "--json").out)
        assert all(row["reason"] for row in document["rows"])
        rows = {row["email"]: row["reason"] for row in document["rows"]}
        assert rows["lena.novak@example.com"] == (
            "matched by e-mail with lena.novak; display name differs"
        )
        assert rows["new.joiner@example.com"].startswith("no such e-mail in OpenMetadata")

    def test_says_on_one_line_what_is_wrong(self, run_cli, world):
        world.directory.refuse_after = 2
        ended = run_cli("users", "plan", "test", "--json")
        assert ended.status == 1
        assert json.loads(ended.out)["detail"] == ended.err.strip()
        assert ended.err.startswith("Directory:")
        assert ended.err.count("\n") == 1

    def test_an_unknown_environment_or_none_at_all(self, run_cli, world):
        assert run_cli("users", "plan", "nowhere").status == 1
        assert run_cli("users", "plan").status == 2


class TestApply:
    def test_applies_everything_with_yes(self, run_cli, planned, world):
        ended = run_cli("users", "apply", str(planned["plan_id"]), "--yes", "--json")
        document = json.loads(ended.out)
        assert (ended.status, document["status"]) == (0, "succeeded"), ended.err
        assert document["summary"] == {"applied": len(document["rows"]), "conflict": 0, "failed": 0}
        assert world.stored("aaron_johnson0")["displayName"] == "Aaron Johnson"

    def test_applies_only_the_users_named(self, run_cli, planned, world):
        plan = str(planned["plan_id"])
        emails = ("--email", "dana.fox@example.com", "LENA.novak@example.com")
        document = json.loads(run_cli("users", "apply", plan, *emails, "--yes", "--json").out)
        assert {row["email"] for row in document["rows"]} == {
            "dana.fox@example.com",
            "lena.novak@example.com",
        }
        assert world.stored("aaron_johnson0")["displayName"] == "Aaron Jonson"

    def test_a_conflict_is_printed_and_ends_with_1(self, run_cli, planned, world):
        world.om.store.edit_user("dana.fox", by="eve", domains=("Research",))
        ended = run_cli("users", "apply", str(planned["plan_id"]), "--yes", "--json")
        document = json.loads(ended.out)
        assert ended.status == 1
        assert document["summary"]["conflict"] == 1
        (row,) = [r for r in document["rows"] if r["status"] == "conflict"]
        assert "eve" in row["reason"]
        assert "1 conflict" in ended.err

    def test_asked_again_it_shows_the_first_run(self, run_cli, planned, world):
        plan = str(planned["plan_id"])
        first = json.loads(run_cli("users", "apply", plan, "--yes", "--json").out)
        again = run_cli("users", "apply", plan, "--yes", "--json")
        document = json.loads(again.out)
        assert (again.status, document["reused"]) == (0, True)
        assert document["run_id"] == first["run_id"]

    def test_without_yes_away_from_a_terminal_nothing_is_done(self, run_cli, planned, world):
        ended = run_cli("users", "apply", str(planned["plan_id"]))
        assert ended.status == 1
        assert f"Change {planned['summary']['update'] + 1} users of" in ended.err
        assert "--yes" in ended.err
        assert not [m for m, _ in world.om.requests if m == "PATCH"]

    def test_without_yes_it_is_done_where_the_policy_is_direct(self, run_cli, planned, world):
        rule = ("changes", "policy", "set", world.env, "user_sync.apply", "direct")
        assert run_cli(*rule).status == 0
        ended = run_cli("users", "apply", str(planned["plan_id"]), "--json")
        assert (ended.status, json.loads(ended.out)["status"]) == (0, "succeeded"), ended.err

    def test_above_the_limit_yes_is_not_enough(self, run_cli, many):
        world = many(120)
        plan = str(world.plan().id)
        refused = run_cli("users", "apply", plan, "--yes", "--json")
        assert refused.status == 1
        assert "--confirm 120" in refused.err
        document = json.loads(refused.out)
        assert (document["run_id"], document["error"]) == (None, "ConfirmationNeeded")
        assert document["summary"] == {"applied": 0, "conflict": 0, "failed": 0}
        assert not [m for m, _ in world.om.requests if m == "PATCH"]
        done = run_cli("users", "apply", plan, "--yes", "--confirm", "120", "--json")
        assert done.status == 0
        assert json.loads(done.out)["summary"]["applied"] == 120

    def test_below_100_users_there_is_no_limit(self, run_cli, many):
        plan = str(many(99).plan().id)
        assert run_cli("users", "apply", plan, "--yes").status == 0

    def test_a_plan_without_changes_is_no_failure(self, run_cli, planned, world):
        run_cli("users", "apply", str(planned["plan_id"]), "--yes")
        again = json.loads(run_cli("users", "plan", "test", "--json").out)
        ended = run_cli("users", "apply", str(again["plan_id"]), "--yes", "--json")
        document = json.loads(ended.out)
        assert (ended.status, document["run_id"], document["rows"]) == (0, None, [])
        assert "changes nothing" in document["message"]

    def test_an_expired_plan_is_refused_with_a_document(self, run_cli, planned, database):
        with database.write() as session:
            session.execute(update(SyncPlan).values(expires_at=clock.now() - timedelta(seconds=1)))
        ended = run_cli("users", "apply", str(planned["plan_id"]), "--yes", "--json")
        assert (ended.status, json.loads(ended.out)["error"]) == (1, "PlanExpired")
        assert "expired on" in ended.err

    def test_an_unknown_plan(self, run_cli, world):
        ended = run_cli("users", "apply", "99", "--yes")
        assert (ended.status, ended.err) == (
            1,
            "There is no plan 99. The newest ones are in the history.\n",
        )


class TestRevert:
    def test_takes_a_run_back(self, run_cli, planned, world):
        plan = str(planned["plan_id"])
        run = json.loads(run_cli("users", "apply", plan, "--yes", "--json").out)["run_id"]
        ended = run_cli("users", "revert", str(run), "--yes", "--json")
        assert (ended.status, json.loads(ended.out)["status"]) == (0, "succeeded"), ended.err
        assert world.stored("aaron_johnson0")["displayName"] == "Aaron Jonson"

    def test_shows_the_inverse_to_a_person(self, run_cli, planned, world):
        plan = str(planned["plan_id"])
        run = json.loads(run_cli("users", "apply", plan, "--yes", "--json").out)["run_id"]
        out = run_cli("users", "revert", str(run), "--yes").out
        assert "“Aaron Johnson” → “Aaron Jonson”" in out
        assert "succeeded" in out
        assert "Apply with" not in out

    def test_without_yes_it_only_shows_the_inverse_and_how_to_apply_it(
        self, run_cli, planned, world
    ):
        plan = str(planned["plan_id"])
        one = ("--email", "dana.fox@example.com")
        run_cli("users", "apply", plan, *one, "--yes")
        ended = run_cli("users", "revert", "1")
        assert ended.status == 1
        assert ended.err.startswith("Take back 1 change in test (plan 2)?")
        assert "users apply 2" in ended.out

    def test_a_refused_one_is_a_document_too(self, run_cli, world):
        ended = run_cli("users", "revert", "99", "--yes", "--json")
        document = json.loads(ended.out)
        assert (ended.status, document["run_id"], document["error"]) == (1, None, "RunNotFound")
        assert ended.err.count("\n") == 1
