"""Pick a dataset: those that ask for tokenization, a search, or a URN typed in."""

import streamlit as st

from backend.tokenization import catalog
from backend.tokenization.catalog import Candidate
from pages.shared import filters
from pages.shell import calls

_WAYS = {"tagged": "Tagged tokenize/run", "search": "Search", "urn": "URN"}
_LIST = "tokenization.list.shown"


def dataset(environment: str) -> str:
    """The chosen dataset's URN, "" while none is; it and the search are kept in the address."""
    wanted = st.query_params.get("dataset", "")
    way = filters.view(
        _WAYS,
        "urn" if wanted else "tagged",
        key="tokenization.way",
        parameter="find",
        label="Find a dataset",
    )
    if way == "urn":
        return filters.text(
            "Dataset URN",
            "dataset",
            key="tokenization.dataset",
            placeholder="urn:li:dataset:(urn:li:dataPlatform:postgres,<database>.<schema>.<table>,PROD)",
        )
    words, again = st.columns([5, 2], vertical_alignment="bottom")
    with words:
        text = filters.text(
            "Name contains", "words", key="tokenization.text", placeholder="customers"
        )
    refresh = again.button(
        "Ask DataHub again",
        key="tokenization.refresh",
        icon=":material/refresh:",
        width="stretch",
    )
    found = _found(environment, text, tagged=way == "tagged", refresh=refresh)
    if not found:
        return wanted
    return _select(found, wanted)


def _found(environment: str, text: str, *, tagged: bool, refresh: bool) -> tuple[Candidate, ...]:
    """Asked once per question, not at every rerun."""
    question = (environment, text, tagged)
    remembered = st.session_state.get(_LIST)
    if refresh or remembered is None or remembered[0] != question:
        found = _ask(environment, text, tagged=tagged)
        if found is None:
            return ()
        st.session_state[_LIST] = remembered = (question, found)
    if not remembered[1]:
        st.info(
            "No dataset carries the tag tokenize/run right now. Search for one, or give its URN."
            if tagged
            else "DataHub finds no PostgreSQL, MySQL or Databricks dataset for these words."
        )
    return tuple(remembered[1])


def _ask(environment: str, text: str, *, tagged: bool) -> tuple[Candidate, ...] | None:
    """None after an error, which is shown; a URN can still be typed then."""
    with st.spinner("Asking DataHub …"):
        found = calls.run(
            catalog.find_datasets, environment=environment or None, text=text, tagged=tagged
        )
    if found is None:
        st.caption("A dataset can still be given by its URN.")
    return found


def _select(found: tuple[Candidate, ...], wanted: str) -> str:
    by_urn = {each.urn: each for each in found}
    order = list(by_urn)
    chosen = st.selectbox(
        f"Dataset ({len(found)} found)",
        order,
        index=order.index(wanted) if wanted in by_urn else None,
        format_func=lambda urn: f"{by_urn[urn].name} · {by_urn[urn].platform}",
        key="tokenization.select",
        placeholder="Choose one",
    )
    if chosen and chosen != wanted:
        st.query_params["dataset"] = chosen
    return chosen or wanted
