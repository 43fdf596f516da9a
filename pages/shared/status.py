"""Status badges: a colour and always a word beside it."""

from typing import Literal

import streamlit as st

Colour = Literal["red", "orange", "yellow", "blue", "green", "violet", "gray", "grey", "primary"]

_LOOKS: dict[str, tuple[Colour, str]] = {
    "ok": ("green", ":material/check:"),
    "connected": ("green", ":material/check:"),
    "succeeded": ("green", ":material/check:"),
    "applied": ("green", ":material/check:"),
    "mounted": ("green", ":material/check:"),
    "done": ("green", ":material/check:"),
    "running": ("blue", ":material/autorenew:"),
    "accepted": ("blue", ":material/send:"),
    "queued": ("blue", ":material/schedule:"),
    "failed": ("red", ":material/close:"),
    "error": ("red", ":material/error:"),
    "warning": ("orange", ":material/warning:"),
    "info": ("blue", ":material/info:"),
    "conflict": ("orange", ":material/sync_problem:"),
    "interrupted": ("orange", ":material/power_off:"),
    "stale": ("orange", ":material/hourglass_bottom:"),
    "unknown": ("violet", ":material/help:"),
    "waiting": ("orange", ":material/hourglass_top:"),
    "approved": ("blue", ":material/check:"),
    "rejected": ("red", ":material/close:"),
    "withdrawn": ("gray", ":material/undo:"),
    "expired": ("gray", ":material/timer_off:"),
    "refused": ("orange", ":material/block:"),
    "cancelled": ("gray", ":material/block:"),
    "skipped": ("gray", ":material/skip_next:"),
    "partial": ("orange", ":material/sync_problem:"),
    "stopped": ("orange", ":material/power_off:"),
    "planning": ("blue", ":material/autorenew:"),
    "under way": ("blue", ":material/autorenew:"),
    "asking": ("blue", ":material/autorenew:"),
    "enabled": ("green", ":material/check:"),
    "valid": ("green", ":material/check:"),
    "disabled": ("gray", ":material/block:"),
    "revoked": ("gray", ":material/block:"),
    "ended": ("gray", ":material/timer_off:"),
    "unmounted": ("gray", ":material/eject:"),
    "not tried": ("gray", ":material/skip_next:"),
    "nothing to do": ("gray", ":material/check:"),
}

#: Chips in tables, readable on both themes: the same meanings as the badges.
COLOURS: dict[str, str] = {
    "green": "#12a08a",
    "blue": "#1558b8",
    "orange": "#d97706",
    "red": "#c0392b",
    "violet": "#7c3aed",
    "gray": "#6b7280",
}


def words() -> tuple[str, ...]:
    """Every status word that has a colour of its own."""
    return tuple(_LOOKS)


def colour(word: str) -> Colour:
    """The colour of a status word, grey for one that has none."""
    return _LOOKS.get(word, ("gray", ""))[0]


def badge(word: str, *, label: str | None = None) -> None:
    """Draw the badge of a status word."""
    colour, icon = _LOOKS.get(word, ("gray", ":material/circle:"))
    st.badge(label or word.replace("_", " "), color=colour, icon=icon)


def markdown(word: str, *, label: str | None = None) -> str:
    """The same badge inside markdown text."""
    colour, icon = _LOOKS.get(word, ("gray", ":material/circle:"))
    return f":{colour}-badge[{icon} {label or word.replace('_', ' ')}]"
