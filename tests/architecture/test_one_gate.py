"""A job knows one call of change control, `gate.check`, and how the approved is carried out."""

import ast

import pytest

from tests.architecture.source import Module, modules

JOBS = ("user_sync", "mounts", "tokenization", "ingestion")
#: How approved changes are carried out and previewed; composition gathers these.
CARRIES_OUT = "changes"
#: Lists that say of each row what waits for it; they decide nothing by it.
SHOWS = {"backend.tokenization.worklist": {"waiting_for"}}


def _of(job: str) -> list[Module]:
    found = [each for each in modules().values() if each.name.startswith(f"backend.{job}.")]
    assert found
    return [each for each in found if each.name != f"backend.{job}.{CARRIES_OUT}"]


def _aliases(module: Module) -> set[str]:
    """Under which names a module uses something of backend.changes."""
    return {
        name.asname or name.name
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("backend.changes")
        for name in node.names
    }


def _used(module: Module) -> list[str]:
    aliases = _aliases(module)
    return [
        node.attr
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in aliases
    ]


@pytest.mark.parametrize("job", JOBS)
def test_a_job_asks_the_gate_and_knows_no_more_of_approvals(job: str) -> None:
    asks = 0
    for module in _of(job):
        used = _used(module)
        allowed = {"check", "Intent"} | SHOWS.get(module.name, set())
        assert set(used) <= allowed, module.place
        assert used.count("check") <= 1, f"{module.place} asks in more than one place"
        asks += used.count("check")
    assert asks, "its actions are under no policy"


@pytest.mark.parametrize("job", JOBS)
def test_nothing_of_a_job_reads_requests_or_policies_from_the_database(job: str) -> None:
    for module in _of(job):
        imported = {each.target for each in module.imports}
        assert not {each for each in imported if each.startswith("backend.models.changes")}
