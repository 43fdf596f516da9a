"""No page can be opened past the sign-in gate.

Streamlit registers every script of a `pages` folder beside the main script until some session
calls st.navigation. So the main script lives inside `pages/`, and `app.py` is no script.
"""

import ast

import pytest

from tests.architecture.source import ROOT, modules

PAGES = sorted((ROOT / "pages").glob("*/page.py"))


def test_the_main_script_has_no_pages_folder_beside_it():
    assert not (ROOT / "pages" / "pages").exists()


def test_the_entry_is_no_script():
    drawing = [
        ast.unparse(node)
        for node in modules()["app"].tree.body
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    ]
    assert not drawing, f"app.py calls at module level, like a script would: {drawing}"
    assert "pages/portal.py" in (ROOT / "app.py").read_text()


def test_the_folder_holds_the_main_script_and_nothing_else():
    files = {path.name for path in (ROOT / "pages").glob("*.py")}
    assert files == {"__init__.py", "portal.py"}


def test_every_page_is_in_the_registry():
    registry = (ROOT / "pages" / "shell" / "registry.py").read_text()
    forgotten = [
        path.parent.name for path in PAGES if f'"{path.parent.name}/page.py"' not in registry
    ]
    assert not forgotten


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.parent.name)
def test_a_page_asks_its_guard_before_it_draws(path):
    tree = ast.parse(path.read_text())
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom):
            continue
        calls = [ast.unparse(n.func) for n in ast.walk(node) if isinstance(n, ast.Call)]
        if "guard.require" in calls:
            return
        drawn = [name for name in calls if name.split(".")[0] in ("st", "calls", "flash")]
        assert not drawn, f"{path.parent.name}:{node.lineno} {drawn[0]} runs before guard.require"
    pytest.fail(f"{path.parent.name} never calls guard.require at its top level")


def test_a_download_does_not_draw_its_page_anew():
    """The new run would forget the file that the click is about to ask for, and often first: the
    person gets "not found" instead of a file.
    """
    found = [
        (name, {each.arg: each.value for each in node.keywords})
        for name, module in modules().items()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("download_button")
    ]
    assert found, "no page offers a download"
    drawn = [
        name
        for name, given in found
        if ast.unparse(given.get("on_click", ast.Name(""))) != "'ignore'"
    ]
    assert not drawn, f'without on_click="ignore": {drawn}'
