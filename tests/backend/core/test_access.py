"""Roles: what each may, and what who may not is told."""

from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from backend.core import access, role_words
from backend.core.access import PERMISSIONS, Actor, Permission, Role, require
from backend.core.errors import NotPermitted


def _actor(role: Role) -> Actor:
    return Actor(id=7, name="Ann", role=role, kind="api_token")


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("permission", Permission)
def test_an_actor_may_what_the_role_holds(role: Role, permission: Permission) -> None:
    actor = _actor(role)
    held = permission in PERMISSIONS[role]
    assert actor.may(permission) is held
    if held:
        with capture_logs() as said:
            require(actor, permission)
        assert said == []


def test_a_refusal_names_who_what_and_the_way_out_and_is_logged() -> None:
    with capture_logs() as said, pytest.raises(NotPermitted) as refused:
        require(_actor(Role.VIEWER), Permission.MOUNTS_WRITE)
    assert str(refused.value) == (
        "Ann has the role viewer, which may not do this (mounts:mount:write). "
        "Ask an admin for a role that may."
    )
    assert said == [
        {
            "event": "A permission was refused.",
            "log_level": "warning",
            "permission": "mounts:mount:write",
            "actor_id": 7,
            "actor_kind": "api_token",
            "role": "viewer",
        }
    ]


@pytest.mark.parametrize("asked", [2, None])
def test_an_environment_out_of_reach_is_logged_with_who_asked_for_it(asked: int | None) -> None:
    access.limit_environments(replace(_actor(Role.ADMIN), environments=frozenset({1})))
    with capture_logs() as said, pytest.raises(NotPermitted, match="limited to"):
        if asked is None:
            access.require_everywhere("This")
        else:
            access.require_environment(asked, "other")
    access.limit_environments(None)
    assert said == [
        {
            "event": "An environment was refused.",
            "log_level": "warning",
            "environment_id": asked,
            "actor_id": 7,
            "actor_kind": "api_token",
        }
    ]


def test_every_permission_is_told_once_in_words_with_the_roles_that_hold_it() -> None:
    told = role_words.abilities()
    assert sorted(each.permission for each in told) == sorted(Permission)
    assert len({(each.area, each.words) for each in told}) == len(told)
    for each in told:
        assert each.roles == tuple(role for role in Role if each.permission in PERMISSIONS[role])
