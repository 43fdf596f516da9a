"""Pick any table: of the databases, by DataHub's search, or by URN."""

from typing import Any

import streamlit as st

from auth import inline
from backend.tokenization import catalog, worklist
from backend.tokenization.catalog import Candidate
from backend.tokenization.worklist import TablePlace
from pages.shared import beside, confirm, primary
from pages.shell import calls
from pages.shell.errors import escape
from pages.tokenization import preview_view

DIALOG = "tokenization.pick"
_WAYS = {"table": "Database", "search": "DataHub", "urn": "URN"}
_TABLES = "tokenization.pick.tables"
_FOUND = "tokenization.pick.found"
_URN = "urn:li:dataset:(urn:li:dataPlatform:postgres,<database>.<schema>.<table>,PROD)"


def button(place: Any, environment: str) -> None:
    with place:
        confirm.opener(
            "Pick a table …",
            DIALOG,
            lambda: _dialog(environment),
            key="tokenization.pick",
            icon=":material/table:",
            shortcut=lambda: primary.key("dataset"),
            width="stretch",
            on_click=_open,
        )
    if confirm.is_open(DIALOG):
        _dialog(environment)


def _open() -> None:
    beside.forget(_TABLES)
    beside.forget(_FOUND)
    confirm.open_dialog(DIALOG)


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
    # The list of tables may take long, and is the field.
    inline.focus("field", (DIALOG, way, way == "table" and beside.answered(_TABLES)))


def _by_table(environment: str) -> str:
    tables = calls.bound(worklist.tables, environment=environment)
    found = beside.shown(_TABLES, environment, tables)
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
    find = calls.bound(catalog.find_datasets, environment=environment, text=text)
    answer = beside.shown(_FOUND, (environment, text), find)
    if answer == ():
        st.info("DataHub finds no PostgreSQL, MySQL or Databricks dataset for these words.")
    return answer or ()
