"""How a page's unit of work asks for a fresh proof of who acts; pages.shared.step_up draws it."""

import streamlit as st

#: Session state that names the open dialog (pages.shared.confirm).
OPEN = "confirm.open"
#: The dialog that asks who acts.
PROOF = "confirm.proof"


def ask() -> None:
    """Open the dialog in place of any other; what was asked for is not done."""
    st.session_state[OPEN] = PROOF
