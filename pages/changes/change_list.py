"""The list of change requests."""

import pandas as pd
import streamlit as st

from backend.changes.schemas import DONE, OPEN, ChangePage
from pages.shared import rows, tables, times

EMPTY = {
    "to_approve": "Nothing waits for you.",
    "mine": "You have asked for nothing yet.",
    "done": "No change has ended yet.",
}


def table(page: ChangePage, current: int | None) -> int | None:
    """Draw the list; returns the number of the open change. current: what the address names."""
    opened = rows.opened([view.id for view in page.items], current, key="changes.table")
    frame = pd.DataFrame(
        {
            "Change": [view.id for view in page.items],
            "What": [view.label for view in page.items],
            "About": [view.subject for view in page.items],
            "Environment": [view.environment for view in page.items],
            "Size": [
                "" if view.size is None else f"{view.size:,} {view.unit}".strip()
                for view in page.items
            ],
            "Asked by": [view.requester for view in page.items],
            "Asked": [view.created_at for view in page.items],
            "Expires": [view.expires_at for view in page.items],
            "State": tables.chips(view.status for view in page.items),
        }
    )
    st.dataframe(
        frame,
        hide_index=True,
        key="changes.table",
        column_config={
            "Asked": times.column("Asked"),
            "Expires": times.column("Expires"),
            "State": tables.states("State", (*OPEN, *DONE)),
        },
        on_select="rerun",
        selection_mode="single-row",
        width="stretch",
    )
    return opened
