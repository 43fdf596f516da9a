"""What operators do on the mounts page: dialogs that collect, then one call that starts a job."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from backend.core.words import counted
from backend.mounts import actions, orphans, targets
from backend.mounts.schemas import MountView, OperationView
from pages.mounts import dialog_calls
from pages.mounts.dialog_calls import JOB
from pages.mounts.filter_bar import Wanted, job_number
from pages.shared import confirm, job_progress, primary
from pages.shell import calls, flash
from pages.shell.errors import escape

ENTRY = "mounts.action.entry"
OPERATION = "mounts.action.operation"
MOUNT, UNMOUNT, DELETE, RECHECK, VERIFY, TARGET = (
    "mounts.mount",
    "mounts.unmount",
    "mounts.delete",
    "mounts.recheck",
    "mounts.verify",
    "mounts.template",
)
SCAN, NEW_TEMPLATE = "Look for orphans now", "New template …"
_BY_NAME, _BY_JSON = "By target", "As JSON"


def toolbar(environment: str | None) -> None:
    """What can be done, at the end of the first line."""
    chosen = st.menu_button(
        "More", [SCAN, NEW_TEMPLATE], key="mounts.more", icon=":material/more_horiz:"
    )
    if chosen == SCAN:
        st.session_state[JOB] = calls.write(orphans.submit_scan, environment=environment)
    if chosen == NEW_TEMPLATE:
        confirm.open_dialog(TARGET)
    with st.container(width="content"):
        confirm.opener(
            "Mount …",
            MOUNT,
            lambda: _mount_dialog(environment),
            key="mounts.open.mount",
            icon=":material/add_circle:",
            type="primary",
            shortcut=lambda: primary.key("entry", "operation"),
        )


def progress() -> None:
    """The job that was started last on this page, live; a click puts it away."""
    job_id = st.session_state.get(JOB)
    if job_id is None:
        return
    with st.container(border=True):
        view = job_progress.show(job_id, key=JOB, log_lines=0)
        if view.ended:
            result = view.result or {}
            said = result.get("finding") or result.get("success_msg")
            if view.state == "succeeded" and said:
                st.success(escape(str(said)))
            if st.button("Close", key="mounts.job.close"):
                del st.session_state[JOB]
                st.rerun()


def dialogs(wanted: Wanted) -> None:
    """Draw the dialog that is open, if any."""
    _mount_dialog(wanted.where)
    if not any(confirm.is_open(name) for name in (UNMOUNT, DELETE, RECHECK, VERIFY, TARGET)):
        return
    defaults = calls.read(actions.form_defaults, environment=wanted.where)
    _unmount_dialog(wanted, defaults)
    _delete_dialog(wanted)
    _recheck_dialog(wanted, defaults)
    _verify_dialog(wanted, defaults)
    _template_dialog(wanted)


def open_for(name: str, subject_key: str, subject: object) -> Callable[[], None]:
    """A button's on_click: open the dialog for this entry or operation."""

    def click() -> None:
        st.session_state[subject_key] = subject
        confirm.open_dialog(name)

    return click


def ask_to_unmount(entry: MountView) -> None:
    """What the button of an entry's row does."""
    open_for(UNMOUNT, ENTRY, entry)()


# -- mount -----------------------------------------------------------------------------------------


def _mount_dialog(environment: str | None) -> None:
    if not confirm.is_open(MOUNT):
        return
    defaults = calls.read(actions.form_defaults, environment=environment)

    def body() -> None:
        way = st.segmented_control(
            "How", [_BY_NAME, _BY_JSON], default=_BY_NAME, key=f"{MOUNT}.way"
        )
        if way == _BY_JSON:
            st.text_area(
                "Mount request",
                key=f"{MOUNT}.json",
                height=300,
                placeholder='{"context": {…}, "keystone_token": "…", "job": {"jobid": 1}, …}',
            )
        else:
            _target_form(MOUNT, environment, defaults)
        _production_note(defaults)

    confirm.ask(
        MOUNT,
        title="Mount a backup target",
        body=body,
        action="Mount",
        on_confirm=lambda: _mount(environment),
        may_wait=True,
        typed=defaults["environment"] if defaults["production"] else None,
        danger=bool(defaults["production"]),
        form=True,
    )


