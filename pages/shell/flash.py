"""The outcome of an action, carried over the rerun that follows it."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Literal, NoReturn

import streamlit as st

from auth import inline

Kind = Literal["success", "info", "warning", "error"]
_KEY, _PASSING = "shell.flash", "shell.flash.passing"
#: What the page at hand has drawn, for the drawer over it.
_SAID = "shell.flash.said"
_NUMBER = "shell.flash.number"
_deferred: ContextVar[bool] = ContextVar("shell.flash.deferred", default=False)
_ICONS: dict[Kind, str] = {
    "success": ":material/check_circle:",
    "info": ":material/info:",
    "warning": ":material/warning:",
    "error": ":material/error:",
}


def success(text: str) -> None:
    _add("success", text)


def info(text: str) -> None:
    _add("info", text)


def warning(text: str) -> None:
    _add("warning", text)


def error(text: str) -> None:
    _add("error", text)


def passing(text: str) -> None:
    """For what the page shows anyway: said beside its title, where nothing moves for it."""
    st.session_state[_PASSING] = text


def draw_passing() -> None:
    """In the title's line: what `passing` left, with the focus. Not a toast: axe finds a dialog
    without a name in Streamlit's."""
    text = st.session_state.pop(_PASSING, None)
    if text is None:
        return
    st.session_state[_NUMBER] = st.session_state.get(_NUMBER, 0) + 1
    with st.container(horizontal=True, width="content", gap=None):
        st.badge(text, icon=_ICONS["success"], color="green")
        inline.focus("line", st.session_state[_NUMBER])


@contextlib.contextmanager
def deferring() -> Iterator[None]:
    """While the block runs, errors are kept for the next run instead of drawn now: a dialog that
    closes and reruns would take them with it."""
    mark = _deferred.set(True)
    try:
        yield
    finally:
        _deferred.reset(mark)


def is_deferring() -> bool:
    return _deferred.get()


def show() -> None:
    """Draw and forget what earlier runs left."""
    st.session_state[_SAID] = _draw(st.session_state.pop(_KEY, []))


def rerun() -> NoReturn:
    """Draw the page anew although nobody asked for it: what `show` has just drawn stays."""
    said = st.session_state.pop(_SAID, [])
    st.session_state[_KEY] = [*said, *st.session_state.pop(_KEY, [])]
    st.rerun()


def repeat() -> None:
    """In a drawer: what `show` drew on the page behind it, and what a click inside left."""
    _draw([*st.session_state.pop(_SAID, []), *st.session_state.pop(_KEY, [])])


def _draw(said: list[tuple[Kind, str]]) -> list[tuple[Kind, str]]:
    """Where there is something to read, the focus goes."""
    if not said:
        return said
    st.session_state[_NUMBER] = st.session_state.get(_NUMBER, 0) + 1
    with st.container():
        for kind, text in said:
            getattr(st, kind)(text, icon=_ICONS[kind])
        inline.focus("container", st.session_state[_NUMBER])
    return said


def _add(kind: Kind, text: str) -> None:
    st.session_state.setdefault(_KEY, []).append((kind, text))
