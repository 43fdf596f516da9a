"""Connections, secrets, tokens and accounts under a policy: they wait, and are done as asked."""

from collections.abc import Callable
from typing import Any

import pytest

from backend.accounts import api_tokens, passwords, repository
from backend.accounts import service as accounts
from backend.changes import policy, service
from backend.connections import environments
from backend.connections import service as connections
from backend.core.access import SYSTEM, Actor, Role
from backend.core.errors import NotAuthenticated, Waiting
from backend.models import Change
from tests.backend.changes.conftest import ONE, PASSWORD, TWO, World

SERVER = "http://localhost:9"
TOKEN = "not-for-everybody"


@pytest.fixture
def eve(world: World) -> Actor:
    """Another admin, who decides."""
    with world.database.write() as session:
        made = accounts.create(session, SYSTEM, name="eve", role="admin", password=PASSWORD)
    world.people["eve"] = Actor(made.id, made.name, Role.ADMIN, "user")
    world.sign_in("eve")
    return world.people["eve"]


def _asked(world: World, function: Callable[..., Any], **arguments: Any) -> Waiting:
    """What cat, an admin, is answered."""
    with pytest.raises(Waiting) as caught, world.database.write() as session:
        function(session, world.in_browser("cat"), **arguments)
    return caught.value


def _carried(world: World, waits: Waiting) -> str:
    number = int(waits.document["change_id"])
    world.approve(number, "eve")
    view = world.carry_out(number)
    assert view.status == "succeeded", view.outcome
    return view.action


def _connection(world: World, kind: str = "datahub") -> Any:
    with world.database.read() as session:
        return connections.get_connection(session, SYSTEM, environment="prod", kind=kind)


def _save(world: World, **more: Any) -> Any:
    with world.database.write() as session:
        return connections.save(
            session, SYSTEM, environment="prod", kind="datahub", settings={"server": SERVER}, **more
        )


@pytest.mark.usefixtures("eve")
class TestConnections:
    def test_a_setting_waits_and_is_saved_as_it_was_asked_for(self, world: World) -> None:
        _save(world)
        world.rule(ONE, "connections.change")
        waits = _asked(
            world,
            connections.save,
            environment="prod",
            kind="datahub",
            settings={"server": f"{SERVER}/gms"},
        )
        assert _connection(world).settings["server"] == SERVER
        assert _carried(world, waits) == "connections.change"
        assert _connection(world).settings["server"] == f"{SERVER}/gms"

    def test_a_secret_is_sealed_and_nobody_sees_it(self, world: World) -> None:
        world.rule(ONE, "connections.secret")
        waits = _asked(
            world,
            connections.save,
            environment="prod",
            kind="datahub",
            settings={"server": SERVER},
            secrets_in={"token": TOKEN},
        )
        number = int(waits.document["change_id"])
        with world.database.read() as session:
            row = session.get(Change, number)
            assert row is not None
            assert TOKEN not in row.ciphertext
            seen = service.get(session, SYSTEM, change_id=number)
        assert TOKEN not in seen.model_dump_json()
        assert TOKEN not in str(waits.document)
        assert _carried(world, waits) == "connections.secret"
        (token,) = (each for each in _connection(world).secrets if each.field == "token")
        assert token.is_set, token

    def test_another_secret_is_another_request(self, world: World) -> None:
        world.rule(ONE, "connections.secret")
        numbers = [
            _asked(
                world,
                connections.save,
                environment="prod",
                kind="datahub",
                settings={"server": SERVER},
                secrets_in={"token": secret},
            ).document["change_id"]
            for secret in (TOKEN, "another", TOKEN)
        ]
        assert numbers[0] == numbers[2] != numbers[1]

    def test_a_secret_falls_under_the_rule_of_connections_too(self, world: World) -> None:
        world.rule(TWO, "connections.change")
        waits = _asked(
            world,
            connections.save,
            environment="prod",
            kind="datahub",
            settings={"server": SERVER},
            secrets_in={"token": TOKEN},
        )
        assert world.view(int(waits.document["change_id"])).needed == 2

    def test_what_was_saved_meanwhile_is_not_written_over(self, world: World) -> None:
        world.rule(ONE, "connections.change")
        waits = _asked(
            world, connections.save, environment="prod", kind="datahub", settings={"server": SERVER}
        )
        number = int(waits.document["change_id"])
        world.approve(number, "eve")
        with world.database.write() as session:
            views = policy.list_policies(session, SYSTEM, environment="prod")
            assert {each.action: each.rule for each in views}["connections.change"] == ONE
            session.execute(_without_rules())
        _save(world)
        view = world.carry_out(number)
        assert view.status == "refused"
        assert "changed" in view.outcome
        assert _connection(world).version == 1

    def test_values_are_shown_to_who_could_ask_for_the_same(self, world: World) -> None:
        world.rule(ONE, "connections.change")
        waits = _asked(
            world, connections.save, environment="prod", kind="datahub", settings={"server": SERVER}
        )
        number = int(waits.document["change_id"])
        with world.database.read() as session:
            admin = service.get(session, world.people["eve"], change_id=number)
            steward = service.get(session, world.people["ann"], change_id=number)
        assert admin.details == {"server": f" → {SERVER}"}
        assert (steward.details, SERVER in steward.model_dump_json()) == ({}, False)

    def test_forgetting_one(self, world: World) -> None:
        _save(world)
        world.rule(ONE, "connections.change")
        waits = _asked(world, connections.remove, environment="prod", kind="datahub")
        assert _connection(world).configured
        _carried(world, waits)
        assert not _connection(world).configured

    def test_trust(self, world: World) -> None:
        world.rule(ONE, "connections.change")
        waits = _asked(world, environments.set_trust, name="prod", verify=False)
        _carried(world, waits)
        with world.database.read() as session:
            assert not environments.get(session, SYSTEM, name="prod").trust.verify

    def test_deleting_the_environment_that_asks_for_roles_is_weakening(self, world: World) -> None:
        world.rule(TWO, "accounts.role")
        waits = _asked(world, environments.remove, name="prod", confirm_name="prod")
        assert world.view(int(waits.document["change_id"])).needed == 2


