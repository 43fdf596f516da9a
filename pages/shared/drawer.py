"""Details in a drawer at the right edge, with an address of its own; the list stays where it was.

Streamlit has one dialog at a time, so the drawer steps back while a question of
pages.shared.confirm is open, and comes again after it.
"""

from collections.abc import Callable, Sequence

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
    inside: Sequence[str] = (),
    dialogs: Callable[[], None] = nothing,
) -> None:
    """Draw the drawer of what `?parameter=` names; closing it takes the name out of the address.

    title: text, already escaped. body draws, and is called again after each click inside, alone: it
    loads what it shows by itself. inside: parameters of its own filters, which go with it.
    dialogs: the `confirm.ask` of its actions.
    """
    dialogs()
    if confirm.any_open():
        return

    def close() -> None:
        for each in (parameter, *inside):
            filters.forget(each)

    @st.dialog(title, width="medium", position="right", on_dismiss=close)
    def _drawer() -> None:
        # A click inside asked a question or leads away, of which the page knows nothing yet.
        if confirm.any_open() or not st.query_params.get(parameter):
            st.rerun()
        where.badge()
        flash.repeat()
        body()

    _drawer()
