"""What a page says it has done was done: a refusal is not followed by "Done", nor by a rerun that
takes its sentence away."""

import ast
import itertools

import pytest

from tests.architecture.source import Module, modules

_UNIT_OF_WORK = ("write", "run")


def _calls(statement: ast.stmt, room: str, names: tuple[str, ...]) -> bool:
    """Whether the statement is a call of one of the room's functions, whose answer is dropped."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Call)
        and isinstance(statement.value.func, ast.Attribute)
        and isinstance(statement.value.func.value, ast.Name)
        and statement.value.func.value.id == room
        and statement.value.func.attr in names
    )


def _blind(tree: ast.AST) -> list[int]:
    """Lines that write and go on as if nothing could be refused."""
    found = []
    for node in ast.walk(tree):
        for part in ("body", "orelse", "finalbody"):
            block = getattr(node, part, None)
            if not isinstance(block, list):
                continue
            for before, after in itertools.pairwise(block):
                goes_on = _calls(after, "flash", ("success", "info", "passing", "rerun"))
                if _calls(before, "calls", _UNIT_OF_WORK) and (
                    goes_on or _calls(after, "st", ("rerun",))
                ):
                    found.append(before.lineno)
    return found


def _pages() -> list[Module]:
    return [each for each in modules().values() if each.name.startswith("pages.")]


@pytest.mark.parametrize("module", _pages(), ids=lambda each: each.name)
def test_the_answer_of_a_write_is_looked_at(module: Module) -> None:
    assert _blind(module.tree) == [], f"{module.path}: use calls.done, or compare with None"


def test_a_blind_write_is_found() -> None:
    told = "if x:\n    calls.write(remove, name=n)\n    flash.success('Removed.')\n"
    assert _blind(ast.parse(told)) == [2]
    assert _blind(ast.parse(told.replace("flash.success('Removed.')", "st.rerun()"))) == [2]
    asked = "if calls.done(remove, name=n):\n    flash.success('Removed.')\n"
    assert _blind(ast.parse(asked)) == []
