"""A list in a window as narrow as a phone's: a card for each row, as wide as the window.

Drawn by `pages.shared.tables` in place of a table, which would have to be pushed sideways.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

import pandas as pd
import streamlit as st

from pages.shared import status, times
from pages.shell.errors import escape

#: Cards that are drawn at first and with each "Show more".
STEP = 25
Line = Mapping[str, Any]
Config = Mapping[str, Any]
#: Kinds of columns that a card leaves out.
_PICTURES = {"image", "bar_chart", "line_chart", "area_chart"}


def draw(
    lines: Sequence[Line],
    *,
    key: str,
    title: str,
    states: Collection[str],
    config: Config,
    opens: Callable[[int], None] | None = None,
) -> None:
    """lines: of each row, column → value. title: the column that names a row, "" for the first.
    states: columns with a status word. config: as `st.dataframe` takes it; its buttons are drawn
    in the card. opens: called with the place of the card that is pressed; such a card is a button.
    """
    shown = st.session_state.get(f"{key}.cards", STEP)
    buttons = {name: kind for name, kind in config.items() if _type(kind) == "button"}
    with st.container(gap="small"):
        for place, line in enumerate(lines[:shown]):
            words = _words(line, title, states, config)
            if opens is not None and not buttons:
                label = "  \n".join(words)
                with st.container(key=f"card.{key}.{place}"):
                    st.button(
                        label,
                        key=f"{key}.card.{place}",
                        on_click=opens,
                        args=(place,),
                        width="stretch",
                    )
                continue
            with st.container(border=True, gap="xsmall"):
                st.markdown("  \n".join([*words, *_links(line, config)]))
                _buttons(buttons, line, place, key)
    if len(lines) > shown:
        more = {f"{key}.cards": shown + STEP}
        st.button(
            f"Show more ({len(lines) - shown:,})",
            key=f"{key}.cards.more",
            width="stretch",
            on_click=lambda: st.session_state.update(more),
        )


def ticked(lines: Sequence[Line], *, key: str, title: str, **look: Any) -> None:
    """Cards of which any number can be ticked; which, the key's selection says, as a table's."""
    rows: list[int] = st.session_state.get(key, {}).get("selection", {}).get("rows", [])
    with st.container(gap="small"):
        for place, line in enumerate(lines):
            head, *rest = _words(line, title, **look)
            box = f"{key}.tick.{place}"
            st.session_state[box] = place in rows
            with st.container(border=True, gap="xsmall"):
                st.checkbox(head, key=box, on_change=_tick, args=(key, place))
                st.markdown("  \n".join(rest))


def _tick(key: str, place: int) -> None:
    held = st.session_state.get(key, {}).get("selection", {}).get("rows", [])
    rows = sorted({*held} ^ {place})
    st.session_state[key] = {"selection": {"rows": rows, "columns": [], "cells": []}}


def _buttons(buttons: Config, line: Line, place: int, key: str) -> None:
    """Those of a table's button columns; what they call reads the row where the table puts it."""
    with st.container(horizontal=True, gap="small"):
        for name, column in buttons.items():
            if said := str(line.get(name) or ""):
                st.button(
                    # A sign says nothing to who cannot see it.
                    said if any(map(str.isalpha, said)) else f"{said} {name}",
                    key=f"{key}.do.{column.key}.{place}",
                    on_click=_press,
                    args=(column, place),
                )


def _press(column: Any, place: int) -> None:
    st.session_state[column.key] = {"row": place}
    column.on_click(*(column.args or ()))


def _words(line: Line, title: str, states: Collection[str], config: Config) -> list[str]:
    """Markdown: the title with the states, then what else the row says."""
    if title not in line:
        title = next(name for name in line if name not in states)
    chips = [status.markdown(word) for name in states if (word := line.get(name))]
    said = [
        f":gray[{escape(name)}] {text}"
        for name, value in line.items()
        if name != title
        and name not in states
        and _type(config.get(name)) not in {"button", "link", *_PICTURES}
        and (text := _text(value, config.get(name)))
    ]
    name = _text(line[title], config.get(title)) or "–"
    name = f"{escape(title)} {name}" if isinstance(line[title], int) else name
    head = " ".join([f"**{name}**", *chips])
    return [head, " · ".join(said)] if said else [head]


def _links(line: Line, config: Config) -> list[str]:
    return [
        f"[{escape(name)}]({quote(str(line[name]), safe='/:?=&%#~+,;@!')})"
        for name in line
        if _type(config.get(name)) == "link" and line[name]
    ]


def _text(value: Any, column: Any) -> str:
    """One cell as escaped text, "" when it says nothing."""
    if value is None or value is pd.NaT or value == "":
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return escape(times.relative(value))
    if isinstance(value, list | tuple):
        return escape(", ".join(map(str, value)))
    if isinstance(value, float) and _type(column) == "progress":
        return f"{value:.0%}"
    if isinstance(value, int | float) and _format(column) == "localized":
        return f"{value:,}"
    return escape(str(value))


def _type(column: Any) -> str:
    return str((_plain(column).get("type_config") or {}).get("type", ""))


def _format(column: Any) -> str:
    return str((_plain(column).get("type_config") or {}).get("format", ""))


def _plain(column: Any) -> Mapping[str, Any]:
    """A column's configuration; that of a button with a call is wrapped."""
    found = getattr(column, "config", column)
    return found if isinstance(found, Mapping) else {}
