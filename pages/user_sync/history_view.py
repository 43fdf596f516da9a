"""The newest plans and runs of an environment: what they found and did, each line a link."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from backend.user_sync import service
from backend.user_sync.schemas import KINDS, PlanView, RunView
from pages.shared import charts, times
from pages.shell import calls
from pages.user_sync.plan_view import LABELS

SHOWN = 50
_BARS = 30
_KINDS = {
    "update": charts.BLUE,
    "unknown_domain": charts.VIOLET,
    "not_found": charts.GREY,
    "duplicate": charts.ORANGE,
    "invalid": charts.RED,
}
_OUTCOMES = {
    "applied": charts.GREEN,
    "conflict": charts.ORANGE,
    "failed": charts.RED,
    "unknown": charts.VIOLET,
    "not tried": charts.GREY,
}
_MADE = {
    "manual": "on the page",
    "cli": "command line",
    "api": "REST",
    "schedule": "by schedule",
    "revert": "revert of a run",
}


def draw(environment: str) -> None:
    """Both lists with their charts; a chosen line opens what it names."""
    runs = calls.read(service.list_runs, environment=environment, limit=SHOWN)
    plans = calls.read(service.list_plans, environment=environment, limit=SHOWN)
    _charts(plans, runs)
    st.subheader("Runs", anchor=False)
    if runs:
        st.caption("Choose a run to see what became of each user, to continue or to revert it.")
        _choose("run", [run.id for run in runs], _runs(runs), key="user_sync.runs")
    else:
        st.caption("Nothing was applied yet. A run begins when ticked rows of a plan are applied.")
    st.subheader("Plans", anchor=False)
    if plans:
        st.caption("Choose a plan to review it.")
        _choose("plan", [plan.id for plan in plans], _plans(plans), key="user_sync.plans")
    else:
        st.caption("No plan was made yet.")


def _charts(plans: Sequence[PlanView], runs: Sequence[RunView]) -> None:
    """What plans found and what runs did, oldest on the left; a single one is no history."""
    found = [p for p in reversed(plans) if p.state == "ready" and p.origin != "revert"][-_BARS:]
    done = [run for run in reversed(runs) if run.ended][-_BARS:]
    left, right = st.columns(2)
    if len(found) > 1:
        with left:
            _found(found)
    if len(done) > 1:
        with right if len(found) > 1 else left:
            _done(done)


def _found(plans: list[PlanView]) -> None:
    last = plans[-1]
    said = ", ".join(
        f"{last.kinds[kind]:,} {LABELS[kind].lower()}" for kind in _KINDS if last.kinds.get(kind)
    )
    charts.stacked_bars(
        "Differences each plan found",
        [str(plan.id) for plan in plans],
        {LABELS[k]: [p.kinds.get(k, 0) for p in plans] for k in KINDS if k in _KINDS},
        {LABELS[kind]: colour for kind, colour in _KINDS.items()},
        bar="Plan",
        said=f"Rows by kind of the last {len(plans)} plans. The newest, plan {last.id}: "
        f"{said or 'nothing to do'}.",
    )


def _done(runs: list[RunView]) -> None:
    last = runs[-1]
    charts.stacked_bars(
        "How each run ended",
        [str(run.id) for run in runs],
        {name: [_count(run, name) for run in runs] for name in _OUTCOMES},
        _OUTCOMES,
        bar="Run",
        said=f"Users by outcome of the last {len(runs)} runs. The newest, run {last.id}: "
        + ", ".join(f"{_count(last, name):,} {name}" for name in _OUTCOMES if _count(last, name))
        + ".",
    )


def _count(run: RunView, outcome: str) -> int:
    return run.total - run.done if outcome == "not tried" else run.counts.get(outcome, 0)


def _choose(what: str, ids: list[int], frame: pd.DataFrame, *, key: str) -> None:
    event = st.dataframe(
        frame,
        hide_index=True,
        width="stretch",
        key=key,
        on_select="rerun",
        selection_mode="single-row",
        column_config={
            "Created": times.column("Created"),
            **{
                name: st.column_config.NumberColumn(name, width="small")
                for name in frame.select_dtypes("number").columns
            },
        },
    )
    rows = event["selection"]["rows"]
    if not rows or rows[0] >= len(ids) or st.query_params.get(what) == str(ids[rows[0]]):
        return
    st.query_params[what] = str(ids[rows[0]])
    st.query_params["view"] = "plan" if what == "plan" else "history"
    st.rerun()


def _runs(runs: Sequence[RunView]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Run": [run.id for run in runs],
            "Plan": [run.plan_id for run in runs],
            "State": [run.state for run in runs],
            "Applied": _settled(runs, "applied"),
            "Conflicts": _settled(runs, "conflict"),
            "Failed": _settled(runs, "failed"),
            "Unknown": _settled(runs, "unknown"),
            "Not tried": _settled(runs, "not tried"),
            "By": [run.actor_name for run in runs],
            "Created": [run.created_at for run in runs],
        }
    )


def _settled(runs: Sequence[RunView], outcome: str) -> "pd.Series[int]":
    """Numbers of what has ended; a run at work is counted where it is drawn anew."""
    return pd.Series([_count(run, outcome) if run.ended else None for run in runs], dtype="Int64")


def _plans(plans: Sequence[PlanView]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Plan": [plan.id for plan in plans],
            "State": [_state(plan) for plan in plans],
            "Planned": [_MADE.get(plan.origin, plan.origin) for plan in plans],
            "Changes": [plan.changes for plan in plans],
            "Run": [str(plan.run_id or "") for plan in plans],
            "By": [plan.actor_name for plan in plans],
            "Created": [plan.created_at for plan in plans],
        }
    )


def _state(plan: PlanView) -> str:
    if plan.run_id is not None:
        return "applied"
    if plan.state == "ready":
        return "expired" if plan.expired else "waiting" if plan.changes else "nothing to do"
    return plan.state
