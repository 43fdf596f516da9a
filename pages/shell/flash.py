"""The outcome of an action, carried over the rerun that follows it."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Literal

import streamlit as st

from auth import inline

Kind = Literal["success", "info", "warning", "error", "toast"]
_KEY = "shell.flash"
#: What the page at hand has drawn, for the drawer over it.
_SAID = "shell.flash.said"
_NUMBER = "shell.flash.number"
_deferred: ContextVar[bool] = ContextVar("shell.flash.deferred", default=False)
_ICONS: dict[Kind, str] = {
    "success": ":material/check_circle:",
    "info": ":material/info:",
    "warning": ":material/warning:",
    "error": ":material/error:",
    "toast": ":material/check_circle:",
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
    """For what the page shows anyway: announced, gone by itself, and nothing moves for it."""
    _add("toast", text)


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


def repeat() -> None:
    """In a drawer: what `show` drew on the page behind it, and what a click inside left."""
    _draw([*st.session_state.pop(_SAID, []), *st.session_state.pop(_KEY, [])])


def _draw(said: list[tuple[Kind, str]]) -> list[tuple[Kind, str]]:
    """Where there is something to read, the focus goes."""
    if not said:
        return said
    for kind, text in said:
        if kind == "toast":
            st.toast(text, icon=_ICONS[kind])
    staying = [each for each in said if each[0] != "toast"]
    if not staying:
        return staying
    st.session_state[_NUMBER] = st.session_state.get(_NUMBER, 0) + 1
    with st.container():
        for kind, text in staying:
            getattr(st, kind)(text, icon=_ICONS[kind])
        inline.focus("container", st.session_state[_NUMBER])
    return staying


def _add(kind: Kind, text: str) -> None:
    st.session_state.setdefault(_KEY, []).append((kind, text))
