"""Which users of a plan are ticked: kept by user id, over pages, filters, refreshes and plans.

The browser owns what a box shows; the server only says how it starts. A value sent with every run
would overwrite a click made while that run was under way, and the browser's next message would then
take the tick back. What ticks or unticks many boxes therefore draws new ones (another `draw`).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import streamlit as st

from backend.user_sync.schemas import RowView

_TICKED = "user_sync.ticked"


@dataclass
class _Ticks:
    ids: set[str] = field(default_factory=set)
    draw: int = 0


def _of(plan_id: int) -> _Ticks:
    plans: dict[int, _Ticks] = st.session_state.setdefault(_TICKED, {})
    return plans.setdefault(plan_id, _Ticks())


def ticked(plan_id: int) -> frozenset[str]:
    """The ticked user ids of this plan."""
    return frozenset(_of(plan_id).ids)


def replace(plan_id: int, ids: Iterable[str]) -> None:
    """Exactly these are ticked from the next run on."""
    ticks = _of(plan_id)
    ticks.ids, ticks.draw = set(ids), ticks.draw + 1


def box(row: RowView) -> None:
    """The checkbox of one row."""
    if row.user_id is None or not row.applicable:
        return
    ticks = _of(row.plan_id)
    key = f"user_sync.tick.{row.plan_id}.{row.user_id}.{ticks.draw}"
    st.checkbox(
        f"Apply to {row.email}",
        value=row.user_id in ticks.ids,
        key=key,
        label_visibility="collapsed",
        on_change=_toggle,
        args=(row.plan_id, row.user_id, key, ticks.draw),
    )


def _toggle(plan_id: int, user_id: str, key: str, draw: int) -> None:
    ticks = _of(plan_id)
    if st.session_state[key]:
        ticks.ids.add(user_id)
    else:
        ticks.ids.discard(user_id)
    if draw != ticks.draw:  # clicked on an old box while new ones were on their way
        ticks.draw += 1


def buttons(plan_id: int, page: Iterable[RowView], everything: Callable[[], Iterable[str]]) -> None:
    """Tick the page, tick all that the filters find, untick all."""
    ids = {row.user_id for row in page if row.user_id and row.applicable}
    st.button(
        "Tick this page",
        key="user_sync.tick_page",
        disabled=not ids,
        on_click=lambda: replace(plan_id, ticked(plan_id) | ids),
    )
    st.button(
        "Tick all found",
        key="user_sync.tick_all",
        on_click=lambda: replace(plan_id, ticked(plan_id).union(everything())),
    )
    st.button(
        "Untick",
        key="user_sync.untick",
        disabled=not ticked(plan_id),
        on_click=lambda: replace(plan_id, ()),
    )


def count_text(plan_id: int, page: Iterable[RowView]) -> str:
    """ "**7 ticked**, 3 of them not on this page"."""
    chosen = ticked(plan_id)
    hidden = len(chosen - {row.user_id for row in page if row.user_id})
    more = f", {hidden:,} of them not on this page or hidden by the filters" if hidden else ""
    return f"**{len(chosen):,} ticked**{more}"
