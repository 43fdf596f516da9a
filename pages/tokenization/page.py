"""Find columns with personal data, preview, tokenize, and see the proof."""

import streamlit as st

from backend.connections import environments
from backend.core.access import Permission
from pages.shared import filters, waiting
from pages.shell import calls, flash, guard, head
from pages.tokenization import check_view, preview_view, runs_view, worklist_view

VIEWS = {"tokenize": "Work list", "runs": "Runs", "check": "Compare with DataHub"}


def ask_environment() -> str | None:
    """The environment that the strip on top says; None when there is none at all."""
    names = [item.name for item in calls.once(environments.list_all)]
    if not names:
        st.info("No environment is configured yet. An admin adds one under Connections.")
        return None
    return filters.environment(names)


# gate
actor = guard.require(Permission.TOKENIZATION_READ)
head.draw("Tokenization", "Replaces personal data in tables by tokens, inside the database.")
flash.show()
# ask
environment = ask_environment()
if environment is None:
    st.stop()
view = filters.view(
    VIEWS, "runs" if st.query_params.get("run") else "tokenize", key="tokenization.view"
)
# load, present, act
waiting.draw("tokenization", environment)
if view == "tokenize":
    guard.allowed(actor, Permission.TOKENIZATION_RUN, "preview and run tokenizations")
    worklist_view.draw(actor, environment)
    dataset = st.query_params.get("dataset", "")
    if dataset:
        # An address without an environment means whichever one fits the dataset.
        preview_view.draw(actor, st.query_params.get("environment", ""), dataset)
elif view == "runs":
    runs_view.history(environment)
    runs_view.chosen(actor)
else:
    check_view.draw(actor, environment)
