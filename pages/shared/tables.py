"""The one table of the portal: coloured states, relative times, a row that opens, its CSV.

In a window as narrow as a phone's its rows are cards (`pages.shared.cards`).
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from typing import Any, Literal, TypedDict, TypeVar, Unpack

import pyarrow as pa
import streamlit as st

from auth import current as browser
from backend.core import csv_export
from backend.core.words import STATUS_COLOURS
from pages.shared import cards, rows, status, times
from pages.shell import calls

T = TypeVar("T")
Id = TypeVar("Id", bound=Hashable)

#: Pixels of a row and of the header at the theme's font size, and the rows that a list shows at
#: most without a scroll bar of its own: with what stands above and below it, a window of 900.
_LINE, _SHOWN = 31, 16
#: Rows of a list that one "Download CSV" may read; a longer one is the command line's.
EXPORTED = 5_000
#: Of an empty page that is not the last one, see backend/core/newest.py.
SEARCH_ON = "None of the newest ones fits these filters. The button below looks through older ones."


class Look(TypedDict, total=False):
    """How a list is drawn.

    title: the column that names a row on a card, else the first. states: the columns that hold a
    status word. hidden: columns that only the CSV has. optional:
    columns that are hidden while they say nothing, for long names need the room. file: the name of
    the CSV without its ending, none without it. everything: the items of the CSV when they are more
    than those drawn, called when the button is pressed. config, placeholder: of `st.dataframe`.
    ticks: any number of rows can be ticked; which, the key's selection says. height: "content"
    draws every row, without a scroll bar of its own. foot: draws what stands on the line of
    "Download CSV", such as the way to the other pages.
    """

    title: str
    states: Collection[str]
    hidden: Collection[str]
    optional: Collection[str]
    file: str
    everything: Callable[[], Iterable[Any]]
    config: Mapping[str, Any]
    placeholder: str
    ticks: bool
    height: Literal["auto", "content"]
    foot: Callable[[], None]


Row = Callable[[T], Mapping[str, Any]]


def show(items: Sequence[T], row: Row[T], *, key: str, alt: str, **look: Unpack[Look]) -> None:
    """Draw a list that nothing is chosen from, and below it a line with "Download CSV".

    row: an item as column → value; instants are drawn as relative times. alt: the list in a few
    words, for those who cannot see it.
    """
    if browser.narrow():
        _cards(items, row, key, look)
    else:
        ticks = {"on_select": "rerun", "selection_mode": "multi-row"} if look.get("ticks") else {}
        _draw(items, row, key, alt, look, **ticks)
    _foot(items, row, key, look)


def choose(
    items: Sequence[T],
    row: Row[T],
    *,
    id_of: Callable[[T], Id],
    current: Id | None,
    key: str,
    alt: str,
    **look: Unpack[Look],
) -> Id | None:
    """Like `show`, with rows that open: returns the id of the open one.

    current: the open one so far: what the address names, or `remembered`.
    """
    ids = [id_of(item) for item in items]
    if browser.narrow():
        pressed = st.session_state.pop(f"{key}.pressed", None)
        opened = current if pressed is None else None if pressed == current else pressed
        _cards(
            items, row, key, look, lambda at: st.session_state.update({f"{key}.pressed": ids[at]})
        )
    else:
        opened = rows.opened(ids, current, key=key)
        alt += "; Shift and Space open a row"
        _draw(items, row, key, alt, look, on_select="rerun", selection_mode="single-row")
    _foot(items, row, key, look)
    st.session_state[f"{key}.open"] = opened
    return opened


def remembered(key: str) -> Any:
    """The open row of a table whose choice no address names."""
    return st.session_state.get(f"{key}.open")


def walk(load: Callable[[Any], tuple[Sequence[T], Any]], *, most: int = EXPORTED) -> Iterator[T]:
    """The items of a paged list for its CSV, at most `most` of them.

    load: a cursor, None for the first page → its items and the cursor of the next page or None.
    """
    cursor, left = None, most
    while left > 0:
        items, cursor = load(cursor)
        yield from items[:left]
        left -= len(items)
        if cursor is None:
            return


def every_page(function: Callable[..., Any], by: str = "cursor", /, **asked: Any) -> Iterator[Any]:
    """What a service's paged list has, for its CSV. by: its parameter for the cursor."""

    def load(cursor: Any) -> tuple[Sequence[Any], Any]:
        page = calls.fetch(function, **asked, **({} if cursor is None else {by: cursor}))
        return page.items, page.next_cursor

    return walk(load)