def _mount(environment: str | None) -> bool:
    state = st.session_state
    if state.get(f"{MOUNT}.way") == _BY_JSON:
        return dialog_calls.submit_json(environment, "mount", state.get(f"{MOUNT}.json") or "")
    host = (state.get(f"{MOUNT}.host") or "").strip()
    target, jobid = state.get(f"{MOUNT}.target"), state.get(f"{MOUNT}.jobid")
    if not target or not host or jobid is None:
        st.warning("A mount needs a target, a host and a backup job.", icon=":material/warning:")
        return False
    return dialog_calls.submit(
        actions.submit_form,
        environment=environment,
        kind="mount",
        target_id=target,
        host=host,
        jobid=int(jobid),
        keystone_token=state.get(f"{MOUNT}.token") or "",
        secret_ref=state.get(f"{MOUNT}.secret") or "",
    )


def _target_form(name: str, environment: str | None, defaults: dict[str, str]) -> None:
    """It starts with the host and the backup job that the list is filtered by."""
    known = calls.read(targets.known_ids, environment=environment)
    if not known:
        st.info("No target is known by name yet: make a template, or mount as JSON.")
    left, middle, right = st.columns([3, 3, 2])
    left.selectbox("Target", known, index=None, placeholder="Choose a target", key=f"{name}.target")
    middle.text_input(
        "Host", value=st.query_params.get("host", ""), key=f"{name}.host", placeholder="compute-01"
    )
    right.number_input(
        "Backup job",
        min_value=0,
        max_value=2_147_483_647,
        value=job_number(st.query_params.get("job", "")),
        step=1,
        key=f"{name}.jobid",
        placeholder="12345",
    )
    _secrets_form(name, defaults)


def _secrets_form(name: str, defaults: dict[str, str]) -> None:
    left, right = st.columns(2)
    left.text_input(
        "Keystone token",
        value=defaults["keystone_token"],
        type="password",
        key=f"{name}.token",
        help="KEYSTONE_TOKEN is set and used when this stays empty."
        if defaults["token_configured"]
        else "Travels in the request and is kept nowhere.",
    )
    right.text_input(
        "Secret reference (s3)",
        value=defaults["secret_ref"],
        type="password",
        key=f"{name}.secret",
        help="Empty: the template's own.",
    )


def _production_note(defaults: dict[str, str]) -> None:
    if defaults["production"]:
        st.warning(f"{escape(defaults['environment'])} is a production environment.")


# -- unmount, delete, re-check ---------------------------------------------------------------------


def _unmount_dialog(wanted: Wanted, defaults: dict[str, str]) -> None:
    entry = st.session_state.get(ENTRY)
    if not confirm.is_open(UNMOUNT) or entry is None:
        return
    plan = calls.read(actions.preview_unmount, environment=wanted.where, key=entry.key)

    def body() -> None:
        (st.warning if plan.sends else st.info)(escape(plan.why))
        if plan.others:
            st.markdown(
                "Other jobs on it: " + ", ".join(f"**{other.jobid}**" for other in plan.others[:50])
            )
        _secrets_form(UNMOUNT, defaults)

    def act() -> bool:
        return dialog_calls.submit(
            actions.submit_form,
            environment=wanted.where,
            kind="unmount",
            target_id=entry.backup_target_id,
            host=entry.host,
            jobid=entry.jobid,
            keystone_token=st.session_state.get(f"{UNMOUNT}.token") or "",
            secret_ref=st.session_state.get(f"{UNMOUNT}.secret") or "",
        )

    confirm.ask(
        UNMOUNT,
        title=f"Unmount backup job {entry.jobid}",
        body=body,
        action="Unmount" if plan.sends else "Release",
        on_confirm=act,
        may_wait=True,
        typed=entry.backup_target_id if plan.sends and defaults["production"] else None,
        danger=plan.sends,
    )


def _delete_dialog(wanted: Wanted) -> None:
    entry: MountView | None = st.session_state.get(ENTRY)
    if not confirm.is_open(DELETE) or entry is None:
        return

    def act() -> bool:
        return dialog_calls.attempt(
            calls.run,
            actions.delete,
            done=lambda count: flash.success(
                f"{counted(count, 'entry is', 'entries are')} marked deleted."
            ),
            environment=wanted.where,
            job=entry.jobid,
            target=entry.backup_target_id,
        )

    confirm.ask(
        DELETE,
        title=f"Soft-delete backup job {entry.jobid}",
        body=f"The entries of backup job {entry.jobid} for {entry.backup_target_id} are marked "
        "deleted. They stay in the history; nothing is unmounted.",
        action="Soft-delete",
        on_confirm=act,
        rule=("mounts.delete", wanted.where),
    )


