"""From the approval to the end: what moves meanwhile, exactly once, and the policy itself."""

import threading
from typing import Any

import pytest
from sqlalchemy import delete, update
from sqlalchemy.exc import IntegrityError

from backend.accounts import service as accounts
from backend.changes import gate, lifecycle, policy, service
from backend.changes.rules import Rule
from backend.connections import environments
from backend.core.access import SYSTEM, Actor, Role
from backend.core.errors import (
    Conflict,
    NotPermitted,
    UpstreamTimeout,
    UpstreamUnavailable,
    Waiting,
)
from backend.jobs import service as jobs
from backend.models import Change, ChangePolicy, Job
from tests.backend.changes.conftest import ACTION, ONE, PASSWORD, TWO, World
from tests.fixtures.database import wait_until_blocked


def _change(world: World, **asked: str) -> int:
    found = world.ask(**asked)
    assert found is not None
    return found


class TestWhatMovesMeanwhile:
    """Between the approval and the run."""

    @pytest.fixture
    def number(self, world: World) -> int:
        world.rule(ONE)
        number = _change(world)
        world.approve(number)
        return number

    def _refused(self, world: World, number: int, sentence: str) -> None:
        view = world.carry_out(number)
        assert (view.status, world.written()) == ("refused", [])
        assert sentence in view.outcome

    def test_the_target(self, world: World, number: int) -> None:
        world.target = "table b"
        self._refused(world, number, "the target moved since it was asked for")

    def test_the_approver_loses_the_role(self, world: World, number: int) -> None:
        bob = world.people["bob"]
        with world.database.write() as session:
            version = accounts.get_by_name(session, SYSTEM, name="bob").version
            accounts.set_role(session, SYSTEM, account_id=bob.id, role="viewer", version=version)
        self._refused(world, number, "bob, who approved it, may not do this any more")

    def test_the_environment_is_deleted(self, world: World, number: int) -> None:
        with world.database.write() as session:
            environments.remove(session, SYSTEM, name="prod", confirm_name="prod")
        self._refused(world, number, "The environment prod was deleted")

    def test_the_environment_gets_another_name(self, world: World, number: int) -> None:
        with world.database.write() as session:
            environments.update(session, SYSTEM, name="prod", version=1, new_name="prod-eu")
        assert world.carry_out(number).status == "succeeded"

    def test_its_time_is_over(self, world: World, number: int) -> None:
        world.expire(number)
        self._refused(world, number, "It expired before it could begin")

    def test_the_policy_is_weakened(self, world: World) -> None:
        world.rule(TWO)
        waiting = _change(world, text="another")
        with pytest.raises(Waiting) as caught, world.database.write() as session:
            policy.save(
                session, world.people["cat"], environment="prod", action=ACTION, rule=Rule()
            )
        weakening = world.view(int(caught.value.document["change_id"]))
        assert (weakening.action, weakening.needed) == ("changes.policy", 2)
        assert world.view(waiting).needed == 2
        assert world.approve(waiting).status == "waiting"

    def test_the_policy_was_weakened_and_the_old_rule_holds_for_what_waits(
        self, world: World
    ) -> None:
        world.rule(TWO)
        waiting = _change(world, text="another")
        with world.database.write() as session:
            session.execute(delete(ChangePolicy))
        assert world.ask(text="at once") is None
        assert world.approve(waiting).status == "waiting"
        assert world.approve(waiting, "cat").status == "approved"

    def test_the_environment_is_deleted_while_it_waits(self, world: World) -> None:
        world.rule(ONE)
        waiting = _change(world, text="another")
        with world.database.write() as session:
            environments.remove(session, SYSTEM, name="prod", confirm_name="prod")
        with pytest.raises(Conflict, match="The environment prod of change"):
            world.approve(waiting)
        assert world.written() == []

    def test_what_waits_is_found_under_the_environments_new_name_only(self, world: World) -> None:
        world.rule(ONE)
        waiting = _change(world, text="another")
        with world.database.write() as session:
            environments.update(session, SYSTEM, name="prod", version=1, new_name="prod-eu")
            environments.add(session, SYSTEM, name="prod")
        with world.database.read() as session:
            found = {
                name: [
                    each.id
                    for each in service.list_changes(session, SYSTEM, environment=name).items
                ]
                for name in ("prod", "prod-eu")
            }
        assert found == {"prod": [], "prod-eu": [waiting]}


