"""What somebody asked for comes before what a page's script asks for itself.

Streamlit folds what is asked of a script until it comes to it into one run, of the page and address
that came last. A link clicked in the moment in which the script draws itself anew (`st.rerun`, a
fragment's timer) led nowhere, and what was clicked in the moment in which it ended (`st.stop`) was
dropped. Whether it was asked by a person is known by the thread: theirs comes from the event loop.
"""

from dataclasses import replace

from streamlit.runtime.scriptrunner import (
    RerunData,
    StopException,
    get_script_run_ctx,
    script_runner,
)
from streamlit.runtime.scriptrunner_utils.script_requests import ScriptRequests, ScriptRequestType


class PersonFirst(ScriptRequests):
    """The requests to a session's script."""

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
        return super()._request_rerun_locked(new_data)

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


#: Where its runner takes the class from.
vars(script_runner)["ScriptRequests"] = PersonFirst
