"""Runs: the list with its filters, and one run live with its log."""

import json
from collections import Counter
from datetime import timedelta
from typing import Any

import streamlit as st

from backend.core import clock
from backend.core.access import Actor, Permission
from backend.core.errors import PortalError
from backend.ingestion import executions, service, tracker
from backend.ingestion.schemas import STATUSES, RunFilter, RunPage, RunView
from pages.ingestion import execution_view, run_view
from pages.shared import beside, charts, drawer, filters, names, reason, rows, status, tables, times
from pages.shell import calls, errors, flash
from pages.shell.errors import escape

POLL_SECONDS = 2.0
PAGE = 50
DAYS = 30
_CARD = "ingestion.chosen"
_CHECK = "ingestion.check"
_COLOURS = {
    "succeeded": charts.GREEN,
    "running": charts.BLUE,
    "accepted": charts.GREY,
    "failed": charts.RED,
    "unknown": charts.VIOLET,
}


def ask(actor: Actor, environment: str) -> RunFilter:
    """The filters, kept in the address."""
    with filters.folded("runs"):
        state, dataset, who, mine = st.columns([2, 3, 2, 1.2], vertical_alignment="bottom")
        with state:
            states = filters.choices(
                "Status", "status", STATUSES, key="ingestion.status", empty="All"
            )
        with dataset:
            urn = filters.text("Dataset or job URN", "dataset_urn", key="ingestion.filter.dataset")
        with who:
            name = filters.text("Asked by", "by", key="ingestion.by")
        if mine.checkbox("Mine", key="ingestion.mine"):
            name = actor.name
    of_job = urn.startswith("urn:li:dataJob:")
    return RunFilter(
        dataset_urn="" if of_job else urn,
        job_urn=urn if of_job else "",
        actor_name=name,
        statuses=states,
        environment=environment,
    )


def load(wanted: RunFilter) -> RunPage:
    before = filters.number("before")
    return calls.read(service.list_runs, wanted=wanted, limit=PAGE, cursor=before)


def chart(wanted: RunFilter) -> None:
    """Runs per day by how they stand, in the browser's days; nothing without any."""
    found = calls.read(service.recent, wanted=wanted, days=DAYS)
    if not found.moments:
        return
    zone, today = times.zone(), clock.now().astimezone(times.zone()).date()
    days = [today - timedelta(days=back) for back in reversed(range(DAYS))]
    counts = Counter((at.astimezone(zone).date(), state) for at, state in found.moments)
    total = {name: sum(counts[day, name] for day in days) for name in _COLOURS}
    said = ", ".join(f"{count:,} {name}" for name, count in total.items() if count)
    charts.stacked_bars(
        f"Runs per day, last {DAYS} days",
        [f"{day:%-d %b}" for day in days],
        {name: [counts[day, name] for day in days] for name in _COLOURS},
        _COLOURS,
        bar="Day",
        said=f"Runs per day of the last {DAYS} days by status. In all {said or 'none'}.",
    )
    if not found.complete:
        st.caption(f"From the newest {len(found.moments):,} runs.")


def table(page: RunPage, wanted: RunFilter, *, of_one_dataset: bool = False) -> None:
    """Draw the list that `wanted` found; choosing a row opens that run."""
    if not page.items:
        everything = RunFilter(environment=wanted.environment)
        if page.next_cursor is not None:
            st.info(tables.SEARCH_ON)
        elif wanted != everything or st.query_params.get("before"):
            st.info("No run fits these filters. Clear one.")
        else:
            st.info("No run yet. Runs appear here when a dataset's ingestion is started.")
        _pages(page)
        return
    opened = tables.choose(
        page.items,
        _row,
        id_of=lambda run: run.run_id,
        current=st.query_params.get("run") or None,
        title="Dataset",
        key="ingestion.table",
        alt="Runs of ingestion, newest first",
        states=("Status",),
        hidden=("Environment", "URN", *(("Dataset",) if of_one_dataset else ())),
        file="ingestion-runs",
        everything=lambda: tables.every_page(service.list_runs, wanted=wanted),
        foot=lambda: _pages(page),
    )
    filters.put("run", opened)


def _pages(page: RunPage) -> None:
    filters.pages(page.next_cursor, parameter="before", key="ingestion")


def _row(run: RunView) -> dict[str, Any]:
    return {
        "Created": run.created_at,
        "Dataset": names.urn_name(run.subject),
        "Status": run.status,
        "Rule": run.rule.replace("_", " "),
        "By": run.actor_name,
        "Took": times.took(run.started_at, run.finished_at),
        "Reason": run.reason[:200],
        "Run": run.run_id,
        "Environment": run.environment,
        "URN": run.subject,
    }


def chosen(actor: Actor) -> None:
    """The run of the address below its form, live while it may still change."""
    run_id = st.query_params.get("run", "")
    if not run_id:
        return
    with st.container(border=True):
        if _run(actor, run_id):
            st.button("Close", key="ingestion.close", on_click=_close)
            rows.show(run_id, key=_CARD)


