"""The portal called through its public address as an attacker would, and what came out."""

from typing import Any

import streamlit as st

from backend.accounts import deployment
from backend.core.access import Actor, Permission
from backend.jobs import service as jobs
from pages.shared import job_progress, tables, times
from pages.shell import calls
from pages.shell.errors import escape


def show(actor: Actor) -> None:
    """The newest report, and for admins the button for another one."""
    st.markdown(
        "Calls the portal through its public address with a forged X-Forwarded-For, a foreign "
        "Origin, a slow body, a large one and plain http, and says which line of the proxy's "
        "configuration mends what came through. It takes up to a minute and changes nothing."
    )
    newest = next(iter(calls.read(jobs.list_jobs, kind=deployment.KIND, limit=1).items), None)
    if actor.may(Permission.API_TOKENS_WRITE):
        st.button(
            "Prove my deployment",
            key="system.prove",
            type="primary",
            icon=":material/verified_user:",
            disabled=newest is not None and not newest.ended,
            on_click=calls.write,
            args=(deployment.start,),
        )
    if newest is None:
        st.info("It has not been tried yet.")
        return
    view = job_progress.show(newest.id, key="system.prove.job")
    if view.result and view.finished_at:
        _report(view.result["checks"])
        st.caption(f"Of {escape(view.subject)}, {times.exact(view.finished_at)}.")


def _report(checks: list[dict[str, Any]]) -> None:
    bad = sum(not check["ok"] for check in checks)
    if bad:
        st.warning(f"{bad} of {len(checks)} need a change at the proxy or here.")
    else:
        st.success("Nothing came through that should not.", icon=":material/verified_user:")
    tables.show(
        sorted(checks, key=lambda check: check["ok"]),
        lambda check: {
            "Outcome": "succeeded" if check["ok"] else "failed",
            "Sent": check["name"],
            "What came out": check["seen"],
            "What mends it": check["mend"],
        },
        key="system.checks",
        alt="Each request that was sent, what came out, and what mends it",
        states=("Outcome",),
    )
