"""Where else a run's values live: DataHub's copies of its columns, and one click to preview all."""

from typing import Any

import streamlit as st

from backend.core.access import Actor, Permission
from backend.core.errors import NotFound
from backend.core.words import counted, named
from backend.tokenization import copies
from backend.tokenization.copies import CopyList, CopyPreview, CopyPreviews
from backend.tokenization.schemas import RunState, RunView
from pages.shared import beside, job_progress, tables
from pages.shell import calls
from pages.shell.errors import escape
from pages.tokenization import preview_view

KEY = "tokenization.copies"
_BUTTON = f"{KEY}.open"


def draw(actor: Actor, run: RunView) -> None:
    """Ask DataHub at a click, list what no run has taken, and queue the previews."""
    if run.state is not RunState.SUCCEEDED:
        return
    st.markdown("**Where else do these values live?**")
    asked: copies.Asked = {
        "dataset": run.dataset,
        "columns": [column.name for column in run.columns],
        "environment": run.environment,
    }
    find = calls.bound(copies.find, **asked)
    buttons = st.container(horizontal=True)
    buttons.button(
        "Ask again" if beside.is_about(KEY, run.id) else "Find copies",
        key=f"{KEY}.find",
        icon=":material/account_tree:",
        help="Column lineage, siblings and columns of the same name, as DataHub knows them. "
        "No table is read.",
        on_click=beside.begin,
        args=(KEY, run.id, find),
    )
    found = beside.shown(KEY, run.id, find) if beside.is_about(KEY, run.id) else None
    if (
        found
        and any(not each.problem for each in found.items)
        and actor.may(Permission.TOKENIZATION_PREVIEW)
        and buttons.button(
            "Preview all copies",
            key=f"{KEY}.preview",
            icon=":material/visibility:",
            help="Counts in the background what a run on each would change.",
        )
    ):
        calls.write(copies.queue_previews, **asked)
    if found:
        _list(found)
    _previews(actor, asked)


def _list(found: CopyList) -> None:
    tokenized = f"{counted(found.tokenized, 'copy', 'copies')} tokenized already."
    if not found.items:
        st.success(f"DataHub knows no copy that is not tokenized. {tokenized}")
    else:
        tables.show(
            found.items,
            lambda each: {
                "Table": each.table,
                "Column": each.column,
                "Why": each.reason,
                "No preview because": each.problem,
            },
            key=f"{KEY}.list",
            alt="Copies that no run has tokenized, nearest first",
            optional=("No preview because",),
        )
        st.caption(tokenized)
    if found.note:
        st.caption(escape(found.note))


def _previews(actor: Actor, asked: copies.Asked) -> None:
    """The newest previews of these copies, whoever asked for them."""
    newest = _newest(asked)
    if newest is None or not actor.may(Permission.JOBS_READ):
        return
    job_progress.awaited(
        newest.job_id, key=f"{KEY}.job", before=newest, read=lambda: _newest(asked)
    )
    if not newest.items:
        return
    st.session_state[_BUTTON + ".items"] = newest.items
    tables.show(
        newest.items,
        _row,
        key=f"{KEY}.previews",
        alt="What a run on each table with a copy would change",
        optional=("Blocked",),
        config={
            "Plain rows": st.column_config.NumberColumn(format="localized"),
            "Do": st.column_config.ButtonColumn("Do", key=_BUTTON, on_click=_open),
        },
    )
    if newest.note:
        st.caption(escape(newest.note))


def _newest(asked: copies.Asked) -> CopyPreviews | None:
    try:
        return calls.fetch(
            copies.previews, dataset=asked["dataset"], environment=asked["environment"]
        )
    except NotFound:
        return None


def _row(each: CopyPreview) -> dict[str, Any]:
    return {
        "Table": each.table,
        "Columns": named(each.columns),
        "Plain rows": each.rows_to_update,
        "Blocked": each.error or "; ".join(each.blockers),
        "Do": "Preview",
    }


def _open() -> None:
    items: list[CopyPreview] = st.session_state.get(_BUTTON + ".items", [])
    place = st.session_state[_BUTTON]["row"]
    if place >= len(items):
        return
    preview_view.forget()
    st.query_params.pop("run", None)
    st.query_params.update({"view": "tokenize", "dataset": items[place].dataset})
    st.query_params["column"] = list(items[place].columns)
