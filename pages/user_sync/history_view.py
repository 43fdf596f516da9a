"""The newest plans and runs of an environment: what they found and did, each line a link."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from backend.user_sync import service
from backend.user_sync.schemas import LABELS, PlanView, RunView
from pages.shared import charts, filters, tables
from pages.shell import calls

SHOWN = 50
_BARS = 30
#: A bar's parts, of which none holds another: who will change is counted there only.
_PARTS = {
    "Will change": charts.BLUE,
    "Unknown domain, nothing else": charts.VIOLET,
    "Not in OpenMetadata": charts.GREY,
    "Duplicate": charts.ORANGE,
    "Invalid": charts.RED,
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
    """Both lists, and below them their charts; a chosen line opens what it names."""
    runs = calls.read(service.list_runs, environment=environment, limit=SHOWN)
    plans = calls.read(service.list_plans, environment=environment, limit=SHOWN)
    st.header("Runs", anchor=False)
    if runs:
        chosen = tables.choose(
            runs,
            _run,
            id_of=lambda run: run.id,
            current=filters.number("run"),
            key="user_sync.runs",
            alt="Runs of user sync, newest first",
            states=("State",),
            file="user-sync-runs",
        )
        _open("run", chosen)
    else:
        st.caption("Nothing was applied yet. A run begins when ticked rows of a plan are applied.")
    st.header("Plans", anchor=False)
    if plans:
        chosen = tables.choose(
            plans,
            _plan,
            id_of=lambda plan: plan.id,
            current=filters.number("plan"),
            key="user_sync.plans",
            alt="Plans of user sync, newest first",
            states=("State",),
            file="user-sync-plans",
        )
        _open("plan", chosen)
    else:
        st.caption("No plan was made yet.")
    _charts(plans, runs)


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
    charts.stacked_bars(
        "Differences each plan found",
        [str(plan.id) for plan in plans],
        {part: [_parts(plan)[part] for plan in plans] for part in _PARTS},
        _PARTS,
        bar="Plan",
        said=f"Rows by kind of the last {len(plans)} plans. The newest, plan {last.id}: "
        f"{last.told}.",
    )


def _parts(plan: PlanView) -> dict[str, int]:
    counts = {LABELS[name]: count for name, count in plan.counts.items()}
    both = plan.changes - plan.kinds.get("update", 0)
    counts["Unknown domain, nothing else"] = counts["Unknown domain"] - both
    return counts


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


def _open(what: str, number: int | None) -> None:
    """Go to a run or plan that was chosen just now, or away from one."""
    if number == filters.number(what):
        return
    filters.put(what, number)
    st.query_params["view"] = "plan" if what == "plan" and number else "history"
    st.rerun()


def _run(run: RunView) -> dict[str, Any]:
    return {
        "Run": run.id,
        "Plan": run.plan_id,
        "State": run.state,
        "Applied": _settled(run, "applied"),
        "Conflicts": _settled(run, "conflict"),
        "Failed": _settled(run, "failed"),
        "Unknown": _settled(run, "unknown"),
        "Not tried": _settled(run, "not tried"),
        "By": run.actor_name,
        "Created": run.created_at,
    }


def _settled(run: RunView, outcome: str) -> int | None:
    """Numbers of what has ended; a run at work is counted where it is drawn anew."""
    return _count(run, outcome) if run.ended else None


def _plan(plan: PlanView) -> dict[str, Any]:
    return {
        "Plan": plan.id,
        "State": _state(plan),
        "Planned": _MADE.get(plan.origin, plan.origin),
        "Changes": plan.changes,
        "Run": str(plan.run_id or ""),
        "By": plan.actor_name,
        "Created": plan.created_at,
    }


def _state(plan: PlanView) -> str:
    if plan.run_id is not None:
        return "applied"
    if plan.state == "ready":
        return "expired" if plan.expired else "waiting" if plan.changes else "nothing to do"
    return plan.state
