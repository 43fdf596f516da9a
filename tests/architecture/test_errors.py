"""One tree of errors: each has a status the edges know, and a sentence of its own."""

import importlib

import pytest

from backend.core.errors import PortalError
from tests.architecture.source import modules
from tests.architecture.test_imports import room

#: What DESIGN 5.4 promises callers of the REST API, plus 413 (narrow your filters), 429 (locked
#: out for a while) and 500 (a failed job).
STATUSES = {400, 401, 403, 404, 409, 413, 422, 429, 500, 502, 503, 504}


def _tree(base: type[PortalError]) -> set[type[PortalError]]:
    found = {base}
    for child in base.__subclasses__():
        found |= _tree(child)
    return found


@pytest.fixture(scope="module")
def errors() -> list[type[PortalError]]:
    for name in modules():
        if room(name) and name.startswith("backend.") and name.rpartition(".")[2] == "errors":
            importlib.import_module(name)
    return sorted(_tree(PortalError), key=lambda error: error.__qualname__)


def test_every_error_has_a_status_the_edges_know(errors):
    wrong = [f"{e.__module__}.{e.__name__}: {e.status}" for e in errors if e.status not in STATUSES]
    assert not wrong


def test_every_error_says_what_happened(errors):
    """In a docstring, or by building its own message; families are described in core's tree."""
    silent = [
        f"{e.__module__}.{e.__name__}"
        for e in errors
        if not vars(e).get("__doc__")
        and "__init__" not in vars(e)
        and e.__module__ != "backend.core.errors"
    ]
    assert not silent, f"a docstring of one sentence is missing: {silent}"
