"""What somebody asked for comes before what a page's script asks for itself.

Streamlit folds what is asked of a script until it comes to it into one run, of the page and address
that came last. A link clicked in the moment in which the script draws itself anew (`st.rerun`, a
fragment's timer) led nowhere, and what was clicked in the moment in which it ended (`st.stop`) was
dropped. Whether it was asked by a person is known by the thread: theirs comes from the event loop.

Nor is a press given up for what comes after it. Where a slow line or server brings two clicks at
once, Streamlit begins with the second: who saved and went on to another page had saved nothing.

What only a timer asked for is known, too: it keeps nobody signed in (`is_of_timer`).
"""

import asyncio
import time
import weakref
from collections import deque
from dataclasses import replace

from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.scriptrunner import (
    RerunData,
    StopException,
    get_script_run_ctx,
    script_runner,
)
from streamlit.runtime.scriptrunner_utils.script_requests import (
    ScriptRequest,
    ScriptRequests,
    ScriptRequestType,
    _has_active_trigger_value,
)

#: Seconds that what comes after a press waits for its run, which may be a long one.
PATIENCE = 2.0
_POLL_SECONDS = 0.01


class PersonFirst(ScriptRequests):
    """The requests to a session's script. is_pressed: a button's press waits or is at work;
    is_of_timer: what is at work was asked for by nobody."""

    _at_work = False
    is_of_timer = False

    @property
    def is_pressed(self) -> bool:
        waits = self._state is ScriptRequestType.RERUN and _holds_press(self._rerun_data)
        return waits or self._at_work

    def on_scriptrunner_ready(self) -> ScriptRequest:
        begins = super().on_scriptrunner_ready()
        self._begin(begins)
        return begins

    def on_scriptrunner_yield(self) -> ScriptRequest | None:
        begins = super().on_scriptrunner_yield()
        if begins is not None:
            self._begin(begins)
        return begins

    def _begin(self, request: ScriptRequest) -> None:
        is_run = request.type is ScriptRequestType.RERUN
        self._at_work = is_run and _holds_press(request.rerun_data)
        self.is_of_timer = is_run and request.rerun_data.is_auto_rerun

    def _request_rerun_locked(self, new_data: RerunData) -> bool:
        waits = self._rerun_data if self._state is ScriptRequestType.RERUN else None
        if waits is not None and self._leads_away(waits, new_data):
            new_data = replace(
                new_data,
                page_script_hash=waits.page_script_hash,
                page_name=waits.page_name,
                query_string=waits.query_string,
                is_history_navigation=waits.is_history_navigation,
            )
        taken = super()._request_rerun_locked(new_data)
        if waits is not None and not waits.is_auto_rerun:  # Streamlit keeps the last one's word
            self._rerun_data = replace(self._rerun_data, is_auto_rerun=False)
        return taken

    @staticmethod
    def _leads_away(waits: RerunData, new_data: RerunData) -> bool:
        """Whether what waits is of another page or address, and what is new of nobody."""
        if new_data.is_auto_rerun:
            return not waits.fragment_id_queue
        script = get_script_run_ctx(suppress_warning=True)
        if script is None:
            return False
        elsewhere = waits.page_script_hash not in ("", script.page_script_hash)
        return elsewhere or waits.is_history_navigation

    def request_stop(self) -> None:
        """Of the script itself: it ends here, and what waits begins. Of all others: for good."""
        if get_script_run_ctx(suppress_warning=True) is not None:
            with self._lock:
                if self._state is ScriptRequestType.RERUN:
                    raise StopException
        super().request_stop()


def is_of_timer() -> bool:
    """Whether nobody asked for this run: a part of the page refreshes itself."""
    script = get_script_run_ctx(suppress_warning=True)
    requests = script and script.script_requests
    return isinstance(requests, PersonFirst) and requests.is_of_timer


def _holds_press(data: RerunData) -> bool:
    states = data.widget_states
    return states is not None and any(map(_has_active_trigger_value, states.widgets))


_request = AppSession.request_rerun
#: What came after a press, with the time until which it waits.
_waiting: weakref.WeakKeyDictionary[AppSession, deque[tuple[ClientState | None, float]]] = (
    weakref.WeakKeyDictionary()
)


def _request_in_turn(session: AppSession, client_state: ClientState | None) -> None:
    waiting = _waiting.setdefault(session, deque())
    waiting.append((client_state, time.monotonic() + PATIENCE))
    if len(waiting) == 1:
        _go_on(session)


def _go_on(session: AppSession) -> None:
    """With the first that waits, or later; whatever becomes of it, with the next."""
    waiting = _waiting[session]
    client_state, until = waiting[0]
    requests = session._scriptrunner and session._scriptrunner._requests
    is_pressed = isinstance(requests, PersonFirst) and requests.is_pressed
    if is_pressed and time.monotonic() < until:
        asyncio.get_running_loop().call_later(_POLL_SECONDS, _go_on, session)
        return
    waiting.popleft()
    if waiting:
        asyncio.get_running_loop().call_soon(_go_on, session)
    _request(session, client_state)


#: Where its runner takes the class from.
vars(script_runner)["ScriptRequests"] = PersonFirst
AppSession.request_rerun = _request_in_turn  # type: ignore[method-assign, assignment]  # ours