def opened(actor: Actor) -> None:
    """The run of the address in a drawer over the list."""
    run_id = st.query_params.get("run", "")

    def body() -> None:
        _run(actor, run_id)

    if run_id:
        drawer.show(f"Run {escape(run_id)}", body, parameter="run")


def _run(actor: Actor, run_id: str) -> bool:
    """How it goes and what can be done; False when that cannot be said, and why was."""
    try:
        _check(run_id)
        beside.wait_for(_CHECK)
        run = calls.fetch(service.get_run, run_id=run_id)
    except PortalError as exc:
        errors.show(exc)
        return False
    if run.settled:
        _details(run)
    else:
        _live(run_id)
    _actions(actor, run)
    return True


@st.fragment(run_every=POLL_SECONDS)
def _live(run_id: str) -> None:
    _check(run_id)
    run = calls.read(service.get_run, run_id=run_id)
    _details(run)
    if run.settled:
        flash.rerun()


def _check(run_id: str) -> None:
    """Have AWS asked beside the page, which draws what is stored: AWS may take its time."""
    beside.nudge(_CHECK, run_id, calls.bound(tracker.watch, run_id=run_id))


def _details(run: RunView) -> None:
    st.markdown(
        f"{status.markdown(run.status)} **{escape(names.urn_name(run.subject))}**"
        f" · {escape(run.run_id)}"
    )
    st.markdown(escape(run.detail))
    times.captions(
        (f"Asked by {escape(run.actor_name)}", run.created_at, "never"),
        ("Started", run.started_at, "not seen"),
        ("Ended", run.finished_at, "not seen"),
        ("Last status check", run.looked_at, "never"),
    )
    if run.datahub:
        st.caption(escape(run.datahub))
    execution_view.draw(run)
    execution_view.log(run.log_tail, key="ingestion.log")
    with st.expander("What was sent, and where"):
        st.code(run.subject, language=None, wrap_lines=True)
        st.json(json.loads(run.payload))
        st.caption(f"SHA-256 {run.payload_hash}")
        if run.target is not None:
            st.markdown(_where(run))


def _where(run: RunView) -> str:
    facts = [
        ("Target", run.target.name if run.target else ""),
        ("Rule", f"{run.rule} ({run.rule_source}) {run.rule_pattern}"),
        ("Region", run.region),
        ("Type", run.machine_type),
        ("Request id", run.request_id),
        ("Execution", run.execution_arn),
        ("Log group", run.log_group),
    ]
    return "  \n".join(f"**{name}** {escape(value)}" for name, value in facts if value)


def _actions(actor: Actor, run: RunView) -> None:
    again, stop, release = st.columns(3)
    if actor.may(Permission.INGESTION_RUN):
        again.button(
            "Run again …",
            key="ingestion.again",
            icon=":material/replay:",
            on_click=run_view.fill_from,
            args=(run,),
            width="stretch",
        )
        with stop:
            _step_functions(run)
        if run.active and run.status in ("unknown", "failed"):
            release.button(
                "Release the dataset",
                key="ingestion.release",
                help="Lets it be run again although this run may not be over.",
                on_click=_release,
                args=(run,),
                width="stretch",
            )


def _step_functions(run: RunView) -> None:
    """What can be asked for of an execution: to stop, or to go on where it failed."""
    if run.can_stop and st.button(
        "Stop", key="ingestion.stop", icon=":material/stop_circle:", width="stretch"
    ):
        _asked(calls.run(service.stop, run_id=run.run_id), "stop")
    if not run.can_redrive:
        return
    reason.field("ingestion.redrive")
    if st.button(
        "Redrive",
        key="ingestion.redrive",
        icon=":material/restart_alt:",
        help="The execution goes on from the step that failed.",
        width="stretch",
    ):
        with reason.given("ingestion.redrive"):
            done = calls.run(executions.redrive, run_id=run.run_id)
        _asked(done, "redrive")


def _asked(done: RunView | None, word: str) -> None:
    if done is not None:
        flash.info(f"Step Functions was asked to {word} the execution.")
        st.rerun()


def _close() -> None:
    st.query_params.pop("run", None)
    rows.put_away(_CARD)


def _release(run: RunView) -> None:
    if calls.write(service.release, run_id=run.run_id) is not None:
        flash.info("The dataset can be run again. This run is still followed.")


def last_of_dataset(environment: str) -> None:
    """The last runs of the dataset in the form; nothing of one that has none, or is none."""
    urn = st.query_params.get("dataset_urn", "").strip()
    if not urn:
        return
    wanted = RunFilter(dataset_urn=urn, environment=environment)
    found = load(wanted)
    if found.items:
        st.markdown("**Last runs of this dataset**")
        table(found, wanted, of_one_dataset=True)
