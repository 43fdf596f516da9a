"""Tables of the mounts page; they draw and return what was chosen."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from auth import current as browser
from backend.core import clock
from backend.mounts.place_schemas import PlaceRow, Side
from backend.mounts.schemas import EMPTY, Charts, MountView, OperationView, OrphanView
from pages.mounts.filter_bar import REASONS
from pages.shared import filters, tables, times

_CONFIG = {
    "Entry": st.column_config.NumberColumn(format="%d", width="small"),
    "Backup job": st.column_config.NumberColumn(format="%d", width="small"),
    "Action": st.column_config.TextColumn(width=80),
    "By": st.column_config.TextColumn(width=130),
    "Note": st.column_config.TextColumn(width="large"),
}
_CHART_HEIGHT, _BAR_HEIGHT = 200, 22


def mounts(
    items: Sequence[MountView],
    current: str | None,
    *,
    key: str,
    foot: Callable[[], None],
    unmount: Callable[[MountView], None] | None = None,
) -> str | None:
    """Draw entries; returns the key of the open one. current: what the address names. foot: draws
    the line below them.

    unmount: called with the entry whose button is pressed; without it there are none. A card has
    none, either: it is one button, which opens its entry.
    """
    config: dict[str, Any] = {**_CONFIG}
    ends = unmount is not None and not browser.narrow() and any(m.mounted for m in items)
    if unmount is not None and ends:
        pressed = f"{key}.unmount"
        config["Do"] = st.column_config.ButtonColumn(
            "Do",
            key=pressed,
            width=110,
            on_click=lambda: _pressed(pressed, st.session_state[f"{key}.items"], unmount),
        )
        st.session_state[f"{key}.items"] = tuple(items)
    return tables.choose(
        items,
        lambda m: _mount(m) | ({"Do": "Unmount …" if m.mounted else None} if ends else {}),
        id_of=lambda m: m.key,
        current=current,
        title="Target",
        key=key,
        alt="Entries of the ledger",
        states=("State",),
        optional=("Entry", "For"),
        config=config,
        foot=foot,
    )


def _pressed(key: str, drawn: Sequence[MountView], unmount: Callable[[MountView], None]) -> None:
    """The row of the button, of those that the browser had when it was pressed."""
    place = st.session_state[key]["row"]
    if place < len(drawn):
        unmount(drawn[place])


def _mount(m: MountView) -> dict[str, object]:
    return {
        **_subject(m),
        "State": state_of(m),
        "Created": m.created_at,
        "For": "" if m.mounted else times.duration(_seconds(m)),  # still: since it was created
    }


def orphans(
    items: Sequence[OrphanView],
    current: str | None,
    *,
    key: str,
    everything: Callable[[], Iterable[OrphanView]],
    foot: Callable[[], None],
) -> str | None:
    """Draw orphans; returns the key of the open entry. current: what the address names.

    everything: those of all pages, for the CSV. foot: draws the way to them. The sentences of
    evidence are too long for a table; they are drawn for the open entry.
    """
    return tables.choose(
        items,
        _orphan,
        id_of=lambda o: o.key,
        current=current,
        title="Target",
        key=key,
        alt="Mounted entries that look orphaned",
        optional=("Entry",),
        hidden=("Evidence",),
        file="orphans",
        everything=everything,
        foot=foot,
        config={**_CONFIG, "Why": st.column_config.ListColumn("Why")},
    )


def _orphan(o: OrphanView) -> dict[str, object]:
    return {
        **_subject(o),
        "Created": o.created_at,
        "Why": [REASONS[kind] for kind in o.evidence],
        "Evidence": " ".join(o.evidence.values()),
    }


def operations(
    items: Sequence[OperationView],
    current: str,
    *,
    key: str,
    everything: Callable[[], Iterable[OperationView]],
    foot: Callable[[], None],
) -> str:
    """Draw operations; returns the id of the open one, "". current: what the address names.

    everything: those of all pages, for the CSV; foot: draws the way to them."""
    opened = tables.choose(
        items,
        _operation,
        id_of=lambda o: o.operation_id,
        current=current or None,
        title="Action",
        key=key,
        alt="Requests to DMS servers, newest first",
        states=("Outcome",),
        file="operations",
        everything=everything,
        foot=foot,
        config=_CONFIG,
    )
    return opened or ""


def _operation(o: OperationView) -> dict[str, object]:
    return {
        "Started": o.created_at,
        "Action": o.action,
        "Backup job": o.jobid,
        "Target": o.backup_target_id or EMPTY,
        "Host": o.host or EMPTY,
        "Outcome": o.status,
        "By": o.actor,
        "Note": o.note,
    }


def _subject(m: MountView) -> dict[str, object]:
    """What names an entry; its id only where the ledger has ids."""
    return {
        "Entry": m.id,
        "Backup job": m.jobid,
        "Target": m.backup_target_id or EMPTY,
        "Host": m.host or EMPTY,
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


def charts(found: Charts) -> None:
    """Host by target, and active over time, of what the filters find; a cell filters by both. All
    beside each other, so that the entries stay on the screen."""
    if not found.complete:
        st.caption(f"From the newest {found.sampled:,} entries.")
    left, middle, right = st.columns([3, 2, 2])
    with left:
        st.markdown("**Host by target**")
        st.altair_chart(
            _heat_map(found.pairs),
            width="stretch",
            key=_HEAT,
            on_select=_pick,
            selection_mode=_CELL,
            theme="streamlit",
        )
    with middle:
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
        _bars(found.durations, "mounts that ended", order=[name for name, _n in found.durations])


_HEAT, _CELL = "mounts.heat", "cell"


def _heat_map(pairs: Sequence[tuple[str, str, int]]) -> alt.LayerChart:
    """A cell per host and target, its number in it; colour is never alone."""
    rows = [(host or EMPTY, target or EMPTY, count) for host, target, count in pairs]
    frame = pd.DataFrame(rows, columns=["Host", "Target", "Mounts"])
    cell = alt.selection_point(name=_CELL, fields=["Host", "Target"])
    base = alt.Chart(frame, height=alt.Step(_BAR_HEIGHT)).encode(
        x=alt.X("Host:N", title=None, axis=alt.Axis(labelAngle=-40)),
        y=alt.Y("Target:N", title=None),
        tooltip=["Host", "Target", "Mounts"],
    )
    most = max(frame["Mounts"], default=1)
    colour = alt.Color("Mounts:Q", legend=None, scale=alt.Scale(scheme="blues", domain=[-1, most]))
    drawn = base.mark_rect(cornerRadius=2).encode(color=colour).add_params(cell)
    dark = alt.when(alt.datum.Mounts > most * 0.6).then(alt.value("white"))
    return drawn + base.mark_text().encode(
        text="Mounts:Q", color=dark.otherwise(alt.value("black"))
    )


def _pick() -> None:
    """The click on a cell filters by its host and target."""
    chosen = st.session_state[_HEAT]["selection"].get(_CELL) or []
    if chosen:
        filters.put("host", chosen[0]["Host"])
        filters.put("target", chosen[0]["Target"])


def places(items: Sequence[PlaceRow], *, side: Side, key: str) -> str | None:
    """Draw hosts or targets; returns the one just opened."""
    other = "Targets" if side == "host" else "Hosts"
    return tables.choose(
        items,
        lambda row: {
            side.capitalize(): row.name or EMPTY,
            "Active mounts": row.mounts,
            other: row.others,
            "Look orphaned": row.orphans,
        },
        id_of=lambda row: row.name or EMPTY,
        current=None,
        key=key,
        alt=f"{side.capitalize()}s with active mounts, those with the most first",
        file=f"mount-{side}s",
    )


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
        height=_CHART_HEIGHT,
    )
