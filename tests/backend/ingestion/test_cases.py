"""Targets and recipes as people write them, from a table of cases with their right answers."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from backend.core.database import Database
from backend.ingestion import recipes, targets

CASES = yaml.safe_load(Path(__file__).with_name("cases.yaml").read_text())


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind, names in CASES["targets_valid"].items() for name in names],
)
def test_a_target_is_taken(kind: str, name: str) -> None:
    assert targets.parse(name) == targets.Target(kind, name)


@pytest.mark.parametrize("name", CASES["targets_refused"])
def test_a_target_is_refused(name: str) -> None:
    with pytest.raises(targets.BadTarget):
        targets.parse(name)


@pytest.mark.parametrize("name", CASES["job_properties_refused"])
def test_a_job_property_that_is_no_arn_is_no_function(name: str) -> None:
    with pytest.raises(targets.BadTarget, match="is no ARN"):
        targets.of_job(name)


@pytest.mark.parametrize(("text", "asked"), CASES["recipes"].items())
def test_a_recipe_asks_for_what_nobody_else_gives(
    database: Database,
    tmp_path: Path,
    actors: SimpleNamespace,
    text: str,
    asked: dict[str, str | None],
) -> None:
    recipe = {"source": {"type": "file", "config": {"path": text}}}
    (tmp_path / "r.yml").write_text(yaml.safe_dump(recipe))
    with database.read() as session:
        [view] = recipes.list_recipes(session, actors.operator, folder=tmp_path)
    assert (view.problem, dict(view.asked)) == ("", asked)
