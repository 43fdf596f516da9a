"""Asking, deciding, and who may."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from backend.accounts import api_tokens, step_up
from backend.accounts import lifecycle as account_lifecycle
from backend.accounts import service as accounts
from backend.changes import gate, repository, service
from backend.changes.rules import Rule
from backend.core import clock
from backend.core.access import SYSTEM, Actor, Role
from backend.core.errors import (
    Conflict,
    InvalidInput,
    NotAuthenticated,
    NotPermitted,
    Waiting,
)
from backend.models import ApiToken, Job
from tests.backend.changes.conftest import ACTION, ONE, PASSWORD, TWO, World


def _change(world: World, **asked: str) -> int:
    found = world.ask(**asked)
    assert found is not None
    return found


class TestAsking:
    def test_without_a_rule_it_is_done_at_once(self, world: World) -> None:
        assert world.ask() is None
        assert world.written() == [("hello", "ann")]

    def test_under_approval_it_is_filed_and_nothing_done(self, world: World) -> None:
        world.rule(ONE)
        view = world.view(_change(world))
        assert (view.status, view.requester, view.needed, view.size) == ("waiting", "ann", 1, 5)
        assert view.shown == {"target": "table a"}
        assert view.rule == "1 approval"
        assert world.written() == []

    def test_the_answer_names_it(self, world: World) -> None:
        world.rule(ONE)
        with pytest.raises(Waiting) as caught, world.database.write() as session:
            world.write(session, world.people["ann"], environment="prod", text="x")
        number = caught.value.document["change_id"]
        assert caught.value.document["status"] == "waiting"
        assert caught.value.document["change"].endswith(f"/changes?change={number}")
        assert caught.value.document["runId"] == f"change-{number}"

    def test_the_same_twice_is_one_request(self, world: World) -> None:
        world.rule(ONE)
        assert world.ask() == world.ask("bob")
        assert world.ask(text="other") != world.ask()

    def test_the_same_once_it_was_decided_about_is_not_said_to_wait(self, world: World) -> None:
        world.rule(ONE)
        number = _change(world)
        world.approve(number)
        said = f"Change {number} is approved: http"
        with pytest.raises(Waiting, match=said) as caught, world.database.write() as session:
            world.write(session, world.people["ann"], environment="prod", text="hello")
        assert caught.value.document["state"] == "approved"

    def test_asked_for_again_under_a_stricter_rule_it_needs_as_many(self, world: World) -> None:
        world.rule(ONE)
        number = _change(world)
        world.rule(TWO)
        assert (world.ask("cat"), world.view(number).needed) == (number, 2)
        assert world.approve(number).status == "waiting"

    def test_a_small_one_passes(self, world: World) -> None:
        world.rule(Rule(mode="approve", above=5))
        assert world.ask(text="hello") is None
        assert world.ask(text="hello!") is not None

    def test_who_may_only_ask_always_waits(self, world: World) -> None:
        world.people["bot"] = Actor(7, "bot", Role.STEWARD, "api_token", ask_only=True)
        view = world.view(_change(world, name="bot"))
        assert (view.needed, view.requester_kind) == (1, "api_token")

    def test_parameters_are_sealed_and_thrown_away_at_the_end(self, world: World) -> None:
        world.rule(ONE)
        number = _change(world, text="planted-personal-value")
        with world.database.read() as session:
            row = repository.get(session, number)
            assert "planted" not in f"{row.ciphertext}{row.shown}{row.subject}"
        world.approve(number)
        world.carry_out(number)
        with world.database.read() as session:
            assert repository.get(session, number).ciphertext == ""

    def test_a_service_that_writes_before_its_gate_is_told(self, world: World) -> None:
        intent = gate.Intent(ACTION, "prod", "x", {})
        with (
            pytest.raises(RuntimeError, match="before the first write"),
            world.database.write() as session,
        ):
            session.add(Job())
            gate.check(session, world.people["ann"], intent)

    def test_an_environment_that_is_not_there_passes_nothing(self, world: World) -> None:
        from backend.core.errors import NotFound

        with pytest.raises(NotFound, match="no environment 'gone'"):
            world.ask(env="gone")
        assert world.written() == []


class TestDeciding:
    @pytest.fixture(autouse=True)
    def _rule(self, world: World) -> None:
        world.rule(ONE)

    def test_it_is_carried_out_as_who_asked(self, world: World) -> None:
        number = _change(world)
        assert world.approve(number).status == "approved"
        view = world.run_job(number)
        assert (view.status, view.outcome) == ("succeeded", "written")
        assert world.written() == [("hello", "ann")]
        assert [step.what for step in view.steps] == ["asked", "approved", "succeeded"]

    def test_never_by_who_asked(self, world: World) -> None:
        number = _change(world)
        with pytest.raises(NotPermitted, match="asked for by you"):
            world.approve(number, "ann")

    def test_only_with_the_actions_permission(self, world: World) -> None:
        with pytest.raises(NotPermitted, match=r"tokenization:table:run"):
            world.approve(_change(world), "dan")

    def test_only_with_a_fresh_sign_in(self, world: World) -> None:
        number = _change(world)
        world.let_pass("bob", minutes=16)
        with pytest.raises(service.NotFresh, match="last 15 minutes"):
            world.approve(number)
        assert world.view(number).approvals == ()

    def test_not_with_somebody_elses_browser(self, world: World) -> None:
        number = _change(world)
        world.browsers["bob"] = world.browsers["cat"]
        with pytest.raises(service.NotFresh):
            world.approve(number)

    def test_the_password_typed_once_more_is_fresh(self, world: World) -> None:
        number, bob = _change(world), world.in_browser("bob")
        world.let_pass("bob", minutes=16)
        with pytest.raises(NotAuthenticated, match="The password is wrong"):
            step_up.prove(world.database, bob, proof="wrong")
        with pytest.raises(service.NotFresh):
            world.approve(number)
        step_up.prove(world.database, bob, proof=PASSWORD)
        assert world.approve(number).status == "approved"

    def test_two_others_and_no_one_twice(self, world: World) -> None:
        world.rule(TWO)
        number = _change(world)
        assert world.approve(number, "bob").status == "waiting"
        with pytest.raises(Conflict, match="You have approved change"):
            world.approve(number, "bob")
        assert world.approve(number, "cat").status == "approved"

    def test_a_rejection_has_a_reason_and_ends_it(self, world: World) -> None:
        number, bob = _change(world), world.people["bob"]
        with pytest.raises(InvalidInput, match="Say why"), world.database.write() as session:
            service.reject(session, bob, change_id=number, reason=" ")
        with world.database.write() as session:
            view = service.reject(session, bob, change_id=number, reason="not now")
        assert (view.status, view.outcome) == ("rejected", "not now")
        with pytest.raises(Conflict, match="is rejected"):
            world.approve(number)
        assert world.ask() != number  # it may be asked for again

    def test_withdrawn_by_who_asked_or_an_admin(self, world: World) -> None:
        first, second = _change(world), _change(world, text="other")
        with pytest.raises(NotPermitted), world.database.write() as session:
            service.withdraw(session, world.people["bob"], change_id=first)
        for number, name in ((first, "ann"), (second, "cat")):
            with world.database.write() as session:
                view = service.withdraw(session, world.people[name], change_id=number)
            assert view.status == "withdrawn"

    def test_lists_for_each(self, world: World) -> None:
        number = _change(world)
        with world.database.read() as session:

            def ids(name: str, which: service.Which) -> list[int]:
                page = service.list_changes(session, world.people[name], which=which)
                return [view.id for view in page.items]

            assert ids("bob", "to_approve") == [number]
            assert ids("ann", "to_approve") == ids("dan", "to_approve") == []
            assert ids("ann", "mine") == [number]
            assert ids("bob", "mine") == ids("ann", "done") == []

    def test_what_one_may_approve_is_found_behind_many_of_ones_own(self, world: World) -> None:
        number = _change(world)
        for text in ("a", "b", "c"):
            _change(world, name="bob", text=text)
        with world.database.read() as session:
            page = service.list_changes(session, world.people["bob"], which="to_approve", limit=1)
        assert [view.id for view in page.items] == [number]
        assert page.next_cursor is None

    def test_every_step_is_audited_with_both_names(self, world: World) -> None:
        number = _change(world)
        world.approve(number)
        world.carry_out(number)
        (asked,) = world.audited("changes:request:ask")
        (approved,) = world.audited("changes:request:approve")
        (ended,) = world.audited("changes:request:end")
        assert (asked.actor_name, approved.actor_name) == ("ann", "bob")
        assert '"requester": "ann"' in approved.details
        assert '"approved_by": ["bob"]' in ended.details


class TestTokens:
    @pytest.fixture(autouse=True)
    def _rule(self, world: World) -> None:
        world.rule(ONE)

    def _token(self, world: World, maker: Actor, name: str, **age: float) -> Actor:
        with world.database.write() as session:
            made = api_tokens.add(session, maker, name=name, role="admin").view
            session.execute(
                update(ApiToken)
                .where(ApiToken.id == made.id)
                .values(created_at=clock.now() - timedelta(**age))
            )
        actor = Actor(made.id, name, Role.ADMIN, "api_token")
        world.people[name] = actor
        return actor

    def test_one_of_who_asked_does_not_approve(self, world: World) -> None:
        world.people["ann"] = world.people["cat"]
        number = _change(world)
        self._token(world, world.people["cat"], "cats")
        with pytest.raises(NotPermitted, match="asked for by you"):
            world.approve(number, "cats")

    def test_nor_does_who_made_the_one_that_asked(self, world: World) -> None:
        self._token(world, world.people["cat"], "cats", days=3)
        number = _change(world, name="cats")
        with pytest.raises(NotPermitted, match="asked for by you"):
            world.approve(number, "cat")
        assert world.approve(number, "bob").status == "approved"

    @pytest.mark.parametrize("asks", ["mcp:zoe", "made at the command line", "zoe"])
    def test_a_login_is_one_person_at_every_door(self, world: World, asks: str) -> None:
        """Ann's assistant, a token she made at the command line and her account are hers."""
        login = world.people["cli:zoe"] = Actor(0, "cli:zoe", Role.ADMIN, "cli")
        if asks == "zoe":
            with world.database.write() as session:
                made = accounts.create(session, SYSTEM, name="Zoe", role="admin", password=PASSWORD)
            world.people[asks] = Actor(made.id, made.name, Role.ADMIN, "user")
        elif asks == "mcp:zoe":
            world.people[asks] = Actor(0, asks, Role.STEWARD, "cli", ask_only=True)
        else:
            self._token(world, login, asks)
        number = _change(world, name=asks)
        with pytest.raises(NotPermitted, match="asked for by you"):
            world.approve(number, "cli:zoe")
        assert world.approve(number, "bob").status == "approved"

    def test_namesakes_at_two_providers_are_two_people(self, world: World) -> None:
        for name in ("ann@one.example", "ann@two.example"):
            with world.database.write() as session:
                made = accounts.create(session, SYSTEM, name=name, role="admin", password=PASSWORD)
            world.people[name] = Actor(made.id, made.name, Role.ADMIN, "user")
        number = _change(world, name="ann@one.example")
        with world.database.read() as session:
            ask = {"session": session, "which": "to_approve"}
            page = service.list_changes(actor=world.people["ann@two.example"], **ask)
            assert [view.id for view in page.items] == [number]
            assert not service.list_changes(actor=world.people["ann@one.example"], **ask).items

    def test_two_approvals_of_one_person_at_two_doors_are_one(self, world: World) -> None:
        world.rule(TWO)
        number = _change(world)
        world.people["cli:bob"] = Actor(0, "cli:bob", Role.ADMIN, "cli")
        assert world.approve(number, "bob").status == "waiting"
        with pytest.raises(Conflict, match="already, as bob"):
            world.approve(number, "cli:bob")

    def test_who_made_the_token_sees_and_withdraws_what_it_asked_for(self, world: World) -> None:
        self._token(world, world.people["cat"], "cats", days=3)
        number = _change(world, name="cats")
        with world.database.write() as session:
            mine = service.list_changes(session, world.people["cat"], which="mine")
            assert [view.id for view in mine.items] == [number]
            others = service.list_changes(session, world.people["bob"], which="mine")
            assert others.items == ()
            view = service.withdraw(session, world.people["cat"], change_id=number)
        assert view.status == "withdrawn"

    def test_an_old_one_decides_nothing(self, world: World) -> None:
        self._token(world, world.people["cat"], "script", minutes=16)
        with pytest.raises(service.NotFresh, match="a token made just now"):
            world.approve(_change(world), "script")

    def test_a_revoked_one_is_not_carried_out_for(self, world: World) -> None:
        token = self._token(world, world.people["cat"], "cats", days=3)
        number = _change(world, name="cats")
        world.approve(number, "bob")
        with world.database.write() as session:
            api_tokens.revoke(session, SYSTEM, token_id=token.id)
        view = world.carry_out(number)
        assert view.status == "refused"
        assert "cats, who asked, may not do this any more" in view.outcome


class TestEndedAccounts:
    def test_what_a_deleted_person_asked_for_stays_readable_and_is_not_done(
        self, world: World
    ) -> None:
        world.rule(ONE)
        change_id = _change(world)
        _end_account(world, "ann")
        assert (world.view(change_id).requester, world.view(change_id).status) == ("ann", "waiting")
        world.approve(change_id)
        assert world.run_job(change_id).status == "refused"
        assert world.written() == []

    def test_who_asked_as_another_account_does_not_approve(self, world: World) -> None:
        world.rule(ONE)
        change_id = _change(world)
        _end_account(world, "ann", into="bob")
        with pytest.raises(NotPermitted, match="asked for by you"):
            world.approve(change_id, "bob")


def _end_account(world: World, name: str, into: str = "") -> None:
    ended = {"account_id": world.people[name].id}
    with world.database.write() as session:
        ended["version"] = accounts.get_by_name(session, SYSTEM, name=name).version
        if into:
            account_lifecycle.merge(session, SYSTEM, into=into, **ended)
        else:
            account_lifecycle.delete(session, SYSTEM, **ended)
