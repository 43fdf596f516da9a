"""Pick any table: of the databases, by DataHub's search, or by URN."""

from typing import Any

import streamlit as st

from auth import inline
from backend.tokenization import catalog, worklist
from backend.tokenization.catalog import Candidate
from backend.tokenization.worklist import TableList, TablePlace
from pages.shared import confirm, primary
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
        shortcut=None if st.query_params.get("dataset") else primary.key(),
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
        shortcut=primary.KEY,
    ):
        confirm.close()
        preview_view.forget()
        st.query_params["dataset"] = dataset
        st.rerun()
    inline.focus("field", (DIALOG, way))


def _by_table(environment: str) -> str:
    found = _tables(environment)
    if found is None:
        return ""
    if found.note:
        st.caption(escape(found.note))
    if not found.items:
        st.info("No PostgreSQL or MySQL connection of this environment shows a table.")
        return ""
    by_urn = {each.dataset: each for each in found.items}
    return (
        st.selectbox(
            f"Table ({len(by_urn):,} found)",
            list(by_urn),
            index=0 if len(by_urn) == 1 else None,
            format_func=lambda urn: _name(by_urn[urn]),
            key="tokenization.pick.table",
            placeholder="Any part of its name",
            filter_mode="contains",
        )
        or ""
    )


def _name(place: TablePlace) -> str:
    """Database, schema where there is one, table, and about how many rows."""
    name = ".".join(part for part in (place.database, place.table_schema, place.table) if part)
    return name if place.rows is None else f"{name} · about {place.rows:,} rows"


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
