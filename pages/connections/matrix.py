"""Every connection of every environment on one look; a cell opens its connection."""

from typing import Any

import pandas as pd
import streamlit as st

from backend.connections.health import EnvironmentHealth, Health
from backend.connections.kinds import KINDS
from pages.shared import status, tables, times

_KEY = "connections.matrix"
_NOT_SET = "–"
_KIND, _USE = "Connection", "Needed for"


def draw(known: tuple[EnvironmentHealth, ...]) -> None:
    """Kinds down, environments across; what is chosen here goes into the address."""
    names = [item.environment.name for item in known]
    cells = {
        item.environment.name: {each.kind: each for each in item.connections} for item in known
    }
    rows = [
        {_KIND: kind.label}
        | {name: _text(cells[name].get(kind.name)) for name in names}
        | {_USE: kind.purpose}
        for kind in KINDS.values()
    ]
    styled = pd.DataFrame(rows).style.map(_colour, subset=names)
    event: Any = st.dataframe(
        styled,
        hide_index=True,
        width="stretch",
        height=tables.height(len(rows)),
        key=_KEY,
        alt="Health of every connection by environment; a cell opens it",
        on_select="rerun",
        selection_mode="single-cell",
        column_config={_KIND: st.column_config.Column(pinned=True)},
    )
    _open([tuple(cell) for cell in event.selection.cells], names)


def _open(chosen: list[tuple[int, str]], names: list[str]) -> None:
    """Once for each choice: what is opened below afterwards stays open."""
    if chosen == st.session_state.get(f"{_KEY}.seen", []):
        return
    st.session_state[f"{_KEY}.seen"] = chosen
    if not chosen:
        return
    row, column = chosen[0]
    st.query_params["kind"] = list(KINDS)[row]
    if column in names:
        st.query_params["environment"] = column


def _text(item: Health | None) -> str:
    if item is None:
        return _NOT_SET
    if item.state == "untested":
        return "? untested"
    if item.state == "failed":
        return f"✗ failed, {times.relative(item.tested_at)}"
    mark = "!" if item.certificate or item.warnings else "✓"
    return f"{mark} {item.latency_ms} ms, {times.relative(item.tested_at)}"


def _colour(text: str) -> str:
    colour = {"✓": "green", "✗": "red", "!": "orange"}.get(text[0], "gray")
    return f"color: {status.COLOURS[colour]}"
