"""The history of runs, and one run: live, then its result and what DataHub says now."""

from functools import partial
from typing import Any

import streamlit as st

from backend.core.access import Actor, Permission
from backend.tokenization import catalog, cleaning, service
from backend.tokenization.engines import left_behind
from backend.tokenization.schemas import (
    CatalogStatus,
    CleanUpState,
    RunFilters,
    RunPage,
    RunState,
    RunView,
    Trigger,
)
from backend.tokenization.sources import POSTGRES
from pages.shared import beside, drawer, filters, job_progress, status, tables, times
from pages.shell import calls, flash
from pages.shell.errors import escape
from pages.tokenization import copies_view

PAGE = 50
_SAYS = "tokenization.says"


def history(environment: str) -> None:
    """The list with its filters; a chosen row opens in a drawer."""
    wanted = _ask_filters(environment)
    before = filters.number("before")
    page = calls.read(service.list_runs, filters=wanted, limit=PAGE, before=before)
    if page.items:
        _table(page, wanted)
        return
    if page.next_cursor is not None:
        st.info(tables.SEARCH_ON)
    elif before is not None or wanted.state or wanted.trigger or wanted.text:
        st.info("No run fits these filters. Clear one.")
    else:
        st.info("No run was made yet. Runs appear here however they were started.")
    _pages(page)


def _pages(page: RunPage) -> None:
    filters.pages(page.next_cursor, parameter="before", key="tokenization")


def _ask_filters(environment: str) -> RunFilters:
    with filters.folded("runs"):
        state, trigger, text = st.columns(3)
        with state:
            wanted_state = filters.choice(
                "State", "state", [each.value for each in RunState], key="tokenization.state"
            )
        with trigger:
            wanted_trigger = filters.choice(
                "Started by", "by", [each.value for each in Trigger], key="tokenization.by"
            )
        with text:
            wanted_text = filters.text("Dataset or person", "text", key="tokenization.filter")
    return RunFilters(environment or None, wanted_state, wanted_trigger, wanted_text)


def _table(page: RunPage, wanted: RunFilters) -> None:
    current = filters.number("run")
    opened = tables.choose(
        page.items,
        _row,
        id_of=lambda run: run.id,
        current=current,
        key="tokenization.history",
        alt="Runs of tokenization, newest first",
        states=("State", "DataHub"),
        hidden=("Environment",),
        file="tokenization-runs",
        everything=lambda: tables.every_page(
            service.list_runs, "before", filters=wanted, limit=PAGE
        ),
        foot=lambda: _pages(page),
        placeholder="",
        config={"Changed": st.column_config.NumberColumn("Changed", format="localized")},
    )
    if opened != current:
        filters.put("run", opened)
        st.rerun()


def _row(run: RunView) -> dict[str, Any]:
    return {
        "Run": run.id,
        "Table": run.table,
        "State": run.state.value,
        "Changed": run.rows_updated,
        "Columns": ", ".join(c.name for c in run.columns),
        "By": f"{run.actor} ({run.trigger.value})",
        "Created": run.created_at,
        "Took": times.duration(run.seconds),
        "DataHub": run.write_back.value,
        "Environment": run.environment,
    }


def chosen(actor: Actor) -> None:
    """The drawer of the run of the address, if there is one."""
    number = filters.number("run")
    if number is not None:
        drawer.show(f"Run {number}", partial(_details, actor, number), parameter="run")


def _details(actor: Actor, number: int) -> None:
    run = calls.read(service.get, run_id=number)
    st.markdown(f"{status.markdown(run.state.value)} {escape(run.table)}")
    if run.state in (RunState.QUEUED, RunState.RUNNING) and run.job_id is not None:
        job_progress.awaited(
            run.job_id,
            key="tokenization.job",
            before=run,
            read=lambda: calls.read(service.get, run_id=number),
        )
        return
    _result(run)
    _catalog(actor, run)
    _left_behind(actor, run)
    copies_view.draw(actor, run)


