"""Calls from inside the dialogs of the mounts page: a refusal is drawn there, nothing is lost."""

import json
from collections.abc import Callable
from typing import Any

import streamlit as st

from backend.core.access import Permission
from backend.core.errors import PortalError
from backend.mounts import actions
from pages.mounts.filter_bar import Wanted
from pages.shell import calls, guard
from pages.shell.errors import escape

#: The job that was started last on the page.
JOB = "mounts.job"


def submit_json(wanted: Wanted, kind: str, text: str) -> bool:
    try:
        document = json.loads(text)
    except ValueError as exc:
        st.warning(f"The request is not JSON: {escape(str(exc))}", icon=":material/warning:")
        return False
    return submit(actions.submit, environment=wanted.where, kind=kind, request=document)


def submit(function: Callable[..., int], **arguments: Any) -> bool:
    job_id = attempt(function, **arguments)
    if job_id is not None:
        st.session_state[JOB] = job_id
        st.query_params.pop("entry", None)  # what comes of it is said beside the list
    return job_id is not None


def attempt(function: Callable[..., Any], **arguments: Any) -> Any:
    """`calls.run` for code inside a dialog: a refusal is drawn there, and None returned."""
    try:
        return function(calls.database(), guard.require(Permission.MOUNTS_WRITE), **arguments)
    except PortalError as exc:
        _refused(exc)
        return None


def write(function: Callable[..., Any], **arguments: Any) -> Any:
    actor = guard.require(Permission.MOUNTS_WRITE)
    try:
        with calls.database().write() as session:
            return function(session, actor, **arguments)
    except PortalError as exc:
        _refused(exc)
        return None


def _refused(exc: PortalError) -> None:
    """In the dialog, which stays open: nobody types a request twice."""
    st.warning(escape(exc.message), icon=":material/warning:")
