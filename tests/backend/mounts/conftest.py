"""Every case of the pages on MariaDB, where the ledger lives; a fifth on each other database."""

import pytest

_REST = {"sqlite": 0, "postgresql": 3}
_EVERY = 5


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = [item for item in items if not _kept(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if _kept(item)]


def _kept(item: pytest.Item) -> bool:
    """The numbers of a case's filters and sort decide, so that each of them is in some case."""
    case = getattr(item, "callspec", None)
    if item.path.name != "test_explorer.py" or case is None or "filters" not in case.params:
        return True
    rest = _REST.get(case.params.get("filled", ""))
    if rest is None:
        return True
    number = case.indices["filters"] + case.indices.get("sort", 0)
    return number % _EVERY == rest
