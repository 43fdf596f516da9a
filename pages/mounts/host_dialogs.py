"""A host as a whole: released when it is dead, verified when it came back; each planned first,
confirmed, and done by a job with progress."""

from collections.abc import Sequence

import streamlit as st

from backend.core.words import counted
from backend.mounts import release, verification
from backend.mounts.schemas import OrphanView
from pages.mounts import dialog_calls
from pages.mounts.filter_bar import Wanted
from pages.shared import confirm, tables
from pages.shell import calls
from pages.shell.errors import escape

RELEASE, VERIFY, HOST = "mounts.release", "mounts.verify_host", "mounts.dialog.host"
DEAD = {"no_queue", "no_consumer"}
MOST_HOSTS = 20


def offer(items: Sequence[OrphanView]) -> None:
    """A button for each host of the list whose queue nobody reads."""
    hosts = sorted({item.host for item in items if item.host and DEAD & set(item.evidence)})
    if not hosts:
        return
    with st.popover(f"Dead hosts ({len(hosts)})", icon=":material/dns:"):
        st.caption("For hosts that are gone for good: their entries are marked unmounted.")
        for host in hosts[:MOST_HOSTS]:
            st.button(
                f"Release {host} …", key=f"mounts.release.{host}", on_click=_open, args=(host,)
            )


def buttons(host: str) -> None:
    """What can be done with the host of a page."""
    st.button(
        "Verify host …",
        key="mounts.open.verify_host",
        icon=":material/fact_check:",
        help="Ask its DMS server about every mount that the ledger says it holds.",
        on_click=_open,
        args=(host, VERIFY),
    )
    st.button(
        "Release host …",
        key="mounts.open.release",
        icon=":material/link_off:",
        help="For a host that is gone for good.",
        on_click=_open,
        args=(host,),
    )


def _open(host: str, name: str = RELEASE) -> None:
    st.session_state[HOST] = host
    confirm.open_dialog(name)


def draw(wanted: Wanted) -> None:
    """The dialog that is open, if any."""
    host = st.session_state.get(HOST)
    if host and confirm.is_open(RELEASE):
        _release(wanted, host)
    if host and confirm.is_open(VERIFY):
        _verify(wanted, host)


def _verify(wanted: Wanted, host: str) -> None:
    plan = calls.read(verification.plan, environment=wanted.where, host=host)

    def body() -> None:
        many = counted(len(plan.entries), "mount")
        st.markdown(
            f"The DMS server on {escape(host)} is asked about **{many}**, one after the other: to "
            "mount what the ledger says is mounted, to unmount what the ledger gave up. Where the "
            "ledger is right it has nothing to do and says so; **where the host is wrong, it is "
            "set right**."
        )
        if plan.refused:
            st.error(escape(plan.refused))
            return
        st.dataframe(
            [{"Target": e.target, "Backup job": e.jobid, "Ledger says": e.expected} for e in shown],
            hide_index=True,
            height=tables.height(len(shown), whole=False),
            alt="What the server is asked about",
        )
        if len(plan.entries) > len(shown):
            st.caption(f"The first {len(shown)}.")
        st.text_input(
            "Keystone token",
            type="password",
            key=f"{VERIFY}.token",
            help="For targets of type s3. Empty: KEYSTONE_TOKEN, if it is set.",
        )

    def act() -> bool:
        return dialog_calls.submit(
            verification.submit,
            environment=wanted.where,
            host=host,
            digest=plan.digest,
            keystone_token=st.session_state.get(f"{VERIFY}.token") or "",
        )

    shown = plan.entries[:100]
    confirm.ask(
        VERIFY,
        title=f"Verify {escape(host)}",
        body=body,
        action="Ask the server",
        on_confirm=act,
        may_wait=True,
        danger=False,
    )


def _release(wanted: Wanted, host: str) -> None:
    plan = calls.read(release.plan, environment=wanted.where, host=host)

    def body() -> None:
        many = counted(len(plan.entries), "entry says", "entries say")
        word = "backup job" if len(plan.entries) == 1 else "backup jobs"
        jobs = ", ".join(str(entry.jobid) for entry in plan.entries[:20])
        more = " …" if len(plan.entries) > 20 else ""
        st.markdown(f"**{many} mounted** on {escape(host)}, for {word} {escape(jobs)}{more}.")
        if plan.refused:
            st.error(escape(plan.refused))
            return
        st.info(f"{escape(plan.evidence)} Nothing is sent; only the ledger changes.")
        st.warning(
            "A server that lost its broker looks the same while its mounts are real. Release only "
            "a host that is gone. When it comes back, **verify** it: the host is set right."
        )

    def act() -> bool:
        return dialog_calls.submit(
            release.submit, environment=wanted.where, host=host, digest=plan.digest
        )

    confirm.ask(
        RELEASE,
        title=f"Release {escape(host)}",
        body=body,
        action="Release",
        on_confirm=act,
        may_wait=True,
        typed=host,
    )