def _result(run: RunView) -> None:
    good = run.state in (RunState.SUCCEEDED, RunState.SKIPPED)
    (st.success if good else st.warning)(escape(run.details))
    scanned, updated, took, finished = st.columns(4)
    scanned.metric("Rows scanned", f"{run.rows_scanned or 0:,}")
    updated.metric("Rows changed", f"{run.rows_updated or 0:,}")
    took.metric("Took", times.duration(run.seconds) or "–")
    finished.metric(
        "Ended",
        times.relative(run.finished_at, never="not yet"),
        help=times.exact(run.finished_at) or None,
    )
    tables.show(
        run.columns,
        lambda column: {"Column": column.name, "Why": column.reason},
        key="tokenization.run.columns",
        alt="Columns of this run, and why each",
    )
    st.caption(
        f"Asked for by {escape(run.actor)} ({run.trigger.value}), environment "
        f"{escape(run.environment)}, scheme {run.scheme}, {run.method.value}."
    )


def _catalog(actor: Actor, run: RunView) -> None:
    """The write-back's own state, and what DataHub shows when asked now."""
    st.markdown(f"**DataHub** {status.markdown(run.write_back.value)}")
    if run.write_back_details:
        st.caption(escape(run.write_back_details))
    if run.state is RunState.SKIPPED:
        return
    again, retry, _ = st.columns([2, 2, 4])
    question = (run.id, run.write_back, run.write_back_at)  # once per outcome, not at every rerun
    ask = calls.bound(catalog.status_of_run, run_id=run.id)
    again.button(
        "Ask DataHub again",
        key="tokenization.read_back",
        icon=":material/cloud_download:",
        on_click=beside.begin,
        args=(_SAYS, question, ask),
    )
    found = beside.shown(_SAYS, question, ask)
    # Skipped while there was no DataHub; now there is one, and it knows the table.
    late = run.write_back.value == "skipped" and found is not None
    if (
        (run.write_back.value == "failed" or late)
        and actor.may(Permission.TOKENIZATION_RUN)
        and retry.button(
            "Write it now" if late else "Write it again",
            key="tokenization.retry",
            icon=":material/replay:",
        )
        and calls.write(service.retry_write_back, run_id=run.id) is not None
    ):
        flash.info(f"The outcome of run {run.id} is written in the background.")
        st.rerun()
    if found is not None:
        _says(found)
    elif beside.answered(_SAYS):
        st.caption(
            f"Nothing to show: {escape(run.environment)} has no DataHub connection, or DataHub "
            "does not know this table, or it did not answer."
        )
        if run.write_back.value == "skipped":
            beside.forget(_SAYS)  # there was no DataHub; one may have been set by the next look


def _says(found: CatalogStatus) -> None:
    names = [tag.removeprefix("urn:li:tag:") for tag in found.tags]
    st.markdown("It says now: " + (", ".join(f"**{escape(name)}**" for name in names) or "none"))
    if found.url:
        st.link_button("Open in DataHub", found.url, icon=":material/open_in_new:")
    if found.last_run:
        st.code(found.last_run, language="json", wrap_lines=True)
    if found.description:
        with st.expander("Documentation"):
            st.code(found.description, language="markdown", wrap_lines=True)


def _left_behind(actor: Actor, run: RunView) -> None:
    if run.state is not RunState.SUCCEEDED:
        return
    if run.clean_up_details:
        good = run.clean_up is CleanUpState.SUCCEEDED
        (st.success if good else st.warning)(escape(run.clean_up_details))
    elif run.clean_up is CleanUpState.WANTED:
        st.caption("The clean-up is under way.")
    if (
        run.engine == POSTGRES
        and actor.may(Permission.TOKENIZATION_RUN)
        and st.button(
            "Clean up",
            key="tokenization.clean_up_run",
            icon=":material/cleaning_services:",
            help="VACUUM, ANALYZE, REFRESH of the named materialized views, and a check of all.",
        )
        and calls.write(cleaning.start, run_id=run.id) is not None
    ):
        flash.info(f"Run {run.id} is cleaned up in the background.")
        st.rerun()
    with st.expander("What this run cannot erase", icon=":material/history:"):
        st.markdown("\n".join(f"- {escape(each)}" for each in left_behind(run.engine)))
