"""The claim of docs/tokenization.md on six public schemas, without the peer."""

from pathlib import Path

import pytest

from benchmarks import detection
from benchmarks.detection import Column


@pytest.fixture(scope="module")
def columns() -> list[Column]:
    return detection.public_schemas()


def test_recall_and_precision_on_the_public_schemas(columns: list[Column], data_dir: Path) -> None:
    score = detection.score(columns, detection.ours(columns)[0])

    assert score.recall >= detection.RECALL, score
    assert score.precision >= detection.PRECISION, score


def test_what_is_only_possible_is_still_shown(columns: list[Column], data_dir: Path) -> None:
    likely, shown = detection.ours(columns)
    kept = {
        (column.table, column.name)
        for column, said, seen in zip(columns, likely, shown, strict=True)
        if seen and not said
    }

    assert ("hr.employees", "email") in kept


def test_names_alone_are_enough_for_most(columns: list[Column], data_dir: Path) -> None:
    bare = [Column(c.source, c.table, c.name, c.personal, ()) for c in columns]

    assert detection.score(bare, detection.ours(bare)[0]).precision >= detection.PRECISION