def _recheck_dialog(wanted: Wanted, defaults: dict[str, str]) -> None:
    operation: OperationView | None = st.session_state.get(OPERATION)
    if not confirm.is_open(RECHECK) or operation is None:
        return

    def body() -> None:
        st.markdown(
            "First the portal looks for a late answer. If none has come, the server can be asked "
            f"again: it answers success for a {escape(operation.action)} that is done already."
        )
        st.checkbox("Ask the server again if no answer has come", key=f"{RECHECK}.again")
        if st.session_state.get(f"{RECHECK}.again"):
            _secrets_form(RECHECK, defaults)

    def act() -> bool:
        common: dict[str, Any] = {"environment": wanted.where, "kind": "recheck"}
        common["operation_id"] = operation.operation_id
        if not st.session_state.get(f"{RECHECK}.again"):
            return dialog_calls.submit(actions.submit, **common)
        return dialog_calls.submit(
            actions.submit_form,
            **common,
            target_id=operation.backup_target_id,
            host=operation.host,
            jobid=operation.jobid,
            keystone_token=st.session_state.get(f"{RECHECK}.token") or "",
            secret_ref=st.session_state.get(f"{RECHECK}.secret") or "",
        )

    confirm.ask(
        RECHECK,
        title=f"Re-check the {operation.action} of backup job {operation.jobid}",
        body=body,
        action="Re-check",
        on_confirm=act,
        danger=False,
    )


def _verify_dialog(wanted: Wanted, defaults: dict[str, str]) -> None:
    entry: MountView | None = st.session_state.get(ENTRY)
    if not confirm.is_open(VERIFY) or entry is None:
        return

    def body() -> None:
        action = "mount" if entry.mounted else "unmount"
        st.markdown(
            f"The DMS server on {escape(entry.host)} is asked to {action}: if the ledger is right, "
            f"it has nothing to do and says so. If the host is wrong, it is set right."
        )
        _secrets_form(VERIFY, defaults)
        _production_note(defaults)

    def act() -> bool:
        return dialog_calls.submit(
            actions.submit_form,
            environment=wanted.where,
            kind="verify",
            target_id=entry.backup_target_id,
            host=entry.host,
            jobid=entry.jobid,
            keystone_token=st.session_state.get(f"{VERIFY}.token") or "",
            secret_ref=st.session_state.get(f"{VERIFY}.secret") or "",
        )

    confirm.ask(
        VERIFY,
        title=f"Verify backup job {entry.jobid}",
        body=body,
        action="Ask the server",
        on_confirm=act,
        may_wait=True,
        danger=False,
    )


# -- templates -------------------------------------------------------------------------------------


def _template_dialog(wanted: Wanted) -> None:
    def body() -> None:
        left, right = st.columns(2)
        left.text_input("Target id", key=f"{TARGET}.id")
        kind = right.selectbox("Type", ("s3", "nfs"), key=f"{TARGET}.type")
        st.text_input("Mount path", key=f"{TARGET}.path", placeholder="/var/lib/…/mounts/target")
        if kind == "nfs":
            left, right = st.columns(2)
            left.text_input("Export", key=f"{TARGET}.export", placeholder="192.168.1.100:/backups")
            right.text_input("Mount options", key=f"{TARGET}.options", placeholder="rw,hard")
        else:
            st.text_input("Secret reference", key=f"{TARGET}.secret", type="password")

    def act() -> bool:
        state = st.session_state
        return dialog_calls.attempt(
            calls.write,
            targets.save,
            done=lambda saved: flash.success(
                f"{escape(saved.target_id)} can now be mounted by name."
            ),
            environment=wanted.where,
            target_id=(state.get(f"{TARGET}.id") or "").strip(),
            type=state.get(f"{TARGET}.type") or "",
            mount_path=(state.get(f"{TARGET}.path") or "").strip(),
            filesystem_export=(state.get(f"{TARGET}.export") or "").strip(),
            nfs_mount_opts=(state.get(f"{TARGET}.options") or "").strip(),
            secret_ref=state.get(f"{TARGET}.secret") or "",
        )

    confirm.ask(
        TARGET,
        title="Target template",
        body=body,
        action="Save template",
        on_confirm=act,
        may_wait=True,
        danger=False,
        form=True,
    )
