"""The portal's section in a dataset's documentation, and people's text around it."""

from datetime import UTC, datetime

import pytest

from backend.tokenization import documentation
from backend.tokenization.documentation import HEADING, LAST_LINE, with_section
from backend.tokenization.schemas import ColumnChoice, RunState, RunView, Trigger, WriteBackState

NEW = f"{HEADING}\n\n- new\n\n{LAST_LINE}"
OLD = f"{HEADING}\n\n- old\n\n{LAST_LINE}"


def view(**more: object) -> RunView:
    given = {
        "id": 7,
        "dataset": "urn:li:dataset:(urn:li:dataPlatform:postgres,a.b.c,PROD)",
        "environment": "prod",
        "engine": "postgres",
        "table": "a.b.c",
        "state": RunState.SUCCEEDED,
        "trigger": Trigger.PAGE,
        "columns": (ColumnChoice("email", "tag"),),
        "scheme": "hmac-sha256",
        "rows_scanned": 1000,
        "rows_updated": 10,
        "details": "10 of 1,000 rows were changed.",
        "actor": "ann",
        "job_id": 1,
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
        "started_at": datetime(2026, 1, 1, 12, tzinfo=UTC),
        "finished_at": None,
        "write_back": WriteBackState.PENDING,
        "write_back_details": "",
        "write_back_at": None,
        **more,
    }
    return RunView(**given)  # type: ignore[arg-type]


class TestWithSection:
    def test_into_nothing(self) -> None:
        assert with_section("", NEW) == NEW

    def test_below_what_people_wrote(self) -> None:
        assert with_section("# Ours\n\nText.\n", NEW) == f"# Ours\n\nText.\n\n{NEW}"

    def test_in_place_of_the_old_one_with_text_on_both_sides(self) -> None:
        assert with_section(f"before\n\n{OLD}\n\nafter", NEW) == f"before\n\n{NEW}\n\nafter"

    def test_twice_is_once(self) -> None:
        once = with_section("text", NEW)

        assert with_section(once, NEW) == once

    def test_a_copy_of_the_section_goes(self) -> None:
        assert with_section(f"{OLD}\n\nmiddle\n\n{OLD}", NEW).count(HEADING) == 1

    @pytest.mark.parametrize(
        "edited",
        [
            OLD.replace(HEADING, "### Tokenization "),
            OLD.replace(LAST_LINE, LAST_LINE.replace("_", "*")),
            OLD.replace(LAST_LINE, LAST_LINE.replace("_", "\\_")),
            OLD.replace("\n", "\r\n"),
            OLD.replace("- old", "- old\n- a person's line"),
        ],
    )
    def test_an_editor_that_rewrites_markdown_does_not_double_it(self, edited: str) -> None:
        after = with_section(f"before\n\n{edited}\n\nafter", NEW)

        assert after == f"before\n\n{NEW}\n\nafter"

    def test_a_persons_own_heading_of_that_name_is_left_alone(self) -> None:
        text = "## Tokenization\n\nWe do this because of the audit."

        assert with_section(text, NEW) == f"{text}\n\n{NEW}"
        assert with_section(f"{text}\n\n{OLD}", NEW) == f"{text}\n\n{NEW}"


class TestSection:
    def test_says_what_happened(self) -> None:
        text = documentation.section(view(), "https://portal.example.org")

        assert text.startswith(HEADING)
        assert text.endswith(LAST_LINE)
        assert "- Rows: 1,000 scanned, 10 updated" in text
        assert "- Started: 2026-01-01 12:00:00 UTC" in text
        assert "[7](https://portal.example.org/tokenization?run=7)" in text

    def test_hostile_names_are_text(self) -> None:
        text = documentation.section(
            view(
                columns=(ColumnChoice("a`b\n# x", ""),),
                actor="<script>[x](javascript:1)",
                details="a\n## Tokenization\nb",
            ),
            "https://p",
        )

        assert "<script>" not in text
        assert "[x](javascript" not in text
        assert text.count("\n## ") == 0
        assert with_section(text, NEW) == NEW
