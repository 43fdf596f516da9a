"""The fault matrix as a table: `python -m benchmarks.faults [--all] [--markdown FILE]`.

Runs tests/faults and prints one row per cell: what the person saw, what was stored. Cells that
another room's test proves are named; `--all` runs those too. Exits 1 when any cell is wrong.

    python -m benchmarks.faults killed [--times 20]                   kill -9 during jobs' writes
    python -m benchmarks.faults kills [--workers 3] [--kills 20]      workers die (_kills.py)
    python -m benchmarks.faults soak [--seconds 600] [--people 50]    hours in minutes (_soak.py)
    python -m benchmarks.faults bodies [--slow 300] [--rate 100]      bodies that do not come
"""

import argparse
import math
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from benchmarks import _bodies, _kills, _soak
from tests.faults import matrix
from tests.faults.matrix import Cell

ROOT = Path(__file__).resolve().parent.parent


class Collector:
    """Keeps what the cells' tests told, and the tests that failed."""

    def __init__(self) -> None:
        self.told: dict[Cell, tuple[str, str]] = {}
        self.failed: set[str] = set()
        self.passed: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid.split("[")[0]
        if report.failed:
            self.failed.add(name)
        if report.when != "call" or not report.passed:
            return
        self.passed.add(name)
        for key, value in report.user_properties:
            if key == "cell":
                job, system, fault, sees, stored = value  # type: ignore[misc]
                self.told[Cell(job, system, fault)] = (sees, stored)  # type: ignore[has-type]


def main() -> int:
    if sys.argv[1:2] and sys.argv[1] in _OTHERS:
        return _OTHERS[sys.argv[1]](sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all", action="store_true", help="run the other rooms' proofs too")
    parser.add_argument("--markdown", type=Path, help="write the table into this file's marks")
    wanted = parser.parse_args()
    tests = [str(ROOT / "tests" / "faults")]
    if wanted.all:
        tests += [str(ROOT / test) for test in sorted(set(matrix.PROVEN.values()))]
    collector = Collector()
    pytest.main(["-q", "--no-header", "--tb=line", *tests], plugins=[collector])
    rows = [(cell, *_row(cell, collector, wanted.all)) for cell in matrix.all_cells()]
    print(_text(rows))
    if wanted.markdown:
        _write(wanted.markdown, rows)
    wrong = [row for row in rows if row[1] in ("WRONG", "NOT RUN")]
    print(f"\n{len(rows)} cells, {len(rows) - len(wrong)} right, {len(wrong)} wrong.")
    if collector.failed:
        print("Failed: " + ", ".join(sorted(collector.failed)))
    return 1 if wrong or collector.failed else 0


def _row(cell: Cell, collector: Collector, ran_all: bool) -> tuple[str, str, str]:
    """How the cell stands, what the person sees, what is stored."""
    test = matrix.PROVEN.get(cell)
    if test is None:
        if cell in collector.told:
            return ("right", *collector.told[cell])
        return ("WRONG", "", "its test failed or did not run")
    if test in collector.failed:
        return ("WRONG", "", test)
    if ran_all:
        return ("right" if test in collector.passed else "NOT RUN", "", test)
    return ("proven", "", test)


def _text(rows: list[Any]) -> str:
    lines, job = [], ""
    for cell, state, sees, stored in rows:
        if cell.job != job:
            job = cell.job
            lines.append(f"\n{job.upper()}")
        lines.append(f"  {cell.system:<15}{cell.fault:<10}{state:<8}{sees or stored}")
        if sees:
            lines.append(f"  {'':<33}→ {stored}")
    return "\n".join(lines)


BEGIN, END = "<!-- table -->\n", "<!-- /table -->\n"


def _write(path: Path, rows: list[Any]) -> None:
    lines = [
        "| Job | System | Fault | What the person sees | What is stored |",
        "|---|---|---|---|---|",
    ]
    for cell, state, sees, stored in rows:
        proof = f"{state}: `{stored.split('/')[-1]}`" if not sees else stored
        said = sees.replace("|", "\\|").replace("<", "&lt;") or "see the test"
        lines.append(f"| {cell.job} | {cell.system} | {cell.fault} | {said} | {proof} |")
    before, _, rest = path.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    path.write_text(before + BEGIN + "\n".join(lines) + "\n" + END + after)


def _numbers(arguments: list[str], **defaults: int) -> dict[str, int]:
    parser = argparse.ArgumentParser()
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    return vars(parser.parse_args(arguments))


class _Repeated:
    """Each proof as often as it takes to kill `times` times at least; counts what it killed."""

    def __init__(self, times: int) -> None:
        self._times = times
        self.ends: dict[str, list[str]] = {}
        self.kills: Counter[str] = Counter()

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Each case of a proof kills once, or as often as its mark `kills` says. Those of
        tests/faults without one die at every moment there is, more than often enough."""
        cases = [mark.args[1] for mark in metafunc.definition.iter_markers("parametrize")]
        mark = metafunc.definition.get_closest_marker("kills")
        each = math.prod(map(len, cases)) * (mark.args[0] if mark else 1)
        if metafunc.module.__name__.startswith("tests.faults.") and not mark:
            each = self._times
        metafunc.fixturenames.append("time_of_killing")
        metafunc.parametrize("time_of_killing", range(math.ceil(self._times / each)))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid.split("[")[0]
        if report.when == "call" or not report.passed:
            self.ends.setdefault(name, []).append(report.outcome)
        if report.when == "call":
            told = [value for key, value in report.user_properties if key == "kills"]
            self.kills[name] += sum(told) if told else 1  # type: ignore[arg-type]  # tell() put ints


def _killed_main(arguments: list[str]) -> int:
    """The proofs of the cells `killed`: each kill meets another moment."""
    times = _numbers(arguments, times=20)["times"]
    repeated = _Repeated(times)
    proofs = {cell: test for cell, test in matrix.PROVEN.items() if cell.fault == "killed"}
    tests = [str(ROOT / test) for test in sorted(set(proofs.values()))]
    pytest.main(["-q", "-n0", "--no-header", "--tb=short", *tests], plugins=[repeated])
    bad = 0
    for cell, test in proofs.items():
        ends, kills = repeated.ends.get(test, []), repeated.kills[test]
        bad += kills < times or set(ends) != {"passed"}
        print(f"{cell.job:<18}{kills} kills, {ends.count('passed')} of {len(ends)} right ({test})")
    return 1 if bad else 0


def _kills_main(arguments: list[str]) -> int:
    outcome = _kills.run(**_numbers(arguments, workers=3, kills=20))
    print(_kills.text(outcome))
    return 1 if outcome.problems else 0


def _soak_main(arguments: list[str]) -> int:
    return _soak.soak(**_numbers(arguments, seconds=600, people=50))


def _bodies_main(arguments: list[str]) -> int:
    return _bodies.bodies(**_numbers(arguments, slow=300, rate=100, seconds=10))


_OTHERS = {"killed": _killed_main, "kills": _kills_main, "soak": _soak_main, "bodies": _bodies_main}


if __name__ == "__main__":
    sys.exit(main())
