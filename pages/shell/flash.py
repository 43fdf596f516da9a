"""The outcome of an action, carried over the rerun that follows it."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Literal

import streamlit as st

Kind = Literal["success", "info", "warning", "error"]
_KEY = "shell.flash"
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
    for kind, text in st.session_state.pop(_KEY, []):
        getattr(st, kind)(text, icon=_ICONS[kind])


def _add(kind: Kind, text: str) -> None:
    st.session_state.setdefault(_KEY, []).append((kind, text))
