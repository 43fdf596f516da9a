"""What the architecture tests look at: the project's modules and who imports whom."""

import ast
import subprocess
from collections.abc import Set
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_HOLDS_STATEMENTS = (ast.stmt, ast.ExceptHandler, ast.match_case)
ROOMS = ("app.py", "pages", "auth", "backend")


@dataclass(frozen=True)
class Import:
    """One imported module. deferred: inside a function; typing_only: under `if TYPE_CHECKING`."""

    target: str
    line: int
    deferred: bool
    typing_only: bool


@dataclass(frozen=True)
class Module:
    """Parsed when a test first asks: those that only read the text need not wait for that."""

    name: str
    path: Path

    @property
    def place(self) -> str:
        return str(self.path.relative_to(ROOT))

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text(encoding="utf-8"), filename=str(self.path))

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        package = self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]
        return tuple(_imports(self.tree, package, modules().keys()))


@cache
def modules() -> dict[str, Module]:
    """Every module of the portal's own rooms, by dotted name."""
    files: list[Path] = []
    for room in ROOMS:
        path = ROOT / room
        files += [path] if path.is_file() else sorted(path.rglob("*.py"))
    return {_name(path): Module(_name(path), path) for path in files}


@cache
def tracked_files() -> tuple[Path, ...]:
    """Files in version control; without git, all files but the generated ones."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode == 0:
        names = [name for name in listed.stdout.decode().split("\0") if name]
        return tuple(ROOT / name for name in names if (ROOT / name).is_file())
    hidden = {".venv", ".git", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"}
    return tuple(
        path
        for path in ROOT.rglob("*")
        if path.is_file() and not hidden & set(path.relative_to(ROOT).parts)
    )


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(tree: ast.Module, package: str, known: Set[str]) -> list[Import]:
    found: list[Import] = []

    def visit(node: ast.AST, deferred: bool, typing_only: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend(Import(a.name, node.lineno, deferred, typing_only) for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            for target in _from_targets(node, package, known):
                found.append(Import(target, node.lineno, deferred, typing_only))
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.body:
                visit(child, deferred, True)
            for child in node.orelse:
                visit(child, deferred, typing_only)
            return
        inside = deferred or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, _HOLDS_STATEMENTS):  # an expression imports nothing
                visit(child, inside, typing_only)

    visit(tree, False, False)
    return found


def _from_targets(node: ast.ImportFrom, package: str, known: Set[str]) -> list[str]:
    base = node.module or ""
    if node.level:
        parents = package.split(".")
        kept = parents[: len(parents) - node.level + 1]
        base = ".".join([*kept, base] if base else kept)
    submodules = [f"{base}.{alias.name}" for alias in node.names]
    return [name if name in known else base for name in submodules]
