"""Stacked bars for looking, with the same numbers as a table for reading."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from pages.shared import folds

if TYPE_CHECKING:
    import altair as alt

#: At least 3:1 against the light and the dark background.
BLUE, GREEN, ORANGE, RED = "#3b82c4", "#2e9e5b", "#c9741a", "#d9534f"
VIOLET, GREY = "#9268c9", "#8a8f98"
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
    st.altair_chart(_chart(list(bars), shown, colours, bar, said), width="stretch", height=height)
    # Made when it is opened: a table that nobody sees costs a browser as much as ten buttons.
    numbers = folds.fold("The numbers as a table", key=f"numbers.{title}")
    if numbers.open:
        table = pd.DataFrame(shown, index=pd.Index(list(bars), name=bar))
        numbers.dataframe(table[table.sum(axis=1) > 0], width="stretch")


def _chart(
    bars: list[str],
    parts: Mapping[str, Sequence[int]],
    colours: Mapping[str, str],
    bar: str,
    said: str,
) -> "alt.Chart":
    import altair as alt  # half a second that a page without a chart need not wait for

    names = list(parts)
    rows = [
        {bar: name, "Part": part, "Count": count, "order": place}
        for place, part in enumerate(names)
        for name, count in zip(bars, parts[part], strict=True)
    ]
    return (
        alt.Chart(pd.DataFrame(rows), description=said)
        .mark_bar()
        .encode(
            x=alt.X(
                f"{bar}:N",
                sort=bars,
                title=None,
                axis=alt.Axis(values=_named(bars), labelAngle=0, grid=False),
            ),
            y=alt.Y("sum(Count):Q", title=None, axis=alt.Axis(tickMinStep=1, format=",d")),
            color=alt.Color(
                "Part:N",
                sort=names,
                scale=alt.Scale(domain=names, range=[colours[name] for name in names]),
                legend=alt.Legend(title=None, orient="bottom", columns=2, offset=4, padding=0),
            ),
            order=alt.Order("order:Q"),
            tooltip=[bar, alt.Tooltip("Part", title="What"), alt.Tooltip("Count", format=",d")],
        )
    )


def _named(bars: Sequence[str]) -> list[str]:
    """The bars with a name under them: all, or every so many up to the newest."""
    step = -(-len(bars) // MOST_NAMES)
    return list(bars[::-1][::step][::-1])
