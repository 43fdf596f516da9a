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


_LIMITED = replace(_actor(Role.ADMIN), name="nightly", only=frozenset({Permission.MOUNTS_READ}))


@pytest.mark.parametrize(
    ("actor", "permission", "refusal"),
    [
        (
            replace(_actor(Role.ADMIN), ask_only=True),
            Permission.MOUNTS_WRITE,
            "Ann may look and ask for changes only, not do this (mounts:mount:write).",
        ),
        (
            replace(_LIMITED, ask_only=True),
            Permission.CONNECTIONS_READ,
            f"The API token nightly is limited to other actions and may not do this "
            f"({Permission.CONNECTIONS_READ}). Ask an admin for a token that may.",
        ),
        (
            _LIMITED,
            Permission.MOUNTS_WRITE,
            "The API token nightly is limited to other actions and may not do this "
            "(mounts:mount:write). Ask an admin for a token that may.",
        ),
        (
            _LIMITED,
            Permission.ACCOUNTS_WRITE,
            "The API token nightly is limited, and a limited token makes no accounts and no "
            f"tokens ({Permission.ACCOUNTS_WRITE}): they could be without its limits.",
        ),
    ],
)
def test_a_refusal_names_the_limit_that_refused(
    actor: Actor, permission: Permission, refusal: str
) -> None:
    with pytest.raises(NotPermitted) as refused:
        require(actor, permission)
    assert str(refused.value) == refusal


def test_who_may_only_ask_may_ask_for_what_the_role_holds() -> None:
    asking = replace(_actor(Role.OPERATOR), ask_only=True)
    access.require_to_ask(asking, Permission.MOUNTS_WRITE)
    with pytest.raises(NotPermitted, match="has the role operator, which may not do this"):
        access.require_to_ask(asking, Permission.TOKENIZATION_RUN)


def test_only_the_tokens_environments_are_in_reach() -> None:
    assert access.in_reach(1)
    access.limit_environments(replace(_actor(Role.ADMIN), environments=frozenset({1})))
    try:
        assert (access.in_reach(1), access.in_reach(2)) == (True, False)
        access.require_environment(1, "ours")
        with pytest.raises(NotPermitted) as refused:
            access.require_environment(2, "other")
        assert str(refused.value) == (
            "This API token is limited to other environments than other. Ask an admin for one "
            "that reaches it, or name an environment of the token."
        )
        with pytest.raises(NotPermitted) as refused:
            access.require_everywhere("This")
        assert str(refused.value) == (
            "This concerns all environments, and this API token is limited to some. Ask an "
            "admin for one that reaches all."
        )
    finally:
        access.limit_environments(None)


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
