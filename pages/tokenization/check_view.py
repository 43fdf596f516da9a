"""Compare DataHub's tags with the tables: what differs, and the repair of each difference."""

from functools import partial
from typing import Any

import streamlit as st

from backend.core.access import Actor, Permission
from backend.tokenization import check, comparison
from backend.tokenization.comparison import Comparison
from backend.tokenization.schemas import Trigger
from pages.shared import job_progress, reason, tables, times
from pages.shell import calls, flash
from pages.shell.errors import escape

KIND = comparison.KIND
_REPAIRS = {
    check.RUN_AGAIN: "Run again",
    check.REKEY: "Re-key",
    check.WRITE_AGAIN: "Write to DataHub again",
    check.BY_HAND: "by hand",
}


def draw(actor: Actor, environment: str) -> None:
    """Start a comparison, watch it, read the newest one, and mend what it found."""
    st.markdown(
        "Counts plain values in every column that a run tokenized or DataHub calls done. No table "
        "is changed; a proof that an ingestion dropped from DataHub is written again."
    )
    if actor.may(Permission.TOKENIZATION_PREVIEW) and st.button(
        "Compare now", key="tokenization.compare", type="primary", icon=":material/rule:"
    ):
        calls.write(comparison.start, environment=environment or None)
    read = partial(calls.read, comparison.latest, environment=environment or None)
    found = read()
    if found is None:
        st.info("No comparison has been made yet.")
        return
    job_progress.awaited(found.job_id, key=KIND, before=found, read=read)
    if found.result is not None:
        times.caption("Made", found.finished_at)
        _result(actor, environment, found, found.result)


def _result(actor: Actor, environment: str, found: Comparison, result: dict[str, Any]) -> None:
    checked, agree = st.columns(2)
    checked.metric("Datasets compared", str(result.get("checked", 0)))
    agree.metric("Agree", str(result.get("agree", 0)))
    findings = result.get("findings") or []
    if found.rest:
        st.warning(escape(found.rest))
    if not findings:
        st.success("DataHub and the tables agree.")
        return
    tables.show(
        findings,
        lambda each: {
            "Difference": each["finding"],
            "Dataset": each["dataset"],
            "Columns": ", ".join(each["columns"]),
            "Detail": each["detail"],
            "Repair": _repair(each),
        },
        key="tokenization.findings",
        alt="Where DataHub and the tables differ",
    )
    mendable = [each for each in found.open if each.get("repair") in _MENDS]
    if mendable and actor.may(Permission.TOKENIZATION_RUN):
        _mend(environment, mendable)


_MENDS = (check.RUN_AGAIN, check.REKEY, check.WRITE_AGAIN)


def _repair(finding: dict[str, Any]) -> str:
    done = "done" if finding.get("repaired") else ""
    return done or _REPAIRS.get(finding.get("repair", ""), "")


def _mend(environment: str, mendable: list[dict[str, Any]]) -> None:
    choice, button = st.columns([5, 2], vertical_alignment="bottom")
    place = choice.selectbox(
        "Difference to mend",
        range(len(mendable)),
        format_func=lambda each: f"{mendable[each]['finding']} · {mendable[each]['dataset']}",
        key="tokenization.difference",
    )
    chosen = mendable[place or 0]
    reason.field("tokenization.mend")
    if not button.button(
        _REPAIRS[chosen["repair"]], key="tokenization.mend", icon=":material/build:"
    ):
        return
    with reason.given("tokenization.mend"):
        run = calls.run(
            comparison.repair,
            dataset=chosen["dataset"],
            finding=chosen["finding"],
            environment=environment or None,
            trigger=Trigger.PAGE,
        )
    if run is not None:
        flash.info(f"Run {run.id} mends it; compare again when it has ended.")
        st.query_params.update({"view": "runs", "run": str(run.id)})
        st.rerun()