class TestPolicy:
    def test_to_weaken_it_needs_what_it_asks_for(self, world: World) -> None:
        world.rule(ONE)
        cat = world.people["cat"]
        with pytest.raises(Waiting) as caught, world.database.write() as session:
            policy.save(session, cat, environment="prod", action=ACTION, rule=Rule(mode="direct"))
        number = int(caught.value.document["change_id"])
        with world.database.write() as session:
            found = accounts.create(session, SYSTEM, name="eve", role="admin", password=PASSWORD)
        world.people["eve"] = Actor(found.id, "eve", Role.ADMIN, "user")
        world.sign_in("eve")
        world.approve(number, "eve")
        assert world.carry_out(number).status == "succeeded"
        assert world.ask() is None

    def test_to_strengthen_it_needs_nothing(self, world: World) -> None:
        with world.database.write() as session:
            view = policy.save(
                session, world.people["cat"], environment="prod", action=ACTION, rule=TWO
            )
        assert view.words == "2 approvals"

    def test_a_new_production_environment_asks_for_what_rewrites(self, world: World) -> None:
        with world.database.read() as session:
            found = policy.list_policies(session, SYSTEM, environment="prod")
        asking = {view.action for view in found if view.rule.mode == "approve"}
        assert asking == {
            "user_sync.apply",
            "user_sync.revert",
            "tokenization.run",
            "tokenization.rewrite",
        }

    def test_others_start_with_confirm(self, world: World) -> None:
        with world.database.write() as session:
            environments.add(session, SYSTEM, name="dev")
        with world.database.read() as session:
            found = policy.list_policies(session, SYSTEM, environment="dev")
        assert {view.rule.mode for view in found} == {"confirm"}