def _without_rules() -> Any:
    from sqlalchemy import delete

    from backend.models import ChangePolicy

    return delete(ChangePolicy)


class TestAccounts:
    @pytest.fixture(autouse=True)
    def _rule(self, world: World, eve: Actor) -> None:
        world.rule(ONE, "accounts.role")
        world.rule(ONE, "accounts.token")

    def test_a_role(self, world: World) -> None:
        ann = world.people["ann"]
        waits = _asked(world, accounts.set_role, account_id=ann.id, role="admin", version=1)
        assert waits.document["environment"] == ""
        assert self._account(world, "ann").role == "steward"
        assert _carried(world, waits) == "accounts.role"
        assert self._account(world, "ann").role == "admin"

    def test_a_new_account_has_the_password_that_was_shown(self, world: World) -> None:
        waits = _asked(world, accounts.create_for, name="fay", role="viewer", password="")
        assert waits.secret
        assert waits.secret not in str(waits.document)
        _carried(world, waits)
        assert self._fits(world, "fay", waits.secret)

    def test_nobody_resets_a_password_to_approve_as_somebody_else(self, world: World) -> None:
        bob = world.people["bob"]
        waits = _asked(world, accounts.reset_password, account_id=bob.id, version=1)
        assert self._fits(world, "bob", PASSWORD)
        _carried(world, waits)
        assert self._fits(world, "bob", waits.secret)

    def test_enabling_waits_and_disabling_does_not(self, world: World) -> None:
        ann = world.people["ann"]
        with world.database.write() as session:
            accounts.set_disabled(
                session, world.in_browser("cat"), account_id=ann.id, disabled=True, version=1
            )
        waits = _asked(world, accounts.set_disabled, account_id=ann.id, disabled=False, version=2)
        _carried(world, waits)
        assert not self._account(world, "ann").disabled

    def test_a_token_works_once_it_was_approved(self, world: World) -> None:
        waits = _asked(world, api_tokens.add, name="etl", role="steward", actions=["user_sync"])
        with world.database.read() as session, pytest.raises(NotAuthenticated):
            api_tokens.authenticate(session, waits.secret)
        assert _carried(world, waits) == "accounts.token"
        with world.database.read() as session:
            actor = api_tokens.authenticate(session, waits.secret)
        assert (actor.name, actor.role) == ("etl", Role.STEWARD)

    def test_a_token_of_another_environment_is_not_asked_about(self, world: World) -> None:
        with world.database.write() as session:
            environments.add(session, SYSTEM, name="dev")
            made = api_tokens.add(
                session, world.in_browser("cat"), name="etl", role="viewer", environments=["dev"]
            )
        assert made.raw

    def test_the_strictest_environment_decides(self, world: World) -> None:
        with world.database.write() as session:
            environments.add(session, SYSTEM, name="dev")
            policy.save(session, SYSTEM, environment="dev", action="accounts.role", rule=TWO)
        ann = world.people["ann"]
        waits = _asked(world, accounts.set_role, account_id=ann.id, role="viewer", version=1)
        assert world.view(int(waits.document["change_id"])).needed == 2

    def _account(self, world: World, name: str) -> Any:
        with world.database.read() as session:
            return accounts.get_by_name(session, SYSTEM, name=name)

    def _fits(self, world: World, name: str, password: str) -> bool:
        with world.database.read() as session:
            row = repository.find_account(session, name)
            assert row is not None
            assert row.password_hash is not None
            return passwords.verify(password, row.password_hash)


def test_every_action_that_the_issue_names_has_a_policy(world: World) -> None:
    with world.database.read() as session:
        known = {view.action for view in policy.list_policies(session, SYSTEM, environment="prod")}
    assert known >= {
        "user_sync.apply",
        "user_sync.revert",
        "tokenization.run",
        "tokenization.rewrite",
        "mounts.mount",
        "mounts.unmount",
        "mounts.delete",
        "mounts.release",
        "mounts.target",
        "ingestion.run",
        "ingestion.redrive",
        "ingestion.source",
        "ingestion.recipe",
        "connections.change",
        "connections.secret",
        "accounts.token",
        "accounts.role",
        "changes.policy",
    }
