"""How connection tests look: one result in full, a history, a short list."""

from collections.abc import Sequence
from statistics import median

import pandas as pd
import streamlit as st

from backend.connections import tls
from backend.connections.kinds import KINDS
from backend.connections.schemas import TestResult
from pages.shared import charts, status, tables, times
from pages.shell.errors import escape


def result(item: TestResult) -> None:
    """Outcome, latency, version, cause and advice of one test."""
    label, took = KINDS[item.kind].label, times.duration(item.latency_ms / 1000)
    version = f" · {escape(item.server_version)}" if item.server_version else ""
    what = "Unsaved edits of " if item.draft else ""
    if item.ok:
        st.success(
            f"**{what}{label}** answered in {took}{version}",
            icon=":material/check_circle:",
        )
    else:
        text = f"**{what}{label}**: {escape(item.cause)}"
        if item.advice:
            text += f"\n\n**What to do:** {escape(item.advice)}"
        st.error(text, icon=":material/error:")
    for warning in item.warnings:
        st.warning(escape(warning), icon=":material/warning:")
    _certificates(item)
    if item.tested_at:
        times.caption("Tested" if item.ok else f"Took {took}{version}, tested", item.tested_at)


def _certificates(item: TestResult) -> None:
    """The chain that the server showed, its own first."""
    if not item.tls:
        return
    left = tls.days_left(item.tls)
    word = "trusted" if item.tls["trusted"] else f"not trusted: {item.tls['problem']}"
    with st.expander(f"{item.tls['version']} certificate, {left} days left, {escape(word)}"):
        tables.show(
            item.tls["chain"],
            lambda each: {
                "Certificate": each["subject"],
                "Issued by": each["issuer"],
                "Names": ", ".join(each["names"]),
                "Ends": each["not_after"][:10],
            },
            key=f"connections.chain.{item.kind}",
            alt="The certificates that the server showed, its own first",
        )


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
                f"· {escape(item.server_version) or 'version not told'}"
            )


def history(items: Sequence[TestResult]) -> None:
    """Past tests, newest first."""
    if not items:
        st.caption("Not tested yet.")
        return
    _latency(items)
    tables.show(
        items,
        lambda item: {
            "When": item.tested_at,
            "Outcome": "ok" if item.ok else "failed",
            "Latency (ms)": item.latency_ms,
            "Server": item.server_version,
            "Cause": item.cause,
            "Advice": item.advice,
            "By": item.tested_by,
            "Settings": "unsaved edits" if item.draft else "saved",
        },
        key="connections.history",
        alt="Past tests of this connection, newest first",
        states=("Outcome",),
        optional=("Cause", "Advice"),
    )


def _latency(items: Sequence[TestResult]) -> None:
    """How long the tests took over time: a dot each, failed ones crossed; nothing for just one."""
    if len(items) < 2:
        return
    import altair as alt  # half a second that nobody waits for who looks at no history

    good = [item.latency_ms for item in items if item.ok]
    said = f"Last {len(items)} tests, {len(items) - len(good)} of them failed."
    if good:
        said += (
            f" The good ones took {times.duration(median(good) / 1000)} at the median and "
            f"{times.duration(max(good) / 1000)} at most."
        )
    rows = pd.DataFrame(
        {
            "Tested": [times.exact(item.tested_at)[:19] for item in items],
            "Latency (ms)": [item.latency_ms for item in items],
            "Outcome": ["ok" if item.ok else "failed" for item in items],
        }
    )
    words = ["ok", "failed"]
    chart = (
        alt.Chart(rows, description=said)
        .mark_point(filled=True, size=70, opacity=1)
        .encode(
            x=alt.X("Tested:T", title=None, axis=alt.Axis(labelOverlap="greedy", grid=False)),
            y=alt.Y("Latency (ms):Q", scale=alt.Scale(zero=True)),
            color=alt.Color(
                "Outcome:N",
                title=None,
                scale=alt.Scale(domain=words, range=[charts.GREEN, charts.RED]),
                legend=alt.Legend(orient="top"),
            ),
            shape=alt.Shape("Outcome:N", scale=alt.Scale(domain=words, range=["circle", "cross"])),
            tooltip=["Tested:N", alt.Tooltip("Latency (ms)", format=",d"), "Outcome"],
        )
    )
    st.altair_chart(chart, width="stretch", height=180)
    st.caption(said)


def word(item: TestResult | None, *, configured: bool) -> str:
    """The status word of a connection."""
    if not configured:
        return "not set"
    if item is None:
        return "untested"
    if not item.ok:
        return "failed"
    return "warning" if item.warnings or tls.expiring(item.tls) else "ok"
