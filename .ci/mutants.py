"""`make mutants`: change the code that carries the promises, and show what no test notices.

Each module is changed one place at a time by mutmut, in a copy of the tree below `mutants/`, and
its own tests are asked: asking all of them for every change would take days. On servers they are
asked where one is named (TEST_POSTGRES_URL, TEST_MARIADB_URL): else each change would start its
own. Prints killed and survived per module, and every survivor as a difference;
benchmarks/MUTANTS.md says why those that are left are the same program.
"""

import ast
import difflib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "mutants"
GOAL = 95
#: mutmut's exit codes of a mutant that a test noticed: failed, ran out of time, or died.
NOTICED = {1, 3, 24, 36, -24, 152, 255, -11, -9}
#: Parts of the names of tests that need a server, by the variable that names one.
SERVERS = {"TEST_POSTGRES_URL": ["postgres"], "TEST_MARIADB_URL": ["mariadb", "mysql"]}

#: What is changed, below backend/, and who must notice, below tests/backend/.
MODULES = {
    "connections/resolve.py": ["connections/test_resolve.py", "connections/test_environments.py"],
    "core/access.py": ["core/test_access.py"],
    "core/audit.py": [
        "core/test_audit.py",
        "core/test_audit_walks.py",
        "core/test_audit_witnesses.py",
        "test_retention.py",
    ],
    "core/crypto.py": ["core/test_crypto.py", "core/test_private.py"],
    "core/secret_store.py": ["core/test_secret_store.py", "core/test_startup.py"],
    "ingestion/resolve.py": [
        "ingestion/test_resolve.py",
        "ingestion/test_resolution_said.py",
        "ingestion/test_mapping.py",
    ],
    "jobs/recovery.py": ["jobs/test_recovery.py"],
    "mounts/paging.py": ["mounts/test_explorer.py"],
    "sandbox/datahub/patch.py": ["sandbox/datahub/test_patch.py", "sandbox/datahub/test_server.py"],
    "tokenization/tokens.py": [
        "tokenization/test_tokens.py",
        "tokenization/test_schemes.py",
        "tokenization/test_reversible.py",
        "tokenization/test_near_tokens.py",
    ],
    "user_sync/matching.py": [
        "user_sync/test_matching.py",
        "user_sync/test_matching_more.py",
        "user_sync/test_matching_rows.py",
    ],
    "user_sync/writing.py": ["user_sync/test_writing.py", "user_sync/test_writing_outcomes.py"],
}


def copied(module: str, tests: list[str]) -> Path:
    """A copy of the tree whose mutmut changes this module alone."""
    folder = WORK / module.removesuffix(".py").replace("/", ".")
    shutil.rmtree(folder, ignore_errors=True)
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    contracts = ROOT.parent / "shared"  # where the tests look for them, if they are here
    if contracts.is_dir():
        (folder / "shared").symlink_to(contracts)
    absent = [part for name, parts in SERVERS.items() if name not in os.environ for part in parts]
    arguments = [f"tests/backend/{test}" for test in tests]
    if absent:
        arguments += ["-k", " and ".join(f"not {part}" for part in absent)]
    settings = folder / "pyproject.toml"
    settings.write_text(
        settings.read_text().replace(
            "[tool.mutmut]\n",
            "[tool.mutmut]\n"
            f"only_mutate = {json.dumps([f'backend/{module}'])}\n"
            "pytest_add_cli_args_test_selection = "
            f"{json.dumps(arguments)}\n",
        )
    )
    return folder


def survivors(folder: Path, module: str) -> tuple[int, dict[str, str]]:
    """How many mutants there were, and of those that live the difference by their name."""
    mutated = folder / "mutants" / "backend" / module
    codes = json.loads(mutated.with_name(mutated.name + ".meta").read_text())["exit_code_by_key"]
    if None in codes.values():
        raise SystemExit(f"{module}: mutmut ended before all were tried; its output is above.")
    text = mutated.read_text()
    sources = {
        node.name: ast.get_source_segment(text, node) or ""
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef)
    }
    alive = {}
    for name, code in codes.items():
        if code not in NOTICED:
            mutant = name.rpartition(".")[2]
            before = sources[mutant.rpartition("__mutmut_")[0] + "__mutmut_orig"]
            lines = difflib.ndiff(before.splitlines()[1:], sources[mutant].splitlines()[1:])
            alive[name] = "\n".join(line for line in lines if line[:2] in ("- ", "+ "))
    return len(codes), alive


def main(wanted: list[str]) -> int:
    """wanted: parts of modules' names ("core/crypto"); none for all."""
    low = 0
    for module, tests in MODULES.items():
        if wanted and not any(part in module for part in wanted):
            continue
        folder = copied(module, tests)
        ran = subprocess.run(
            [ROOT / ".venv/bin/mutmut", "run"],
            cwd=folder,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if ran.returncode:
            print(ran.stdout)
        total, alive = survivors(folder, module)
        share = 100 * (total - len(alive)) / total
        low += share < GOAL
        print(f"{module:26} {total:4} mutants, {len(alive):3} survived: {share:.1f} % killed")
        for name, difference in alive.items():
            print(f"  {name}\n{difference}", flush=True)
    print(f"Goal: {GOAL} % of each module. `mutmut show NAME` in the module's folder in {WORK}.")
    return 1 if low else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
