"""What a page's script draws reaches the browser in few pieces: that of a short script in one.

Streamlit wakes the server for each element and sends every five milliseconds what there is. The
browser lays the page out anew for each piece, and the script waits for the processor meanwhile.
Here elements wait for those that come soon, and for the script's end. All else goes at once, and
takes along what came before it.
"""

import asyncio
import weakref
from collections import deque
from functools import partial
from typing import Any

from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.scriptrunner import ScriptRunner, ScriptRunnerEvent

#: Seconds that an element waits at most.
MOMENT = 0.025
_PATIENT = (ScriptRunnerEvent.SCRIPT_STARTED, ScriptRunnerEvent.ENQUEUE_FORWARD_MSG)
_streamlits = AppSession._on_scriptrunner_event


class _Kept(deque[partial[None]]):
    """A session's events in order, to be handled. is_timed: in a moment, whatever comes."""

    is_timed = False


_kept: weakref.WeakKeyDictionary[AppSession, _Kept] = weakref.WeakKeyDictionary()


def _keep(
    session: AppSession,
    sender: ScriptRunner | None,
    event: ScriptRunnerEvent,
    forward_msg: ForwardMsg | None = None,
    **rest: Any,
) -> None:
    """In the script's thread. An address goes at once: `st.switch_page` counts on it."""
    kept = _kept.setdefault(session, _Kept())
    handle = session._handle_scriptrunner_event_on_event_loop
    kept.append(partial(handle, sender, event, forward_msg, **rest))
    is_address = forward_msg is not None and forward_msg.HasField("page_info_changed")
    if event not in _PATIENT or is_address:
        session._call_soon_on_event_loop(partial(_hand_on, kept))
    elif not kept.is_timed:
        kept.is_timed = True
        session._call_soon_on_event_loop(partial(_hand_on_soon, kept))


def _hand_on_soon(kept: _Kept) -> None:
    asyncio.get_running_loop().call_later(MOMENT, _hand_on, kept)


def _hand_on(kept: _Kept) -> None:
    kept.is_timed = False  # first, as the script's thread may add another one from now on
    try:
        while kept:
            kept.popleft()()
    finally:
        if kept:  # one failed, which is told of as any callback's failure
            asyncio.get_running_loop().call_soon(_hand_on, kept)


AppSession._on_scriptrunner_event = _keep  # type: ignore[method-assign, assignment]  # ours
