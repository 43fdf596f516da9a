"""`make mutants`: change the code that carries the promises, and show what no test notices.

mutmut works in `mutants/` (what to change, and with which tests: pyproject.toml); this runs it and
prints killed and survived per module, then the survivors by name: `mutmut show NAME` shows one.
"""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GOAL = 95
#: mutmut's exit codes of a mutant that a test noticed: failed, ran out of time, or died.
NOTICED = {1, 3, 24, 36, -24, 152, 255, -11, -9}


def main(names: list[str]) -> int:
    """names: mutants or patterns of them ("backend.core.crypto*"); none for all."""
    subprocess.run([ROOT / ".venv/bin/mutmut", "run", *names], cwd=ROOT, check=False)
    survivors: list[str] = []
    total: Counter[str] = Counter()
    print(f"\n{'module':52} {'killed':>7} {'survived':>9}")
    for meta in sorted((ROOT / "mutants").rglob("*.py.meta")):
        codes = json.loads(meta.read_text())["exit_code_by_key"]
        run = {name: code for name, code in codes.items() if code is not None}
        alive = [name for name, code in run.items() if code not in NOTICED]
        if not run:
            continue
        module = str(meta.relative_to(ROOT / "mutants")).removesuffix(".meta")
        print(f"{module:52} {len(run) - len(alive):7} {len(alive):9}")
        total.update(killed=len(run) - len(alive), survived=len(alive))
        survivors += alive
    for name in survivors:
        print(f"survived: {name}")
    share = 100 * total["killed"] / max(1, total.total())
    print(f"{total['killed']} killed, {total['survived']} survived: {share:.1f} %, goal {GOAL} %")
    return 0 if share >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
