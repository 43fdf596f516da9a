"""Watch background jobs: what runs, what ended how, and stop what should not go on."""

from collections.abc import Sequence
from datetime import timedelta

import pandas as pd
import streamlit as st

from backend.core import clock
from backend.core.access import Permission
from backend.jobs import service as jobs
from backend.jobs.registry import ROOMS
from backend.jobs.schemas import DayCount, JobPage
from pages.shell import calls, flash, guard
from pages.widgets import charts, filters, job_progress, times

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
    state, room, who = st.columns(3)
    with state:
        states = filters.choices("State", "state", STATES, key="jobs.state", empty="All")
    with room:
        kind = filters.choice("Room", "room", ROOMS, key="jobs.room")
    with who:
        name = filters.text("Started by", "by", key="jobs.by")
    return {
        "states": states,
        "kind": kind,
        "actor_name": name,
        "before": filters.number("before"),
    }


def table(page: JobPage) -> int | None:
    """Draw the list; returns the chosen job's id."""
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
    event = st.dataframe(
        frame,
        hide_index=True,
        key="jobs.table",
        column_config={"Created": times.column("Created")},
        on_select="rerun",
        selection_mode="single-row",
        width="stretch",
    )
    rows = event["selection"]["rows"]
    return page.items[rows[0]].id if rows and rows[0] < len(page.items) else None


def per_day(counts: Sequence[DayCount]) -> None:
    """A bar per day of the last two weeks, by outcome; nothing when nothing ran."""
    if not counts:
        return
    today = clock.now().date()
    days = [today - timedelta(days=ago) for ago in reversed(range(DAYS))]
    found = {(item.day, item.state): item.count for item in counts}
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


@st.fragment(run_every=2.0)
def open_jobs() -> None:
    """Everything queued or running, live."""
    page = calls.read(jobs.list_jobs, states=("running", "queued"), limit=20)
    if not page.items:
        st.caption("Nothing is running or waiting right now.")
    for view in page.items:
        with st.container(border=True):
            job_progress.draw(view, key="jobs.open")


# gate
guard.require(Permission.JOBS_READ)
st.title("Background jobs")
flash.show()
# ask
open_jobs()
per_day(calls.read(jobs.count_by_day, days=DAYS))
st.subheader("All jobs")
wanted = ask()
# load
listed = calls.read(jobs.list_jobs, limit=50, **wanted)
# present
if not listed.items:
    st.info("No job fits these filters. Jobs appear here when a plan, run or test is started.")
else:
    chosen = table(listed) or filters.number("job")
    if listed.next_before is not None:
        st.button(
            "Older jobs",
            key="jobs.older",
            on_click=lambda: st.query_params.update({"before": str(listed.next_before)}),
        )
    if chosen is not None:
        with st.container(border=True):
            job_progress.show(chosen, key="jobs.chosen", log_lines=200)
