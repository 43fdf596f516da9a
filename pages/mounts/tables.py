"""Tables of the mounts page; they draw and return what was chosen."""

from collections.abc import Sequence

import altair as alt
import pandas as pd
import streamlit as st

from backend.core import clock
from backend.mounts.schemas import EMPTY, Charts, MountView, OperationView, OrphanView
from pages.mounts.filter_bar import REASONS
from pages.shared import rows, times

_CHART_HEIGHT, _BAR_HEIGHT = 240, 22


def mounts(items: Sequence[MountView], current: str | None, *, key: str) -> str | None:
    """Draw entries; returns the key of the open one. current: what the address names."""
    entry = rows.opened([m.key for m in items], current, key=key)
    frame = pd.DataFrame(
        {
            **_subject(items),
            "State": [state_of(m) for m in items],
            "Created": [m.created_at for m in items],
            "For": [times.duration(_seconds(m)) for m in items],
        }
    )
    _table(frame, key)
    return entry


def orphans(items: Sequence[OrphanView], current: str | None, *, key: str) -> str | None:
    """Draw orphans; returns the key of the open entry. current: what the address names.

    The sentences of evidence are too long for a table; they are drawn for the open entry.
    """
    entry = rows.opened([o.key for o in items], current, key=key)
    frame = pd.DataFrame(
        {
            **_subject(items),
            "Created": [o.created_at for o in items],
            "Why": [[REASONS[kind] for kind in o.evidence] for o in items],
        }
    )
    _table(frame, key)
    return entry


def operations(items: Sequence[OperationView], current: str, *, key: str) -> str:
    """Draw operations; returns the id of the open one, "". current: what the address names."""
    operation = rows.opened([o.operation_id for o in items], current or None, key=key)
    frame = pd.DataFrame(
        {
            "Started": [o.created_at for o in items],
            "Action": [o.action for o in items],
            "Job": [o.jobid for o in items],
            "Target": [o.backup_target_id or EMPTY for o in items],
            "Host": [o.host or EMPTY for o in items],
            "Outcome": [o.status.replace("_", " ") for o in items],
            "By": [o.actor for o in items],
            "Note": [o.note for o in items],
        }
    )
    _table(frame, key)
    return operation or ""


def _subject(items: Sequence[MountView]) -> dict[str, list[object]]:
    """The columns that name an entry; its id only where the ledger has ids."""
    ids: dict[str, list[object]] = {}
    if any(m.id is not None for m in items):
        ids = {"Entry": [m.id for m in items]}
    return {
        **ids,
        "Job": [m.jobid for m in items],
        "Target": [m.backup_target_id or EMPTY for m in items],
        "Host": [m.host or EMPTY for m in items],
    }


def state_of(mount: MountView) -> str:
    words = "mounted" if mount.mounted else "unmounted"
    if mount.problem:
        words += ", cannot be read"
    return f"{words}, deleted" if mount.deleted else words


def _seconds(mount: MountView) -> float | None:
    """How long it has been mounted, or was."""
    end = clock.now() if mount.mounted else mount.updated_at
    return max(0.0, (end - mount.since).total_seconds()) if end and mount.since else None


def _table(frame: pd.DataFrame, key: str) -> None:
    st.dataframe(
        frame,
        hide_index=True,
        key=key,
        on_select="rerun",
        selection_mode="single-row",
        width="stretch",
        column_config={
            "Created": times.column("Created"),
            "Started": times.column("Started"),
            "Entry": st.column_config.NumberColumn(format="%d", width="small"),
            "Job": st.column_config.NumberColumn(format="%d", width="small"),
            "Action": st.column_config.TextColumn(width=80),
            "Outcome": st.column_config.TextColumn(width=110),
            "By": st.column_config.TextColumn(width=130),
            "Note": st.column_config.TextColumn(width="large"),
            "Why": st.column_config.ListColumn("Why"),
        },
    )


def charts(found: Charts) -> None:
    """Active over time, by host, by target, durations."""
    if not found.complete:
        st.caption(f"From the newest {found.sampled:,} entries.")
    left, right = st.columns(2)
    with left:
        st.markdown("**Active mounts over time**")
        frame = pd.DataFrame(found.active, columns=["Time", "Active"])
        st.altair_chart(
            alt.Chart(frame)
            .mark_area(line=True, opacity=0.3, interpolate="step-after")
            .encode(
                x=alt.X("Time:T", title=None), y=alt.Y("Active:Q", title="mounts", axis=_whole())
            ),
            width="stretch",
            height=_CHART_HEIGHT,
        )
    with right:
        st.markdown("**How long finished mounts lasted**")
        _bars(
            found.durations, "mounts that ended", order=[name for name, _count in found.durations]
        )
    left, right = st.columns(2)
    with left:
        st.markdown("**Active mounts per host**")
        _bars(found.by_host, "active mounts")
    with right:
        st.markdown("**Active mounts per target**")
        _bars(found.by_target, "active mounts")


def _whole() -> alt.Axis:
    """Half a mount is never drawn."""
    return alt.Axis(tickMinStep=1, format=",d")


def _bars(counts: Sequence[tuple[str, int]], counted: str, order: list[str] | None = None) -> None:
    """A named bar each. counted: what the numbers are of."""
    frame = pd.DataFrame(counts, columns=["Name", "Count"])
    st.altair_chart(
        alt.Chart(frame)
        .mark_bar()
        .encode(
            x=alt.X("Count:Q", title=counted, axis=_whole()),
            # Else every other name is left out as soon as the bars are many.
            y=alt.Y("Name:N", title=None, sort=order or "-x", axis=alt.Axis(labelOverlap=False)),
            tooltip=["Name", "Count"],
        ),
        width="stretch",
        height=max(_CHART_HEIGHT, 60 + _BAR_HEIGHT * len(counts)),
    )
