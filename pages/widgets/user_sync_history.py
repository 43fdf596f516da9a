"""The newest plans and runs of an environment, each a link."""

import pandas as pd
import streamlit as st

from backend.user_sync import service
from backend.user_sync.schemas import PlanView, RunView
from pages.shell import calls
from pages.widgets import times

SHOWN = 50


def draw(environment: str) -> None:
    """Both lists; a chosen line opens what it names."""
    st.subheader("Runs", anchor=False)
    runs = calls.read(service.list_runs, environment=environment, limit=SHOWN)
    if runs:
        _choose("run", [run.id for run in runs], _runs(runs), key="user_sync.runs")
    else:
        st.caption("Nothing was applied yet.")
    st.subheader("Plans", anchor=False)
    plans = calls.read(service.list_plans, environment=environment, limit=SHOWN)
    if plans:
        _choose("plan", [plan.id for plan in plans], _plans(plans), key="user_sync.plans")
    else:
        st.caption("No plan was made yet.")


def _choose(what: str, ids: list[int], frame: pd.DataFrame, *, key: str) -> None:
    event = st.dataframe(
        frame,
        hide_index=True,
        width="stretch",
        key=key,
        on_select="rerun",
        selection_mode="single-row",
    )
    rows = event["selection"]["rows"]
    if not rows or rows[0] >= len(ids) or st.query_params.get(what) == str(ids[rows[0]]):
        return
    st.query_params[what] = str(ids[rows[0]])
    st.query_params["view"] = "plan" if what == "plan" else "history"
    st.rerun()


def _runs(runs: tuple[RunView, ...]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Run": [run.id for run in runs],
            "Plan": [run.plan_id for run in runs],
            "State": [run.state for run in runs],
            "Applied": [run.counts.get("applied", 0) for run in runs],
            "Conflicts": [run.counts.get("conflict", 0) for run in runs],
            "Failed": [run.counts.get("failed", 0) + run.counts.get("unknown", 0) for run in runs],
            "Not tried": [run.total - run.done for run in runs],
            "By": [run.actor_name for run in runs],
            "When": [times.relative(run.created_at) for run in runs],
        }
    )


def _plans(plans: tuple[PlanView, ...]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Plan": [plan.id for plan in plans],
            "State": [_state(plan) for plan in plans],
            "Made": [plan.origin for plan in plans],
            "Changes": [plan.changes for plan in plans],
            "Run": [plan.run_id for plan in plans],
            "By": [plan.actor_name for plan in plans],
            "When": [times.relative(plan.created_at) for plan in plans],
        }
    )


def _state(plan: PlanView) -> str:
    if plan.run_id is not None:
        return "applied"
    return "expired" if plan.state == "ready" and plan.expired else plan.state
