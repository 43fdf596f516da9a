"""Calls from inside the dialogs of the mounts page: a refusal is drawn there, nothing is lost."""

import json
from collections.abc import Callable
from typing import Any

import streamlit as st

from backend.core.errors import PortalError
from backend.mounts import actions
from pages.shell import calls
from pages.shell.errors import escape

#: The job that was started last on the page.
JOB = "mounts.job"


def submit_json(environment: str | None, kind: str, text: str) -> bool:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as exc:
        st.warning(f"The request is not JSON: {escape(str(exc))}", icon=":material/warning:")
        return False
    return submit(actions.submit, environment=environment, kind=kind, request=document)


def submit(function: Callable[..., int], **arguments: Any) -> bool:
    return attempt(calls.run, function, done=_follow, **arguments)


def _follow(job_id: int) -> None:
    st.session_state[JOB] = job_id
    st.query_params.pop("entry", None)  # what comes of it is said beside the list


def attempt(
    call: Callable[..., Any],
    function: Callable[..., Any],
    *,
    done: Callable[[Any], None],
    **arguments: Any,
) -> bool:
    """`calls.run` or `calls.write` for code inside a dialog; whether it may close.

    done: gets the answer; it has none to get where an approval or a proof of who acts is waited
    for. A refusal is drawn in the dialog, which stays open: nobody types a request twice.
    """
    try:
        answer = call(function, raising=PortalError, **arguments)
    except PortalError as exc:
        st.warning(escape(exc.message), icon=":material/warning:")
        return False
    if answer is not None:
        done(answer)
    return True
