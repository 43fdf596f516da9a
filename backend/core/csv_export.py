"""CSV files that a spreadsheet opens without running anything in them."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from backend.core import clock

#: A cell that starts with one of these is a formula to Excel, LibreOffice and Google Sheets.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
#: Where commas are decimal, spreadsheets separate by semicolon, and a quote behind a comma is none:
#: what stands behind a semicolon or a line's end is a cell of its own there.
_INSIDE = re.compile(r"([;\t\r\n] *)(?=[=+\-@＝＋－＠])")


def write(headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """One CSV text (RFC 4180, with a header line); every cell is harmless (ASVS 1.2.10)."""
    return "".join([line(headers), *(line(row) for row in rows)])


def line(cells: Sequence[Any]) -> str:
    """One line of it, for exports that are streamed."""
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerow([cell(value) for value in cells])
    return out.getvalue()


def cell(value: Any) -> str | int | float:
    """The value as a cell: numbers stay numbers, text that would be a formula gets a quote."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return value
    text = str(clock.iso(value) if isinstance(value, datetime) else value)
    text = _INSIDE.sub(r"\1'", text.replace("\0", ""))
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA_STARTS) else text
