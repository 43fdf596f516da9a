"""MCP's tools, given what nobody should: the answer is a document, never a bug's reference."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from backend.core.access import Actor, Role
from backend.mcp import server
from tests.backend.user_sync.conftest import *  # noqa: F403 - the world of user sync
from tests.backend.user_sync.conftest import World

#: By the parameter's type, as its schema lets through.
ODD: dict[Any, list[Any]] = {
    int: [-1, 0, 2**31, 2**63, 2**70, -(2**70)],
    str: ["\x00", "\ud800", "%00", "' OR 1=1 --", "a\r\nX-Odd: 1", "x" * 100_000, "\u202eabc"],
    bool: [True],
    list: [[], ["\x00"], ["x" * 100_000], ["a"] * 10_000],
}
TOOLS = [name for name in sorted(vars(server._Tools)) if not name.startswith("_")]


def kinds_of(parameter: inspect.Parameter) -> Iterator[Any]:
    for kind in (int, str, bool, list):
        if kind.__name__ in str(parameter.annotation):
            yield kind
            return


def calls(tool: Callable[..., Any]) -> Iterator[dict[str, Any]]:
    """Calls with one odd argument each; the others as plain as they can be."""
    plain = {int: 1, str: "x", bool: False, list: ["x"]}
    parameters = inspect.signature(tool).parameters
    kinds = {name: kind for name, each in parameters.items() for kind in kinds_of(each)}
    for odd_one, kind in kinds.items():
        for odd in ODD[kind]:
            needed = {
                name: plain[kinds[name]]
                for name, each in parameters.items()
                if each.default is inspect.Parameter.empty
            }
            yield {**needed, odd_one: odd}


@pytest.mark.parametrize("name", TOOLS)
def test_an_odd_argument_is_refused_or_finds_nothing(name: str, world: World) -> None:
    who = server.actor(Actor(7, "odd", Role.ADMIN, "api_token"), Role.ADMIN)
    tools = server._Tools(world.database, who)
    tool = getattr(tools, name)
    bugs = [
        (repr(given)[:100], found)
        for given in calls(tool)
        if (found := server._safe(tool)(**given)).get("error") == "InternalError"
    ]
    assert not bugs
    assert list(calls(tool)) or not inspect.signature(tool).parameters
