"""Several requests of one environment, looked at and approved together."""

import streamlit as st

from backend.changes import releases, service
from backend.changes.schemas import ChangeView
from backend.core.words import counted
from pages.changes import change_view
from pages.shared import beside, confirm, folds
from pages.shell import calls, flash
from pages.shell.errors import escape

_CHOSEN, _FOUND, _SURE = "changes.release.chosen", "changes.release.now", "changes.release.sure"


def draw(waiting: tuple[ChangeView, ...]) -> None:
    """Nothing while no environment has two that this person may approve."""
    by_place: dict[str, list[ChangeView]] = {}
    for view in reversed(waiting):
        by_place.setdefault(view.environment, []).append(view)
    places = [place for place, views in by_place.items() if len(views) > 1]
    if not places:
        return
    with folds.fold(
        "Approve several together", key="changes.together.form", icon=":material/stacks:"
    ):
        st.caption(
            "They are carried out in the order in which you choose them, each when the one before "
            "has succeeded. The first that fails stops the rest."
        )
        place = st.selectbox(
            "Environment",
            places,
            format_func=lambda name: name or "the portal",
            key=f"{_CHOSEN}.in",
        )
        _choose({view.id: view for view in by_place[place]})


def _choose(known: dict[int, ChangeView]) -> None:
    chosen = st.multiselect(
        "Changes, in order",
        list(known),
        format_func=lambda number: f"#{number} {known[number].label}: {known[number].subject}",
        max_selections=releases.MOST,
        key=_CHOSEN,
    )
    views = [known[number] for number in chosen]
    for place, view in enumerate(views, 1):
        said = "; ".join(f"{name} {value}" for name, value in view.shown.items() if value)
        why = f"  \nWhy: {escape(view.reason)}" if view.reason else ""
        st.markdown(f"{place}. **#{view.id} {escape(view.label)}** {escape(said)}{why}")
    with st.container(horizontal=True, horizontal_alignment="right"):
        again = st.button("Would they still do the same?", key="changes.release.probe")
        if st.button(
            "Approve together …",
            key="changes.release.approve",
            type="primary",
            disabled=len(views) < 2,
        ):
            confirm.open_dialog(_SURE)
    _now(views, again)
    confirm.ask(
        _SURE,
        title=f"Approve {counted(len(views), 'change')} together?",
        body=lambda: _body(views),
        action="Approve together",
        danger=False,
        on_confirm=lambda: _approve(views),
    )


def _now(views: list[ChangeView], again: bool) -> None:
    """Asked at a click, and forgotten when others are chosen."""
    about = tuple(view.id for view in views)
    if not views or not (again or beside.is_about(_FOUND, about)):
        return
    would = calls.bound(change_view.asked_of_each, change_ids=about)
    asked = beside.ask(_FOUND, about, would, again=again)
    for number, now in asked.result().items() if asked is not None else ():
        if now is not None and now.same:
            st.success(f"#{number} would still do the same.", icon=":material/check:")
        elif now is not None:
            moved = now.error or f"moved since it was asked: {', '.join(now.moved)}"
            st.warning(f"#{number}: {escape(moved)}", icon=":material/sync_problem:")


def _body(views: list[ChangeView]) -> None:
    for place, view in enumerate(views, 1):
        st.markdown(f"{place}. #{view.id} {escape(view.label)}: {escape(view.subject)}")
    st.text_input("Comment (optional)", key=f"{_SURE}.comment", max_chars=service.MAX_TEXT)


def _approve(views: list[ChangeView]) -> bool:
    done = calls.write(
        releases.approve,
        change_ids=[view.id for view in views],
        comment=st.session_state.get(f"{_SURE}.comment", ""),
    )
    if done is not None:
        flash.success(f"{counted(len(done), 'change')} approved together.")
    return True
