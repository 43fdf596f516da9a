"""Details in a drawer at the right edge, with an address of its own; the list stays where it was.

Streamlit has one dialog at a time, so the drawer steps back while a question of
pages.shared.confirm is open, and comes again after it.
"""

from collections.abc import Callable

import streamlit as st

from pages.shared import confirm, filters
from pages.shell import flash, where


def nothing() -> None:
    """A drawer whose actions ask no questions."""


def show(
    title: str,
    body: Callable[[], None],
    *,
    parameter: str,
    dialogs: Callable[[], None] = nothing,
) -> None:
    """Draw the drawer of what `?parameter=` names; closing it takes the name out of the address.

    title: text, already escaped. body draws, and is called again after each click inside, alone: it
    loads what it shows by itself. dialogs: the `confirm.ask` of its actions.
    """
    dialogs()
    if confirm.any_open():
        return

    @st.dialog(
        title, width="medium", position="right", on_dismiss=lambda: filters.forget(parameter)
    )
    def _drawer() -> None:
        if confirm.any_open():  # asked by a click inside, of which the page knows nothing yet
            st.rerun()
        where.badge()
        flash.repeat()
        body()

    _drawer()
