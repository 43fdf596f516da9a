"""Which users of a plan are ticked: kept by user id, over pages, filters and reruns."""

from collections.abc import Callable, Iterable

import streamlit as st

from backend.user_sync.schemas import RowView

_TICKED = "user_sync.ticked"


def ticked(plan_id: int) -> set[str]:
    """The ticked user ids of this plan; another plan starts with none."""
    kept = st.session_state.get(_TICKED)
    if kept is None or kept[0] != plan_id:
        kept = st.session_state[_TICKED] = (plan_id, set())
    chosen: set[str] = kept[1]
    return chosen


def box(row: RowView) -> None:
    """The checkbox of one row; its state always follows the set."""
    if row.user_id is None or not row.applicable:
        return
    key = f"user_sync.tick.{row.plan_id}.{row.user_id}"
    st.session_state[key] = row.user_id in ticked(row.plan_id)
    st.checkbox(
        f"Apply to {row.email}",
        key=key,
        label_visibility="collapsed",
        on_change=_toggle,
        args=(row.plan_id, row.user_id, key),
    )


def _toggle(plan_id: int, user_id: str, key: str) -> None:
    chosen = ticked(plan_id)
    if st.session_state[key]:
        chosen.add(user_id)
    else:
        chosen.discard(user_id)


def buttons(plan_id: int, page: Iterable[RowView], everything: Callable[[], Iterable[str]]) -> None:
    """Tick the page, tick all that the filters find, untick all."""
    ids = [row.user_id for row in page if row.user_id and row.applicable]
    st.button(
        "Tick this page",
        key="user_sync.tick_page",
        disabled=not ids,
        on_click=lambda: ticked(plan_id).update(ids),
    )
    st.button(
        "Tick all that the filters find",
        key="user_sync.tick_all",
        on_click=lambda: ticked(plan_id).update(everything()),
    )
    st.button(
        "Untick all",
        key="user_sync.untick",
        disabled=not ticked(plan_id),
        on_click=ticked(plan_id).clear,
    )


def count_text(plan_id: int, page: Iterable[RowView]) -> str:
    """ "7 ticked, 3 of them not on this page"."""
    chosen = ticked(plan_id)
    hidden = len(chosen - {row.user_id for row in page if row.user_id})
    more = f", {hidden:,} of them not on this page or hidden by the filters" if hidden else ""
    return f"{len(chosen):,} ticked{more}"
