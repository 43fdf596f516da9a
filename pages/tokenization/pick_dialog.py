"""Pick any table: database, schema and table, DataHub's search, or a URN."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from backend.tokenization import catalog, worklist
from backend.tokenization.catalog import Candidate
from backend.tokenization.worklist import TableList, TablePlace
from pages.shared import confirm
from pages.shell import calls
from pages.shell.errors import escape
from pages.tokenization import preview_view

DIALOG = "tokenization.pick"
_WAYS = {"table": "Database", "search": "DataHub", "urn": "URN"}
_TABLES = "tokenization.pick.tables"
_FOUND = "tokenization.pick.found"
_URN = "urn:li:dataset:(urn:li:dataPlatform:postgres,<database>.<schema>.<table>,PROD)"


def button(place: Any, environment: str) -> None:
    place.button(
        "Pick a table …",
        key="tokenization.pick",
        icon=":material/table:",
        on_click=confirm.open_dialog,
        args=(DIALOG,),
    )
    if confirm.is_open(DIALOG):
        _dialog(environment)


@st.dialog("Pick a table", on_dismiss=confirm.close)
def _dialog(environment: str) -> None:
    way = st.segmented_control(
        "Find it by",
        list(_WAYS),
        format_func=_WAYS.__getitem__,
        default="table",
        required=True,
        key="tokenization.way",
    )
    if way == "table":
        dataset = _by_table(environment)
    elif way == "search":
        dataset = _by_search(environment)
    else:
        dataset = st.text_input("Dataset URN", key="tokenization.dataset", placeholder=_URN).strip()
    if st.button(
        "Preview",
        key="tokenization.pick.preview",
        type="primary",
        icon=":material/visibility:",
        disabled=not dataset,
    ):
        confirm.close()
        preview_view.forget()
        st.query_params["dataset"] = dataset
        st.rerun()


def _by_table(environment: str) -> str:
    found = _tables(environment)
    if found is None:
        return ""
    if found.note:
        st.caption(escape(found.note))
    if not found.items:
        st.info("No PostgreSQL or MySQL connection of this environment shows a table.")
        return ""
    here: Sequence[TablePlace] = found.items
    for label, part in (("Database", "database"), ("Schema", "table_schema"), ("Table", "table")):
        names = list(dict.fromkeys(getattr(place, part) for place in here))
        if names == [""]:
            continue
        chosen = st.selectbox(
            label,
            names,
            index=0 if len(names) == 1 else None,
            key=f"tokenization.pick.{part}",
            placeholder="Choose one",
        )
        if chosen is None:
            return ""
        here = [place for place in here if getattr(place, part) == chosen]
    if here[0].rows is not None:
        st.caption(f"About {here[0].rows:,} rows.")
    return here[0].dataset


def _tables(environment: str) -> TableList | None:
    """Asked once for an environment; None after an error, which is shown."""
    remembered = st.session_state.get(_TABLES)
    if remembered is None or remembered[0] != environment or remembered[1] is None:
        with st.spinner("Asking the databases …"):
            found = calls.run(worklist.tables, environment=environment)
        st.session_state[_TABLES] = remembered = (environment, found)
    answer: TableList | None = remembered[1]
    return answer


def _by_search(environment: str) -> str:
    text = st.text_input("Name contains", key="tokenization.text", placeholder="customers").strip()
    if not text:
        return ""
    found = _found(environment, text)
    if not found:
        return ""
    by_urn = {each.urn: each for each in found}
    return (
        st.selectbox(
            f"Dataset ({len(found)} found)",
            list(by_urn),
            index=None,
            format_func=lambda urn: f"{by_urn[urn].name} · {by_urn[urn].platform}",
            key="tokenization.select",
            placeholder="Choose one",
        )
        or ""
    )


def _found(environment: str, text: str) -> tuple[Candidate, ...]:
    question = (environment, text)
    remembered = st.session_state.get(_FOUND)
    if remembered is None or remembered[0] != question:
        with st.spinner("Asking DataHub …"):
            found = calls.run(catalog.find_datasets, environment=environment, text=text)
        if found is None:
            return ()
        st.session_state[_FOUND] = remembered = (question, found)
    answer: tuple[Candidate, ...] = remembered[1]
    if not answer:
        st.info("DataHub finds no PostgreSQL, MySQL or Databricks dataset for these words.")
    return answer
