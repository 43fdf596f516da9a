"""What only a terminal gets: colours, a progress bar, a list drawn again and again.

Piped into a file or another program, the same output is plain text. NO_COLOR and TERM=dumb are
obeyed.
"""

import io
import os
import shutil
import sys
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from backend.core import clock
from backend.core.errors import InvalidInput
from backend.core.words import STATUS_COLOURS

WATCH_SECONDS = 2.0
#: A page's colours as a terminal names them.
_COLOURS = {
    "green": "green",
    "blue": "blue",
    "orange": "yellow",
    "red": "red",
    "violet": "magenta",
    "gray": "bright_black",
}


def table(headers: list[str], rows: list[list[Any]]) -> str:
    """Columns for people; times to the second, None as nothing.

    At a terminal headings are bold and status words have the colours of the pages; elsewhere
    columns are aligned by spaces and nothing else.
    """
    cells = [[_cell(cell) for cell in row] for row in rows]
    if coloured():
        return _drawn(headers, cells)
    cells.insert(0, headers)
    widths = [max(len(row[i]) for row in cells) for i in range(len(headers))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )


def coloured() -> bool:
    """Whether stdout is a terminal whose owner wants colours."""
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return wanted and sys.stdout.isatty()


def _drawn(headers: list[str], cells: list[list[str]]) -> str:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(*headers, box=None, header_style="bold", pad_edge=False)
    for row in cells:
        drawn.add_row(*(Text(cell, style=_style(cell)) for cell in row))
    out = io.StringIO()
    width = shutil.get_terminal_size().columns
    Console(file=out, force_terminal=True, color_system="standard", width=width).print(drawn)
    return out.getvalue().rstrip("\n")


def _style(cell: str) -> str:
    word = cell.replace(" ", "_")
    return _COLOURS.get(STATUS_COLOURS.get(cell) or STATUS_COLOURS.get(word, ""), "")


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        value = clock.to_the_second(value)
    return "" if value is None else str(value)


class Progress:
    """A bar on stderr while long work goes on, at a terminal only."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
            self._bar = Bar(*columns, TimeElapsedColumn(), console=Console(stderr=True))
            self._task = self._bar.add_task("", total=None)
            self._bar.start()

    def progress(self, done: int, total: int | None = None, *, note: str = "") -> None:
        if self._bar is not None:
            from rich.markup import escape

            self._bar.update(self._task, completed=done, total=total, description=escape(note[:60]))

    def check_cancelled(self) -> None:
        """Control-C stops it."""

    def end(self) -> None:
        if self._bar is not None:
            self._bar.stop()


def watched(draw: Callable[[], str], watch: bool) -> str:
    """What `draw` gives; with `watch` it is drawn again and again until Ctrl-C, then once more.

    Raises InvalidInput where stdout is no terminal: a file would grow without an end.
    """
    if not watch:
        return draw()
    if not sys.stdout.isatty():
        raise InvalidInput("--watch needs a terminal. Leave it out to print the list once.")
    from rich.live import Live
    from rich.text import Text

    def now() -> Text:
        return Text.from_ansi(draw())

    try:
        with Live(now(), screen=True, auto_refresh=False) as live:
            while True:
                time.sleep(WATCH_SECONDS)
                live.update(now(), refresh=True)
    except KeyboardInterrupt:
        return draw()
