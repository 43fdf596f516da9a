"""What takes long to ask is asked beside the page's script: it says how long, and can be stopped.

The answer stays with this browser's session; nothing of it is stored.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future, wait
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

import streamlit as st

from backend.core import stopping
from backend.core.errors import PortalError
from backend.core.log import get_logger, log_unexpected
from pages.shared import times
from pages.shell import errors, flash
from pages.shell.calls import Bound
from pages.shell.errors import escape

log = get_logger(__name__)

T = TypeVar("T")
Question = Callable[[], T] | Bound[T]

POLL_SECONDS = 0.5
#: Seconds to wait for it in the script, so that what is quick is there when the page is.
AT_ONCE = 1.5
#: Asked at a time, for everybody of this process; others wait for their turn.
MOST = 4
#: Seconds after which nobody looks any more. A browser polls a tab in the background once a minute.
LEFT = 150.0

_turns = threading.BoundedSemaphore(MOST)
_under_way: "set[Asked]" = set()
_lock = threading.Lock()


class Asked:
    """One question. about: what it is asked of; answer: once there is one; former: what is shown
    until then; waited_for: the script has given it a moment, or is not to."""

    def __init__(self, about: Any, question: Question[Any], *, is_later: bool = False) -> None:
        # Here, in the page's own thread: the other one does not know who is signed in.
        self._function = question.begun() if isinstance(question, Bound) else question
        self.about, self.stop, self.answer = about, stopping.Stop(), Future[Any]()
        self.began = self.looked = time.monotonic()
        self.waited_for, self.begins_to_be_drawn = is_later, False
        self._is_started = False
        self.former: Future[Any] | None = None
        if not is_later:
            self.start()

    def start(self) -> None:
        """Once, however often it is called."""
        if self._is_started:
            return
        self._is_started = True
        with _lock:
            _under_way.add(self)
        context = copy_context()
        threading.Thread(
            target=context.run, args=(self._run, self._function), name="beside", daemon=True
        ).start()

    def _run(self, function: Callable[[], Any]) -> None:
        try:
            while not _turns.acquire(timeout=0.2):
                self.stop.step("waiting for its turn")
            try:
                self.stop.step("")
                with stopping.by(self.stop):
                    self.answer.set_result(function())
            finally:
                _turns.release()
        except Exception as exc:  # raised anew where the answer is looked at
            self.answer.set_exception(exc)
        finally:
            with _lock:
                _under_way.discard(self)


def ask(
    key: str, about: Hashable, question: Question[T], *, again: bool = False
) -> "Future[T] | None":
    """The answer to the question about this, asked once, and anew when `again`; None while it is
    under way, or when it was stopped, which is then drawn.

    question: only reads, and knows nothing of the page (`calls.bound`).
    """
    asked: Asked | None = st.session_state.get(key)
    if asked is None or again or asked.about != about:
        asked = _begin(key, about, question)
    wait_for(key)
    if asked.stop.asked:
        st.caption(":material/stop_circle: Stopped before it had an answer.")
    elif asked.answer.done():
        return asked.answer
    else:
        asked.begins_to_be_drawn = True
        _live(key)
        asked.start()
    return None


def shown(key: str, about: Hashable, question: Question[T]) -> T | None:
    """Like `ask`, but an error is shown, and the answer then None."""
    asked = ask(key, about, question)
    if asked is None:
        return None
    try:
        return asked.result()
    except PortalError as exc:
        errors.show(exc)
        return None


def followed(
    key: str, about: Hashable, moment: Hashable, question: Question[T], *, goes_on: bool
) -> T | None:
    """Like `shown`, of something that changes: at another moment it is asked anew.

    goes_on: it is drawn again soon, so the former answer is given until the new one is there.
    """
    now = (about, moment)
    asked: Asked | None = st.session_state.get(key)
    if goes_on and asked is not None and asked.about[0] == about:
        if answered(key) and asked.about != now:
            before, asked = asked.answer, _begin(key, now, question)
            asked.former = before if before.exception() is None else None
        if asked.former is not None and not asked.answer.done():
            former: T = asked.former.result()
            return former
        now = asked.about
    return shown(key, now, question)


def button(label: str, key: str, about: Hashable, question: Question[Any], **look: Any) -> None:
    """A button that asks; `pressed` shows what came of it, wherever that is drawn.

    key: of the question; look: what `st.button` takes besides.
    """
    st.button(label, key=f"{key}.ask", on_click=begin, args=(key, about, question), **look)


@contextlib.contextmanager
def pressed(
    key: str, about: Hashable, *, raising: type[PortalError] | tuple[()] = ()
) -> Iterator[Any]:
    """What was begun about this by a press: the answer to draw in the block, None while there is
    none. Drawn once: it belongs to the press, so the page's next run is without it.

    raising: errors that the page itself has a place for.
    """
    if not is_about(key, about):
        yield None
        return
    asked: Asked = st.session_state[key]
    answer = None
    found = ask(key, about, asked.answer.result)
    # Not what it is later: an answer that comes while its progress is drawn is for the next run.
    is_over = found is not None or asked.stop.asked
    try:
        answer = None if found is None else found.result()
    except raising:
        forget(key)
        raise
    except PortalError as exc:
        errors.show(exc)
    yield answer
    # Only now: a script that ended while it drew would have lost the answer.
    if is_over:
        forget(key)


def forget(key: str) -> None:
    """What was asked and its answer; what is under way is stopped."""
    _stop_the_forgotten(st.session_state.pop(key, None))


def begin(
    key: str, about: Hashable, question: Question[Any], *, told_at_once: bool = False
) -> None:
    """Ask without drawing anything: for a button's `on_click`, which is called before all else. A
    page's script ends at the next thing it draws when the browser sends something else, and what
    it was about to show of the click would be lost.

    told_at_once: of what says how far it is, that is drawn and not waited for. It starts where it
    is drawn, at the end of the page: many answers at a time would slow the script down.
    """
    _begin(key, about, question, is_later=told_at_once)


def _begin(key: str, about: Hashable, question: Question[Any], *, is_later: bool = False) -> Asked:
    _stop_the_forgotten(st.session_state.get(key))
    asked = st.session_state[key] = Asked(about, question, is_later=is_later)
    return asked


def nudge(key: str, about: Hashable, question: Question[Any]) -> None:
    """Ask anew unless it is under way, of what the page draws from elsewhere: nothing is drawn of
    the answer, and who asks has to write down what came of it. What nobody expected is logged."""
    asked: Asked | None = st.session_state.get(key)
    if asked is None or asked.about != about or asked.answer.done():
        asked = _begin(key, about, question)
        asked.answer.add_done_callback(partial(_tell_the_log, key))
    asked.looked = time.monotonic()


def _tell_the_log(key: str, answer: Future[Any]) -> None:
    exc = answer.exception()
    if exc is not None and not isinstance(exc, PortalError):
        log_unexpected(log, "What a page had asked beside it failed.", exc, question=key)


def wait_for(key: str) -> None:
    """Give what was asked just now a moment, so that what is drawn next knows the answer."""
    asked: Asked | None = st.session_state.get(key)
    if asked is not None and not asked.waited_for:
        asked.waited_for = True
        with st.spinner("Asking …"):
            wait([asked.answer], timeout=AT_ONCE)


def is_about(key: str, about: Hashable) -> bool:
    """Whether this was asked, and of this."""
    asked: Asked | None = st.session_state.get(key)
    return asked is not None and asked.about == about


def answered(key: str) -> bool:
    """Whether this was asked and has its answer, or its error, and nobody stopped it."""
    asked: Asked | None = st.session_state.get(key)
    return asked is not None and asked.answer.done() and not asked.stop.asked


def _stop_the_forgotten(former: Asked | None) -> None:
    """What this page asked before, and what no page looks at any more."""
    now = time.monotonic()
    with _lock:
        forgotten = [each for each in _under_way if each is former or now - each.looked > LEFT]
    for each in forgotten:
        each.stop.ask()


@st.fragment(run_every=POLL_SECONDS)
def _live(key: str) -> None:
    asked: Asked | None = st.session_state.get(key)
    # Not while the script that a click began draws it: what was clicked further down would be lost.
    first = asked is not None and asked.begins_to_be_drawn
    if asked is None or (not first and (asked.answer.done() or asked.stop.asked)):
        flash.rerun()
    asked.begins_to_be_drawn = False
    asked.looked = time.monotonic()
    took = times.duration(round(asked.looked - asked.began))
    said = " · ".join(part for part in (escape(asked.stop.note), took) if part)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(asked.stop.share, text=f"Asking … {said}")
        if st.button("Stop", key=f"{key}.stop", icon=":material/stop_circle:"):
            asked.stop.ask()
            flash.rerun()
