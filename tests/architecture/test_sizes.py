"""Sizes: a file is read in one sitting, a function at a glance."""

import ast

from tests.architecture.source import ROOT, modules, tracked_files

MOST_LINES = 400
LONG_FUNCTION = 50


def test_no_file_is_longer_than_a_sitting():
    long = []
    for path in tracked_files():
        if path.suffix == ".py":
            lines = len(path.read_text(encoding="utf-8").splitlines())
            if lines > MOST_LINES:
                long.append(f"{path.relative_to(ROOT)}: {lines} lines")
    assert not long, "\n".join(long)


def test_long_functions_are_rare():
    functions, long = 0, []
    for module in modules().values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                functions += 1
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > LONG_FUNCTION:
                    long.append(f"{module.place}:{node.lineno} {node.name} {length} lines")
    assert len(long) < 0.05 * functions, "\n".join(long)


def test_every_module_opens_with_a_sentence():
    silent = [
        module.place
        for module in modules().values()
        if module.tree.body and not ast.get_docstring(module.tree)
    ]
    assert not silent
