"""The jobs page's filters, its list, and what ran per day."""

from collections.abc import Sequence
from datetime import date, timedelta

import pandas as pd
import streamlit as st

from backend.core import clock
from backend.jobs import registry
from backend.jobs.schemas import DayCount, JobPage
from pages.shared import charts, filters, rows, times

DAYS = 14
_COLOURS = {
    "queued": charts.GREY,
    "running": charts.BLUE,
    "succeeded": charts.GREEN,
    "failed": charts.RED,
    "cancelled": charts.VIOLET,
    "interrupted": charts.ORANGE,
}
STATES = ("queued", "running", "succeeded", "failed", "cancelled", "interrupted")


def ask() -> dict[str, object]:
    """The filters of the URL as arguments of the service."""
    state, domain, who = st.columns(3)
    with state:
        states = filters.choices("State", "state", STATES, key="jobs.state", empty="All")
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
            "Job": [view.id for view in page.items],
            "What": [view.title for view in page.items],
            "About": [view.subject for view in page.items],
            "State": [view.state for view in page.items],
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
        column_config={"Created": times.column("Created")},
        on_select="rerun",
        selection_mode="single-row",
        width="stretch",
    )
    return opened


def per_day(counts: Sequence[DayCount]) -> None:
    """A bar per day of the last two weeks, by outcome; nothing when nothing ran."""
    if not counts:
        return
    today = clock.now().date()
    days = [today - timedelta(days=ago) for ago in reversed(range(DAYS))]
    found: dict[tuple[date, str], int] = {(item.day, item.state): item.count for item in counts}
    total = sum(item.count for item in counts)
    not_well = sum(item.count for item in counts if item.state in ("failed", "interrupted"))
    charts.stacked_bars(
        f"Jobs per day, last {DAYS} days (UTC)",
        [f"{day:%d %b}" for day in days],
        {state: [found.get((day, state), 0) for day in days] for state in STATES},
        _COLOURS,
        bar="Day",
        said=f"{total:,} jobs in {DAYS} days; {not_well:,} of them failed or were interrupted.",
        height=180,
    )
