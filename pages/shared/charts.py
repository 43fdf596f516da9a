"""Stacked bars for looking, with the same numbers as a table for reading."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from pages.shared import folds

#: As the chips of `pages.shared.status`, whose blue alone is too dark for it: at least 3:1 against
#: the light and the dark background.
BLUE, GREEN, ORANGE, RED = "#3b82c4", "#12a08a", "#d97706", "#c0392b"
VIOLET, GREY = "#7c3aed", "#6b7280"
MOST_NAMES = 16


def stacked_bars(
    title: str,
    bars: Sequence[str],
    parts: Mapping[str, Sequence[int]],
    colours: Mapping[str, str],
    *,
    bar: str,
    said: str,
    height: int = 250,
) -> None:
    """A bar per name, from left to right, of parts from the bottom up.

    parts: the counts of each part, one per bar; colours: of each part. bar: what a bar is ("Plan").
    said: the chart in a sentence, for those who cannot see it. Parts that are nowhere are left out.
    """
    shown = {name: list(counts) for name, counts in parts.items() if any(counts)}
    st.markdown(f"**{title}**")
    st.vega_lite_chart(
        _rows(list(bars), shown, bar),
        _spec(list(bars), list(shown), colours, bar, said),
        width="stretch",
        height=height,
    )
    # Made when it is opened: a table that nobody sees costs a browser as much as ten buttons.
    numbers = folds.fold("The numbers as a table", key=f"numbers.{title}")
    if numbers.open:
        table = pd.DataFrame(shown, index=pd.Index(list(bars), name=bar))
        numbers.dataframe(table[table.sum(axis=1) > 0], width="stretch")


def _rows(bars: Sequence[str], parts: Mapping[str, Sequence[int]], bar: str) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {bar: name, "Part": part, "Count": count, "order": place}
            for place, part in enumerate(parts)
            for name, count in zip(bars, parts[part], strict=True)
        ]
    )


def _spec(
    bars: list[str], parts: list[str], colours: Mapping[str, str], bar: str, said: str
) -> dict[str, Any]:
    """The chart in Vega-Lite. (Altair checks what it writes: twenty times the processor time.)"""
    range_ = [colours[name] for name in parts]
    legend = {"title": None, "orient": "bottom", "columns": 2, "offset": 4, "padding": 0}
    axis = {"values": _named(bars), "labelAngle": 0, "grid": False}
    count = {"field": "Count", "type": "quantitative", "aggregate": "sum", "title": None}
    return {
        "description": said,
        "mark": "bar",
        "encoding": {
            "x": {"field": bar, "type": "nominal", "sort": bars, "title": None, "axis": axis},
            "y": {**count, "axis": {"tickMinStep": 1, "format": ",d"}},
            "color": {
                "field": "Part",
                "type": "nominal",
                "sort": parts,
                "scale": {"domain": parts, "range": range_},
                "legend": legend,
            },
            "order": {"field": "order", "type": "quantitative"},
            "tooltip": [
                {"field": bar, "type": "nominal"},
                {"field": "Part", "type": "nominal", "title": "What"},
                {"field": "Count", "type": "quantitative", "format": ",d"},
            ],
        },
    }


def _named(bars: Sequence[str]) -> list[str]:
    """The bars with a name under them: all, or every so many up to the newest."""
    step = -(-len(bars) // MOST_NAMES)
    return list(bars[::-1][::step][::-1])
