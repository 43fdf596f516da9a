"""The Runs page's filters and its list."""

from collections.abc import Iterator
from typing import Any

import pandas as pd
import streamlit as st

from backend.jobs import registry
from backend.jobs import service as jobs
from backend.jobs.schemas import JobPage
from pages.jobs import runs_per_day
from pages.shared import filters, rows, tables, times
from pages.shell import calls

EXPORTED = 5_000


def ask() -> dict[str, Any]:
    """The filters of the URL as arguments of the service."""
    state, domain, who = st.columns(3)
    with state:
        states = filters.choices(
            "State", "state", runs_per_day.STATES, key="jobs.state", empty="All"
        )
    with domain:
        kind = filters.choice("Area", "room", registry.domains(), key="jobs.room")
    with who:
        name = filters.text("Started by", "by", key="jobs.by", placeholder="name")
    return {
        "states": states,
        "kind": kind,
        "actor_name": name,
        "before": filters.number("before"),
    }


def table(page: JobPage, current: int | None) -> int | None:
    """Draw the list; returns the id of the open job. current: what the address names."""
    opened = rows.opened([view.id for view in page.items], current, key="jobs.table")
    frame = pd.DataFrame(
        {
            "Run": [view.id for view in page.items],
            "What": [view.title for view in page.items],
            "About": [view.subject for view in page.items],
            "State": tables.chips(view.state for view in page.items),
            "By": [view.actor_name for view in page.items],
            "Created": [view.created_at for view in page.items],
            "Took": [
                times.duration((view.finished_at - view.started_at).total_seconds())
                if view.finished_at and view.started_at
                else ""
                for view in page.items
            ],
        }
    )
    st.dataframe(
        frame,
        hide_index=True,
        key="jobs.table",
        column_config={
            "Created": times.column("Created"),
            "State": tables.states("State", runs_per_day.STATES),
        },
        on_select="rerun",
        selection_mode="single-row",
        width="stretch",
    )
    return opened


def download(wanted: dict[str, Any]) -> None:
    """The CSV of what the filters find, the newest 5,000."""
    tables.download(
        "runs",
        ("run", "kind", "title", "about", "state", "by", "created", "started", "finished", "error"),
        lambda: _exported(wanted),
        key="jobs.csv",
    )


def _exported(wanted: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    before, left = None, EXPORTED
    while left > 0:
        page = calls.fetch(jobs.list_jobs, **{**wanted, "before": before, "limit": 200})
        for view in page.items:
            yield (
                view.id,
                view.kind,
                view.title,
                view.subject,
                view.state,
                view.actor_name,
                view.created_at,
                view.started_at,
                view.finished_at,
                view.error,
            )
        left -= len(page.items)
        if page.next_cursor is None:
            return
        before = page.next_cursor
