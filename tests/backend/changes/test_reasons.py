"""Why somebody asked is frozen with the request, whichever face was told; see test_doors, too."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from backend.accounts import api_tokens
from backend.changes import service
from backend.changes.schemas import ChangeView
from backend.core import reasons
from backend.core.access import SYSTEM
from backend.core.errors import InvalidInput
from backend.models import Change
from tests.backend.changes.conftest import ACTION, ONE, TWO, World
from tests.fixtures.api import rest_app

WHY = "DPO-81: before the audit"
#: Its body has the reason, which travels to AWS.
IN_THE_BODY = {"/api/ingestion/run"}


def ask(world: World, name: str, why: str) -> ChangeView:
    with reasons.given(why):
        number = world.ask(name)
    assert number is not None
    return world.view(number)


def said(view: ChangeView) -> list[tuple[str, str, str]]:
    return [(step.what, step.actor_name, step.text) for step in view.steps]


def test_it_is_frozen_with_the_request(world: World) -> None:
    world.rule(ONE)
    view = ask(world, "ann", f"  {WHY}\n")
    assert (view.reason, said(view)) == (WHY, [("asked", "ann", WHY)])
    [asked] = world.audited("changes:request:ask")
    assert json.loads(asked.details)["reason"] == WHY


def test_whoever_asks_for_the_same_changes_nothing_and_is_heard(world: World) -> None:
    world.rule(ONE)
    first = ask(world, "ann", WHY)
    for why in ("", WHY, "another", "another"):
        again = ask(world, "bob", why)
        assert (again.id, again.reason, again.digest) == (first.id, WHY, first.digest)
    assert said(again) == [("asked", "ann", WHY), ("commented", "bob", "another")]


def test_a_reason_is_no_part_of_what_is_done(world: World) -> None:
    world.rule(ONE)
    view = ask(world, "ann", WHY)
    world.approve(view.id)
    assert world.carry_out(view.id).status == "succeeded"


def test_the_one_who_needs_more_approvals_is_heard_too(world: World) -> None:
    world.rule(ONE)
    first = ask(world, "ann", WHY)
    world.rule(TWO)
    again = ask(world, "bob", "and for the archive")
    assert (again.id, again.needed, again.reason) == (first.id, 2, WHY)
    assert said(again)[1:] == [("commented", "bob", "and for the archive")]


def test_of_what_is_done_at_once_the_audit_log_holds_it(world: World) -> None:
    with reasons.given(WHY):
        assert world.ask() is None
    assert world.ask(text="without one") is None
    first, second = world.audited("demo:thing:written")
    assert json.loads(first.details) == {"reason": WHY}
    assert "reason" not in second.details


@pytest.mark.parametrize(
    ("why", "problem"),
    [("x" * (reasons.MAX_TEXT + 1), "at most 2,000 characters"), ("a\0b", "cannot be kept")],
)
def test_one_that_cannot_be_kept_is_refused_before_anything(
    world: World, why: str, problem: str
) -> None:
    world.rule(ONE)
    with pytest.raises(InvalidInput, match=problem), reasons.given(why):
        world.ask()
    with world.database.read() as session:
        assert list(session.scalars(select(Change))) == []
    assert reasons.current() == ""


@pytest.mark.parametrize("long", ["x" * (reasons.MAX_TEXT + 1), "a\0b"])
def test_nothing_that_is_said_to_a_request_is_cut(world: World, long: str) -> None:
    world.rule(ONE)
    number, bob = ask(world, "ann", WHY).id, world.in_browser("bob")
    for call, words in (
        (service.approve, {"comment": long}),
        (service.reject, {"reason": long}),
        (service.comment, {"text": long}),
        (service.withdraw, {"reason": long}),
    ):
        who = world.in_browser("ann") if call is service.withdraw else bob
        with (
            pytest.raises(InvalidInput, match=r"at most 2,000 characters|cannot be kept"),
            world.database.write() as session,
        ):
            call(session, who, change_id=number, **words)
    assert world.view(number).status == "waiting"
    assert said(world.view(number)) == [("asked", "ann", WHY)]


@pytest.fixture
def rest(world: World) -> Iterator[TestClient]:
    with world.database.write() as session:
        raw = api_tokens.add(session, SYSTEM, name="asks", role="admin").raw
    with TestClient(rest_app(), headers={"Authorization": f"Bearer {raw}"}) as client:
        yield client


POLICY = f"/api/environments/prod/policies/{ACTION}"


def test_over_rest_it_is_a_parameter(world: World, rest: TestClient) -> None:
    world.rule(TWO)
    asked = rest.put(POLICY, params={"reason": "Zażółć, DPO-81"}, json={"mode": "direct"})
    assert asked.status_code == 202, asked.text
    assert world.view(asked.json()["change_id"]).reason == "Zażółć, DPO-81"
    assert reasons.current() == ""
    plain = rest.put(POLICY, json={"mode": "confirm"})
    assert world.view(plain.json()["change_id"]).reason == ""


@pytest.mark.parametrize(("why", "status"), [("x" * 2_001, 422), ("a\0b", 400)])
def test_over_rest_one_that_cannot_be_kept_is_refused(
    world: World, rest: TestClient, why: str, status: int
) -> None:
    world.rule(TWO)
    refused = rest.put(POLICY, params={"reason": why}, json={"mode": "direct"})
    assert (refused.status_code, "reason" in refused.json()["detail"]) == (status, True)
    with world.database.read() as session:
        assert list(session.scalars(select(Change))) == []


def test_where_nothing_may_wait_none_is_taken(rest: TestClient) -> None:
    refused = rest.get("/api/changes", params={"reason": WHY})
    assert refused.status_code == 422
    assert "reason" in refused.json()["detail"]


def test_the_document_names_it_where_a_policy_may_ask_for_an_approval(rest: TestClient) -> None:
    paths: dict[str, dict[str, Any]] = rest.get("/api/openapi.json").json()["paths"]
    operations = [
        (path, operation) for path, found in paths.items() for operation in found.values()
    ]
    waits = {path for path, each in operations if "Waits" in json.dumps(each["responses"])}
    takes = {
        path
        for path, each in operations
        if any(
            (one["in"], one["name"]) == ("query", "reason") and "Why" in one.get("description", "")
            for one in each.get("parameters", ())
        )
    }
    assert takes == waits - IN_THE_BODY