class TestOnce:
    @pytest.fixture(autouse=True)
    def _rule(self, world: World) -> None:
        world.rule(ONE)

    def test_carried_out_twice_it_writes_once(self, world: World) -> None:
        number = _change(world)
        world.approve(number)
        for _ in range(3):
            world.carry_out(number)
        assert world.written() == [("hello", "ann")]

    def test_two_workers_at_once(self, world: World) -> None:
        number = _change(world)
        world.approve(number)
        threads = [
            threading.Thread(target=lifecycle.carry_out, args=(world.database, number))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert world.written() == [("hello", "ann")]
        assert world.view(number).status == "succeeded"

    def test_two_approvers_at_once_give_one_job(self, world: World) -> None:
        number = _change(world)
        refused: list[Exception] = []

        def approve(name: str) -> None:
            try:
                world.approve(number, name)
            except Conflict as exc:
                refused.append(exc)

        threads = [threading.Thread(target=approve, args=(name,)) for name in ("bob", "cat")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [str(exc) for exc in refused] == [
            f"Change {number} is approved; there is nothing to decide any more."
        ]
        with world.database.read() as session:
            jobs = session.query(Job).filter_by(kind=lifecycle.KIND).count()
        assert jobs == 1

    def test_what_fails_before_it_begins_is_refused(self, world: World) -> None:
        number = _change(world)
        world.approve(number)
        world.fail = UpstreamUnavailable("Somewhere", "nobody is there", "Try later.")
        view = world.carry_out(number)
        assert (view.status, world.written()) == ("refused", [])
        assert "nobody is there" in view.outcome

    def test_what_fails_after_it_began_has_failed(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        number = _change(world)
        world.approve(number)
        self._begin_and_raise(world, monkeypatch, UpstreamUnavailable("X", "gone", ""))
        assert world.carry_out(number).status == "failed"

    def test_no_answer_after_it_began_is_unknown(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        number = _change(world)
        world.approve(number)
        self._begin_and_raise(world, monkeypatch, UpstreamTimeout("X", "no answer", ""))
        view = world.carry_out(number)
        assert view.status == "unknown"
        assert world.written() == [("hello", "ann")]

    def _begin_and_raise(
        self, world: World, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        from dataclasses import replace

        from backend.changes import actions

        known = actions.get(ACTION)

        def carry_out(*arguments: object, **more: object) -> object:
            known.carry_out(*arguments, **more)  # type: ignore[arg-type]
            raise error

        broken = replace(known, carry_out=carry_out)
        monkeypatch.setattr(actions, "_provided", lambda: {ACTION: broken})

    def test_a_process_killed_before_it_began_is_sent_again(self, world: World) -> None:
        number = _change(world)
        world.approve(number)
        with world.database.write() as session:
            session.execute(update(Job).values(state="interrupted"))
        first = world.view(number).job_id
        lifecycle.track(world.database)
        assert world.view(number).job_id != first
        world.run_job(number)
        assert world.written() == [("hello", "ann")]

    def test_a_process_killed_after_it_began_is_not(self, world: World) -> None:
        number = _change(world)
        world.approve(number)
        call = lifecycle._taken(world.database, number)
        assert call is not None
        with gate.carrying(number):
            call.run(world.database)  # and here it dies
        with world.database.write() as session:
            session.execute(update(Job).values(state="interrupted"))
        world.carry_out(number)
        lifecycle.track(world.database)
        view = world.view(number)
        assert view.status == "unknown"
        assert "ended before it could say how it went" in view.outcome
        assert world.written() == [("hello", "ann")]

    def test_what_nobody_decides_about_expires(self, world: World) -> None:
        number = _change(world)
        world.expire(number)
        with pytest.raises(Conflict, match="has expired"):
            world.approve(number)
        lifecycle.track(world.database)
        assert world.view(number).status == "expired"

    def test_what_expired_and_nobody_has_ended_yet_is_asked_for_anew(self, world: World) -> None:
        number = _change(world)
        world.expire(number)
        again = _change(world)
        lifecycle.track(world.database)
        assert again != number
        assert [world.view(each).status for each in (number, again)] == ["expired", "waiting"]
        assert world.approve(again).status == "approved"

    def test_what_ends_while_the_same_is_asked_for_is_asked_for_anew(self, world: World) -> None:
        number = _change(world)
        again: list[int | None] = []
        asks = threading.Thread(target=lambda: again.append(world.ask()))
        with world.database.write() as session:
            service.reject(session, world.in_browser("bob"), change_id=number, reason="no")
            asks.start()
            wait_until_blocked(world.database, asks)
        asks.join()
        assert world.view(number).status == "rejected"
        assert again[0] not in (None, number)

    def test_what_the_database_refuses_for_another_reason_is_no_wait_without_end(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = gate._row

        def without_state(*args: Any) -> Change:
            row = made(*args)
            row.state = None
            return row

        monkeypatch.setattr(gate, "_row", without_state)
        with pytest.raises(IntegrityError, match="state"):
            world.ask()


class TestRestoredState:
    """What was asked for in a backup may have been done since: it is asked for anew, or not."""

    def test_neither_what_waits_nor_what_was_approved_begins(self, world: World) -> None:
        world.rule(ONE)
        waiting, approved = _change(world), _change(world, text="other")
        world.approve(approved)
        with world.database.write() as session:
            jobs.interrupt_open(session, SYSTEM)
            ended = lifecycle.end_all_not_begun(session, SYSTEM, reason="Restored.")
        lifecycle.track(world.database)
        assert ended == 2
        for number in (waiting, approved):
            view = world.view(number)
            assert (view.status, view.outcome) == ("refused", "Restored.")
            world.carry_out(number)
        with pytest.raises(Conflict, match="refused"):
            world.approve(waiting)
        assert world.written() == []

    def test_what_had_begun_keeps_its_own_end(self, world: World) -> None:
        world.rule(ONE)
        number = _change(world)
        world.approve(number)
        call = lifecycle._taken(world.database, number)
        assert call is not None
        with gate.carrying(number):
            call.run(world.database)
        with world.database.write() as session:
            jobs.interrupt_open(session, SYSTEM)
            assert lifecycle.end_all_not_begun(session, SYSTEM, reason="Restored.") == 0
        lifecycle.track(world.database)
        assert world.view(number).status == "unknown"

    def test_is_for_who_may_restore(self, world: World) -> None:
        with pytest.raises(NotPermitted), world.database.write() as session:
            lifecycle.end_all_not_begun(session, world.people["ann"], reason="x")


class TestWouldDo:
    def test_the_same(self, world: World) -> None:
        world.rule(ONE)
        now = service.would_do(world.database, world.people["bob"], change_id=_change(world))
        assert now.same
        assert world.written() == []

    def test_what_moved(self, world: World) -> None:
        world.rule(ONE)
        number = _change(world)
        world.target = "table b"
        now = service.would_do(world.database, world.people["bob"], change_id=number)
        assert (now.same, now.moved) == (False, ("the target",))
        assert world.view(number).status == "waiting"
