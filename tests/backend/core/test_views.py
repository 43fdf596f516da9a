"""What services hand out, made of rows; and their JSON documents."""

from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace

from typing_extensions import TypedDict

from backend.core.views import View, document, of_row

AT = datetime(2026, 1, 31, 8, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Pair:
    left: int
    right: int = 7


class Model(View):
    left: int
    said: str = "nothing"


class TestOfRow:
    def test_takes_what_bears_the_fields_names(self) -> None:
        row = SimpleNamespace(left=1, other=2)
        assert of_row(Pair, row) == Pair(1)
        assert of_row(Model, row) == Model(left=1)

    def test_what_is_given_wins_over_the_row(self) -> None:
        row = SimpleNamespace(left=1, right=2, said="of the row")
        assert of_row(Pair, row, right=3) == Pair(1, 3)
        assert of_row(Model, row, said="given") == Model(left=1, said="given")


class _Answer(TypedDict):
    runId: str
    startedAt: str | None
    parts: list[str]
    word: str


class TestDocument:
    def test_has_just_the_keys_of_its_shape(self) -> None:
        source = SimpleNamespace(run_id="r", started_at=AT, parts=("a",), word="w", secret="s")
        expected = {"runId": "r", "startedAt": "2026-01-31T08:00:00Z", "parts": ["a"], "word": "w"}
        assert document(_Answer, source) == expected

    def test_what_is_given_wins_and_is_not_asked_of_the_source(self) -> None:
        source = SimpleNamespace(started_at=None, parts=(), word="w")
        assert document(_Answer, source, runId="given")["runId"] == "given"

    def test_asks_its_parts_for_theirs(self) -> None:
        part = SimpleNamespace(document=lambda: "a part")
        source = SimpleNamespace(run_id="r", started_at=None, parts=(part,), word=part)
        found = document(_Answer, source)
        assert (found["parts"], found["word"]) == (["a part"], "a part")
