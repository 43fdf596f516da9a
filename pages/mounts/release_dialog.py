"""Releasing a dead host: its plan, the host's name typed, a job with progress."""

from collections.abc import Sequence

import streamlit as st

from backend.core.words import counted
from backend.mounts import release
from backend.mounts.schemas import OrphanView
from pages.mounts import dialog_calls
from pages.mounts.filter_bar import Wanted
from pages.shared import confirm
from pages.shell import calls
from pages.shell.errors import escape

RELEASE, HOST = "mounts.release", "mounts.release.host"
DEAD = {"no_queue", "no_consumer"}
MOST_HOSTS = 20


def offer(items: Sequence[OrphanView]) -> None:
    """A button for each host of the list whose queue nobody reads."""
    hosts = sorted({item.host for item in items if item.host and DEAD & set(item.evidence)})
    if not hosts:
        return
    with st.popover(f"Dead hosts ({len(hosts)})", icon=":material/dns:"):
        st.caption("For hosts that are gone for good: their entries say unmounted afterwards.")
        for host in hosts[:MOST_HOSTS]:
            st.button(
                f"Release {host} …", key=f"mounts.release.{host}", on_click=_open, args=(host,)
            )


def _open(host: str) -> None:
    st.session_state[HOST] = host
    confirm.open_dialog(RELEASE)


def draw(wanted: Wanted) -> None:
    """The dialog, while it is open."""
    host = st.session_state.get(HOST)
    if not confirm.is_open(RELEASE) or not host:
        return
    plan = calls.read(release.plan, environment=wanted.where, host=host)

    def body() -> None:
        many = counted(len(plan.entries), "entry says", "entries say")
        jobs = ", ".join(str(entry.jobid) for entry in plan.entries[:20])
        more = " …" if len(plan.entries) > 20 else ""
        st.markdown(f"**{many} mounted** on {escape(host)}, for job {escape(jobs)}{more}.")
        if plan.refused:
            st.error(escape(plan.refused))
            return
        st.info(f"{escape(plan.evidence)} Nothing is sent; only the ledger changes.")
        st.warning(
            "A server that lost its broker looks the same while its mounts are real. Release only "
            "a host that is gone. When it comes back, **Verify** an entry: the host is set right."
        )

    def act() -> bool:
        return dialog_calls.submit(
            release.submit, environment=wanted.where, host=host, digest=plan.digest
        )

    confirm.ask(
        RELEASE,
        title=f"Release {host}",
        body=body,
        action="Release",
        on_confirm=act,
        typed=host,
    )
