"""What happened inside a run: the steps and graph of an execution, time and memory of a call."""

from typing import Any

import streamlit as st

from backend.ingestion import executions
from backend.ingestion.schemas import History, RunView, Step
from pages.shared import beside, charts, long_text, status, tables, times
from pages.shell import calls
from pages.shell.errors import escape

_TABLE = "ingestion.steps.table"
_HISTORY, _LOG = "ingestion.steps.history", "ingestion.steps.task_log"
_FILL = {
    "succeeded": charts.GREEN,
    "running": charts.BLUE,
    "failed": charts.RED,
    "cancelled": charts.GREY,
}
MAX_NODES = 200


def draw(run: RunView) -> None:
    """The part of a run's card that knows AWS; nothing for those who may not read its names."""
    if run.machine_type == "STANDARD" and run.execution_arn:
        if st.toggle("Steps and graph", key="ingestion.steps", value=run.status == "failed"):
            _execution(run)
        else:
            beside.forget(_HISTORY)  # what was stopped is asked anew when it is wanted again
    elif run.report is not None:
        _call(run)


def log(lines: tuple[str, ...], *, key: str) -> None:
    """The end of a log, narrowed by words."""
    if not lines:
        return
    words = ""
    if len(lines) > 9:
        words = st.text_input("Search the log", key=f"{key}.search").strip().casefold()
    found = [line for line in lines if words in line.casefold()]
    if not found:
        st.caption("No line of the log contains that.")
        return
    text = "\n".join(found[-200:])
    if len(found) > 9:
        long_text.draw(text, language=None, height=260)
    else:
        st.code(text, language=None, wrap_lines=True)


def _call(run: RunView) -> None:
    report = run.report
    if report is None:
        return
    tries, took, memory, start = st.columns(4)
    tries.metric("Tries", run.attempts)
    took.metric("Took", times.duration(report.duration_ms / 1000))
    if report.max_memory_mb and report.memory_mb:
        memory.metric("Memory", f"{report.max_memory_mb:.0f} of {report.memory_mb:.0f} MB")
    cold = report.init_ms is not None
    start.metric("Start", f"cold, {report.init_ms:.0f} ms" if cold else "warm")


def _execution(run: RunView) -> None:
    history = calls.bound(executions.history, run_id=run.run_id)
    found = beside.followed(_HISTORY, run.run_id, run.looked_at, history, goes_on=not run.settled)
    if found is None:
        return
    if not found.complete:
        st.caption("Only the first 5,000 events of the execution were read.")
    chosen = _steps(found)
    if len(found.states) <= MAX_NODES:
        st.graphviz_chart(graph(found), width="content")
    if chosen is not None and chosen < len(found.steps):
        _step(run, found.steps[chosen], chosen)


def _steps(found: History) -> int | None:
    """The timeline; the place of the chosen step."""
    if not found.steps:
        st.caption("No step has begun.")
        return None
    begun = found.steps[0].started_at
    return tables.choose(
        list(enumerate(found.steps)),
        lambda item: _row(item[1], (item[1].started_at - begun).total_seconds()),
        id_of=lambda item: item[0],
        current=tables.remembered(_TABLE),
        key=_TABLE,
        alt="Steps of the execution in their order",
        states=("Status",),
        optional=("Tries", "Error"),
    )


def _row(step: Step, after: float) -> dict[str, Any]:
    return {
        "State": step.state,
        "Status": step.status,
        "Kind": step.kind,
        "After": times.duration(after),
        "Took": times.took(step.started_at, step.finished_at),
        "Tries": step.tries or None,
        "Error": step.error,
    }


def _step(run: RunView, step: Step, place: int) -> None:
    st.markdown(f"{status.markdown(step.status)} **{escape(step.state)}** · {escape(step.kind)}")
    if step.error:
        st.markdown(escape(f"{step.error}: {step.cause}".rstrip(": ")))
    if step.function:
        st.caption(f"Log of {escape(step.function)} while this step ran")
        lines = beside.followed(
            _LOG,
            (run.run_id, place),
            run.looked_at,
            calls.bound(executions.task_log, run_id=run.run_id, step=place),
            goes_on=not run.settled,
        )
        if lines is not None and not lines:
            st.caption("It logged nothing in that time.")
        log(lines or (), key="ingestion.steps.log")


def graph(found: History) -> str:
    """The definition in Graphviz's language, each state in the colour of its last step."""
    last = {step.state: step.status for step in found.steps}
    lines = [
        "digraph { rankdir=TB; bgcolor=transparent; nodesep=0.3; ranksep=0.35;",
        'node [shape=box, style="rounded,filled", fontname="sans-serif", fontsize=11, '
        f'fontcolor=white, color="{charts.GREY}"];',
        f'edge [color="{charts.GREY}", fontcolor="{charts.GREY}", fontsize=9];',
    ]
    for state in found.states:
        fill = _FILL.get(last.get(state.name, ""), "#6b7280")
        lines.append(f'{_quoted(state.name)} [fillcolor="{fill}", tooltip={_quoted(state.kind)}];')
        if state.parent:
            lines.append(f"{_quoted(state.parent)} -> {_quoted(state.name)} [style=dotted];")
        lines += [
            f"{_quoted(state.name)} -> {_quoted(name)} [label={_quoted(why[:30])}];"
            for name, why in state.following
        ]
    return "\n".join([*lines, "}"])


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
