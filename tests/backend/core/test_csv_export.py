"""CSV: whatever a cell holds, it comes back as text and runs nowhere."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.core import csv_export

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=60)


class TestWrite:
    @given(st.lists(st.lists(TEXT, min_size=2, max_size=2), max_size=8))
    def test_every_row_comes_back_and_no_cell_starts_a_formula(self, rows: list[list[str]]) -> None:
        text = csv_export.write(["a", "b"], rows)
        back = list(csv.reader(io.StringIO(text, newline="")))
        assert len(back) == len(rows) + 1
        for given_row, read_row in zip(rows, back[1:], strict=True):
            for value, cell in zip(given_row, read_row, strict=True):
                assert cell.replace("'", "") == value.replace("'", "")
                assert not cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


class TestCell:
    @pytest.mark.parametrize("value", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "  =1", "＝1"])
    def test_a_formula_gets_a_quote(self, value: str) -> None:
        cell = str(csv_export.cell(value))
        assert cell.startswith("'")
        assert cell.replace("'", "") == value

    @pytest.mark.parametrize("value", ["a;=1+1", "a; @x", "a\n=1+1", "a\r\n-1", "a\t+1", ";=1;=2"])
    def test_nor_is_one_where_the_semicolon_separates(self, value: str) -> None:
        text = csv_export.write(["a", "b"], [["x", value]])
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=";", quoting=csv.QUOTE_NONE):
            for cell in row:
                assert not cell.lstrip(" \t").startswith(("=", "+", "-", "@")), text

    @pytest.mark.parametrize(
        ("value", "cell"), [(-5, -5), (1.5, 1.5), (None, ""), (True, "true"), ("a=b", "a=b")]
    )
    def test_everything_else_stays_as_it_is(self, value: object, cell: object) -> None:
        assert csv_export.cell(value) == cell
