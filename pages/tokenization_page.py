"""Find columns with personal data, preview, tokenize, and see the proof."""

import streamlit as st

from backend.connections import environments
from backend.core.access import Permission
from pages.shell import calls, flash, guard
from pages.widgets import (
    filters,
    tokenization_check,
    tokenization_pick,
    tokenization_preview,
    tokenization_runs,
)

VIEWS = {"tokenize": "Tokenize", "runs": "Runs", "check": "Compare with DataHub"}


def ask_environment() -> str | None:
    """The environment of the address, "" for whichever fits; None when there is none at all."""
    names = [item.name for item in calls.read(environments.list_all)]
    if not names:
        st.info("No environment is configured yet. An admin adds one under Connections.")
        return None
    if len(names) == 1:
        return names[0]
    return filters.choice(
        "Environment",
        "environment",
        names,
        key="tokenization.environment",
        empty="The one that fits the dataset",
    )


def ask_view() -> str:
    """Which part of the page; kept in the address."""
    wanted = st.query_params.get("view", "")
    first = wanted if wanted in VIEWS else "runs" if st.query_params.get("run") else "tokenize"
    if st.session_state.get("tokenization.view.url") != first:
        st.session_state["tokenization.view"] = first
        st.session_state["tokenization.view.url"] = first
    chosen = st.segmented_control(
        "Part of the page",
        list(VIEWS),
        format_func=VIEWS.get,
        key="tokenization.view",
        label_visibility="collapsed",
        required=True,
    )
    st.query_params["view"] = st.session_state["tokenization.view.url"] = str(chosen or first)
    return str(chosen or first)


# gate
actor = guard.require(Permission.TOKENIZATION_READ)
st.title("Tokenization")
flash.show()
# ask
environment = ask_environment()
if environment is None:
    st.stop()
view = ask_view()
# load, present, act
if view == "tokenize":
    guard.allowed(actor, Permission.TOKENIZATION_RUN, "preview and run tokenizations")
    dataset = tokenization_pick.dataset(environment)
    if dataset:
        tokenization_preview.draw(actor, environment, dataset)
elif view == "runs":
    tokenization_runs.chosen(actor)
    tokenization_runs.history(environment)
else:
    tokenization_check.draw(actor, environment)