def foot() -> "st.delta_generator.DeltaGenerator":
    """The one line below a list: "Download CSV", how many there are, the other pages."""
    return st.container(horizontal=True, vertical_alignment="center", gap="small")


def download(
    name: str, headers: Sequence[str], rows: Callable[[], Iterable[Sequence[Any]]], *, key: str
) -> None:
    """ "Download CSV" of what is not drawn with `show`: rows are read when it is pressed.

    name: of the file, without its ending. rows: bounded by the one who brings them.
    """
    download_text(name, lambda: csv_export.write(headers, rows()), key=key)


def download_text(name: str, text: Callable[[], str], *, key: str, help: str | None = None) -> None:
    """ "Download CSV" of a text that a service makes when it is pressed."""
    st.download_button(
        "Download CSV",
        data=lambda: text().encode("utf-8-sig"),  # Excel asks for the mark
        file_name=f"{name}.csv",
        mime="text/csv",
        icon=":material/download:",
        key=key,
        help=help,
        on_click="ignore",
    )


def _cards(
    items: Sequence[T],
    row: Row[T],
    key: str,
    look: Look,
    opens: Callable[[int], None] | None = None,
) -> None:
    lines = [row(item) for item in items]
    hidden = look.get("hidden", ())
    lines = [{name: line[name] for name in line if name not in hidden} for line in lines]
    shape: dict[str, Any] = {"states": look.get("states", ()), "config": look.get("config", {})}
    title = look.get("title", "")
    if look.get("ticks"):
        cards.ticked(lines, key=key, title=title, **shape)
    else:
        cards.draw(lines, key=key, title=title, opens=opens, **shape)


def _draw(
    items: Sequence[T], row: Row[T], key: str, alt: str, look: Look, **selection: Any
) -> None:
    lines = [row(item) for item in items]
    cells = {name: [line[name] for line in lines] for name in (lines[0] if lines else ())}
    for name in look.get("optional", ()):
        if name in cells and not any(cells[name]):
            del cells[name]
    for name in look.get("hidden", ()):
        cells.pop(name, None)
    columns = {name: times.column(name) for name in cells if _holds_times(cells[name])}
    for name in look.get("states", ()):
        columns[name] = _chips(name)
        cells[name] = [[word.replace("_", " ")] if word else [] for word in cells.get(name, ())]
    st.dataframe(
        # A table of pandas takes three times as long to make and to send.
        pa.table({name: _column(each) for name, each in cells.items()}),
        hide_index=True,
        width="stretch",
        key=key,
        alt=alt,
        placeholder=look.get("placeholder", "–"),
        height=height(len(lines), whole=look.get("height") == "content"),
        column_config={**columns, **look.get("config", {})},
        **selection,
    )


def height(count: int, *, whole: bool = True) -> int:
    """Pixels of a table with so many rows, known before the browser has the code that draws it:
    what stands below never moves. whole: without a scroll bar of its own."""
    shown = count if whole else min(count, _SHOWN)
    return _LINE * (1 + max(1, shown)) + 3  # an empty one says so in a row


def _column(cells: Sequence[Any]) -> Any:
    """The cells as an Arrow array; of values that have no type in common the text."""
    try:
        return pa.array(cells)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError):  # the last: half a character
        texts = [None if cell is None else str(cell) for cell in cells]
        return pa.array([text and text.encode(errors="replace").decode() for text in texts])


def _holds_times(cells: Sequence[Any]) -> bool:
    return any(isinstance(cell, datetime) for cell in cells)


def _chips(label: str) -> Any:
    """The column of a status: a chip in the colour that the word has everywhere."""
    return st.column_config.MultiselectColumn(
        label,
        options=[word.replace("_", " ") for word in STATUS_COLOURS],
        color=[status.COLOURS[status.colour(word)] for word in STATUS_COLOURS],
    )


def _foot(items: Sequence[T], row: Row[T], key: str, look: Look) -> None:
    everything = look.get("everything", lambda: items)

    def text() -> str:
        lines = [row(item) for item in everything()]
        headers = list(lines[0]) if lines else []
        return csv_export.write(headers, ([_cell(v) for v in line.values()] for line in lines))

    file, beside = look.get("file"), look.get("foot")
    if not (file or beside):
        return
    with foot() if beside else nullcontext():
        if file:
            download_text(file, text, key=f"{key}.csv")
        if beside:
            beside()


def _cell(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
