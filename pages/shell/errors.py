"""How errors look to a person: one sentence, never a traceback."""

import re

import streamlit as st

from backend.core.errors import PortalError, Waiting
from backend.core.log import get_logger, log_unexpected, mask_text
from pages.shared import shown_once
from pages.shell import flash

log = get_logger(__name__)


def show(exc: PortalError) -> None:
    """A refusal of ours as a warning, an outside system's failure as an error."""
    text = escape(mask_text(exc.message))
    if flash.is_deferring():
        (flash.error if exc.status >= 500 else flash.warning)(text)
    elif exc.status >= 500:
        st.error(text, icon=":material/error:")
    else:
        st.warning(text, icon=":material/warning:")


def show_waiting(exc: Waiting) -> None:
    """What was asked was filed as a change request; the next run says so, too."""
    number, state = exc.document["change_id"], exc.document["state"]
    first, then = "Nothing was done yet: this needs somebody else's approval.", "waits for it."
    if state != "waiting":
        first, then = "Exactly this was asked for and decided before.", f"is {state}."
    flash.info(f"{first} [Change {number}](/changes?change={number}) {then}")
    if exc.secret:
        shown_once.keep(f"It works when change {number} is carried out.", exc.secret)
    if not flash.is_deferring():
        flash.show()


def show_unexpected(exc: BaseException) -> str:
    """Log a bug and show only its reference, which is returned."""
    reference = log_unexpected(log, "A page failed unexpectedly.", exc)
    st.error(
        f"Something went wrong, and it is not your fault. Quote reference **{reference}** to an "
        "admin; the log has the rest under it.",
        icon=":material/bug_report:",
    )
    return reference


def on_script_error(exc: Exception) -> bool:
    """The app's handler for anything a page did not expect; nothing raw reaches the browser."""
    if isinstance(exc, PortalError):
        show(exc)
    elif isinstance(exc, Waiting):
        show_waiting(exc)
    else:
        show_unexpected(exc)
    return True


def escape(text: str) -> str:
    """Text of outside systems, safe inside Streamlit's markdown."""
    for character in "\\`*_[]<>$#|~:":
        text = text.replace(character, "\\" + character if character != "<" else "&lt;")
    return text


def code(text: str) -> str:
    """Text of outside systems as one piece of code, as it is: no link, and good to copy.

    Not `escape` between backticks: a backslash there is a backslash.
    """
    text = " ".join(text.split())
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    return f"{fence} {text} {fence}"
