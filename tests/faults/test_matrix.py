"""The matrix has no hole: every cell is run here or proven by a test that exists."""

import ast
from pathlib import Path

from tests.faults import matrix

ROOT = Path(__file__).parents[2]


def test_every_cell_is_run_or_proven_and_none_twice() -> None:
    run, proven, whole = set(matrix.RUN), set(matrix.PROVEN), set(matrix.all_cells())
    assert len(run) == len(matrix.RUN)
    assert not run & proven
    assert run | proven == whole


def test_every_proof_that_is_named_exists() -> None:
    for cell, test in matrix.PROVEN.items():
        path, *names = test.split("::")
        scope: ast.AST = ast.parse((ROOT / path).read_text())
        for name in names:
            # Children only: pytest does not find a test whose class is not named.
            found = [n for n in ast.iter_child_nodes(scope) if getattr(n, "name", None) == name]
            assert found, f"{cell}: {test} is not there"
            scope = found[0]
