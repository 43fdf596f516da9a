"""How many files a person may keep on the server: Streamlit holds each in memory, in any number.

Its own limit is of one file (server.maxUploadSize). The pages take one file each.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from streamlit.runtime import Runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager

from auth import attach

#: Of one person in all their tabs, those on their way included.
MOST = 10
SENTENCE = f"You keep {MOST} files here. Take one away, or close a tab, and send it again."

_on_their_way: Counter[str] = Counter()
_lock = threading.Lock()


@contextmanager
def place(session_id: str) -> Iterator[bool]:
    """A place for one more file of the person whose session of Streamlit's this is; False: none."""
    owner = attach.owner(session_id)
    with _lock:
        free = _on_their_way[owner] + _kept(owner) < MOST
        _on_their_way[owner] += free
    try:
        yield free
    finally:
        with _lock:
            _on_their_way[owner] -= free
            if not _on_their_way[owner]:
                del _on_their_way[owner]


def _kept(owner: str) -> int:
    manager = Runtime.instance().uploaded_file_mgr if Runtime.exists() else None
    if not isinstance(manager, MemoryUploadedFileManager):
        return 0
    kept = list(manager.file_storage.items())
    return sum(len(files) for session_id, files in kept if attach.owner(session_id) == owner)
