"""What a signal starts, without a lock taken in its handler.

A handler runs between two instructions of the main thread, which may hold the very lock that the
handler asks for: `Event.set()` in the moment in which `Event.wait()` begins, or the start of a
thread while another is started. Neither would ever go on. `SimpleQueue.put` may be interrupted and
entered again (Python's documentation says so), so it is all that the handler does.
"""

import signal
import threading
from collections.abc import Callable, Iterable
from queue import SimpleQueue


def call_on(numbers: Iterable[signal.Signals], function: Callable[[], object]) -> None:
    """Call the function, in a thread of its own, each time one of these signals comes.

    Raises ValueError outside of the main thread, where Python allows no handler to be set.
    """
    came: SimpleQueue[None] = SimpleQueue()

    def wait() -> None:
        while True:
            came.get()
            function()

    for number in numbers:
        signal.signal(number, lambda *_: came.put(None))
    threading.Thread(target=wait, name="signals", daemon=True).start()
