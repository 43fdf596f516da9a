"""What every list of the portal shows in the same way: states as coloured chips, and its CSV."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import streamlit as st

from backend.core import csv_export
from pages.shared import status


def states(label: str, words: Sequence[str]) -> Any:
    """The column of a status: a chip in the colour that the word has everywhere.

    words: every status that can stand in it. The cells are made by `chips`.
    """
    return st.column_config.MultiselectColumn(
        label,
        options=list(words),
        color=[status.COLOURS[status.colour(word)] for word in words],
    )


def chips(words: Iterable[str]) -> list[list[str]]:
    """The cells of such a column."""
    return [[word] for word in words]


def download(
    name: str, headers: Sequence[str], rows: Callable[[], Iterable[Sequence[Any]]], *, key: str
) -> None:
    """ "Download CSV" of a list: what the filters find, read when it is pressed.

    name: of the file, without its ending. rows: bounded by the one who brings them.
    """
    st.download_button(
        "Download CSV",
        data=lambda: csv_export.write(headers, rows()).encode(
            "utf-8-sig"
        ),  # Excel asks for the mark
        file_name=f"{name}.csv",
        mime="text/csv",
        icon=":material/download:",
        key=key,
        on_click="ignore",
    )
