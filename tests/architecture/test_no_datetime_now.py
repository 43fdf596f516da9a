"""One clock: backend.core.clock, aware and UTC, which tests can turn."""

import ast

from tests.architecture.source import modules

_CLOCKS = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today"}


def test_nobody_asks_the_machine_for_the_time():
    wrong = [
        f"{module.place}:{node.lineno} {ast.unparse(node)}"
        for module in modules().values()
        if module.name != "backend.core.clock"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and ".".join(ast.unparse(node.func).split(".")[-2:]) in _CLOCKS
    ]
    assert not wrong, "use backend.core.clock.now():\n" + "\n".join(wrong)
