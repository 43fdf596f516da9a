"""How connection tests look: one result in full, a history, a short list."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from backend.connections.kinds import KINDS
from backend.connections.schemas import TestResult
from pages.shell.errors import escape
from pages.widgets import status, times


def result(item: TestResult) -> None:
    """Outcome, latency, version, cause and advice of one test."""
    label, took = KINDS[item.kind].label, times.duration(item.latency_ms / 1000)
    when = f" · tested {times.relative(item.tested_at)}" if item.tested_at else ""
    version = f" · {escape(item.server_version)}" if item.server_version else ""
    what = "Unsaved edits of " if item.draft else ""
    if item.ok:
        st.success(
            f"**{what}{label}** answered in {took}{version}{when}",
            icon=":material/check_circle:",
        )
    else:
        text = f"**{what}{label}**: {escape(item.cause)}"
        if item.advice:
            text += f"\n\n**What to do:** {escape(item.advice)}"
        st.error(text, icon=":material/error:")
        st.caption(f"{took}{version}{when}")
    for warning in item.warnings:
        st.warning(escape(warning), icon=":material/warning:")


def results(items: Sequence[TestResult]) -> None:
    """Every result of a test of all: the failed ones in full, then a line per good one."""
    for item in items:
        if not item.ok or item.warnings:
            result(item)
    for item in items:
        if item.ok and not item.warnings:
            took = times.duration(item.latency_ms / 1000)
            st.markdown(
                f"{status.markdown('ok')} **{KINDS[item.kind].label}** in {took} "
                f"· {escape(item.server_version) or 'no version told'}"
            )


def history(items: Sequence[TestResult]) -> None:
    """Past tests, newest first."""
    if not items:
        st.caption("Not tested yet.")
        return
    frame = pd.DataFrame(
        {
            "When": [times.exact(item.tested_at) for item in items],
            "Outcome": ["ok" if item.ok else "failed" for item in items],
            "Latency (ms)": [item.latency_ms for item in items],
            "Server": [item.server_version for item in items],
            "Cause": [item.cause for item in items],
            "Advice": [item.advice for item in items],
            "By": [item.tested_by for item in items],
            "Settings": ["unsaved edits" if item.draft else "saved" for item in items],
        }
    )
    st.dataframe(frame, hide_index=True, width="stretch", key="connections.history")


def word(item: TestResult | None, *, configured: bool) -> str:
    """The status word of a connection."""
    if not configured:
        return "not set"
    if item is None:
        return "untested"
    return "ok" if item.ok else "failed"
