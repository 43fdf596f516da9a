"""Status badges: a colour and always a word beside it."""

from typing import Literal, cast

import streamlit as st

from backend.core.words import STATUS_COLOURS

Colour = Literal["red", "orange", "yellow", "blue", "green", "violet", "gray", "grey", "primary"]

_ICONS: dict[str, str] = {
    "ok": ":material/check:",
    "connected": ":material/check:",
    "succeeded": ":material/check:",
    "applied": ":material/check:",
    "mounted": ":material/check:",
    "done": ":material/check:",
    "running": ":material/autorenew:",
    "accepted": ":material/send:",
    "queued": ":material/schedule:",
    "failed": ":material/close:",
    "error": ":material/error:",
    "warning": ":material/warning:",
    "info": ":material/info:",
    "conflict": ":material/sync_problem:",
    "interrupted": ":material/power_off:",
    "stale": ":material/hourglass_bottom:",
    "unknown": ":material/help:",
    "waiting": ":material/hourglass_top:",
    "approved": ":material/check:",
    "rejected": ":material/close:",
    "withdrawn": ":material/undo:",
    "expired": ":material/timer_off:",
    "refused": ":material/block:",
    "cancelled": ":material/block:",
    "skipped": ":material/skip_next:",
    "partial": ":material/sync_problem:",
    "stopped": ":material/power_off:",
    "planning": ":material/autorenew:",
    "under way": ":material/autorenew:",
    "asking": ":material/autorenew:",
    "enabled": ":material/check:",
    "valid": ":material/check:",
    "disabled": ":material/block:",
    "revoked": ":material/block:",
    "ended": ":material/timer_off:",
    "unmounted": ":material/eject:",
    "not tried": ":material/skip_next:",
    "nothing to do": ":material/check:",
    "over": ":material/check:",
    "sent": ":material/check:",
    "dropped": ":material/skip_next:",
    "tagged": ":material/sell:",
    "drifted": ":material/sync_problem:",
    "likely": ":material/check:",
    "possible": ":material/help:",
    "blocked": ":material/block:",
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


def colour(word: str) -> Colour:
    """The colour of a status word, grey for one that has none."""
    return cast(Colour, STATUS_COLOURS.get(word, "gray"))


def badge(word: str, *, label: str | None = None) -> None:
    """Draw the badge of a status word."""
    st.badge(label or word.replace("_", " "), color=colour(word), icon=_icon(word))


def markdown(word: str, *, label: str | None = None) -> str:
    """The same badge inside markdown text."""
    return f":{colour(word)}-badge[{_icon(word)} {label or word.replace('_', ' ')}]"


def _icon(word: str) -> str:
    return _ICONS.get(word, ":material/circle:")
