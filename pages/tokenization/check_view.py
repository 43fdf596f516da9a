"""Compare DataHub's tags with the tables: who says done and is not, and the reverse."""

import pandas as pd
import streamlit as st

from backend.core.access import Actor, Permission
from backend.jobs import service as jobs
from backend.tokenization import service
from pages.shared import job_progress, times
from pages.shell import calls
from pages.shell.errors import escape

KIND = "tokenization.check"


def draw(actor: Actor, environment: str) -> None:
    """Start a comparison, watch it, and read the newest one."""
    st.markdown(
        "Counts plain values in every table that DataHub calls done, and in every table that a "
        "run succeeded on. Nothing is changed."
    )
    if actor.may(Permission.TOKENIZATION_PREVIEW) and st.button(
        "Compare now", key="tokenization.compare", type="primary", icon=":material/rule:"
    ):
        calls.write(service.start_check, environment=environment or None)
    page = calls.read(jobs.list_jobs, kind=KIND, limit=1)
    if not page.items:
        st.info("No comparison has been made yet.")
        return
    view = job_progress.show(page.items[0].id, key=KIND)
    if view.result is not None:
        times.caption("Made", view.finished_at)
        _result(view.result)


def _result(result: dict[str, object]) -> None:
    checked, agree = st.columns(2)
    checked.metric("Datasets compared", str(result.get("checked", 0)))
    agree.metric("Agree", str(result.get("agree", 0)))
    findings = result.get("findings")
    if not isinstance(findings, list) or not findings:
        st.success("DataHub and the tables agree.")
        return
    st.dataframe(
        pd.DataFrame(
            {
                "Finding": [each["finding"] for each in findings],
                "Dataset": [each["dataset"] for each in findings],
                "Columns": [", ".join(each["columns"]) for each in findings],
                "Detail": [each["detail"] for each in findings],
            }
        ),
        hide_index=True,
        width="stretch",
        key="tokenization.findings",
    )
    if result.get("more"):
        st.caption(escape(f"… and {result['more']} more."))
