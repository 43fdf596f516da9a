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
    "conflict": ("orange", ":material/sync_problem:"),
    "interrupted": ("orange", ":material/power_off:"),
    "stale": ("orange", ":material/hourglass_bottom:"),
    "unknown": ("orange", ":material/help:"),
    "refused": ("orange", ":material/block:"),
    "cancelled": ("gray", ":material/block:"),
    "skipped": ("gray", ":material/skip_next:"),
}


def badge(word: str, *, label: str | None = None) -> None:
    """Draw the badge of a status word."""
    colour, icon = _LOOKS.get(word, ("gray", ":material/circle:"))
    st.badge(label or word.replace("_", " "), color=colour, icon=icon)


def markdown(word: str, *, label: str | None = None) -> str:
    """The same badge inside markdown text."""
    colour, icon = _LOOKS.get(word, ("gray", ":material/circle:"))
    return f":{colour}-badge[{icon} {label or word.replace('_', ' ')}]"
