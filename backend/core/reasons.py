"""Why somebody asks for what they ask: each face takes it once, in one place, for whatever its
call does. A change request freezes it; the audit rows of what is done at once hold it.

Holds for this context, so for one request, command or click; never for a job.
"""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

from backend.core.database import UNSTORABLE
from backend.core.errors import InvalidInput

MAX_TEXT = 2_000
_given: ContextVar[str] = ContextVar("reasons.given", default="")


def checked(text: str, what: str = "reason", *, most: int = MAX_TEXT) -> str:
    """What somebody wrote for others to read, as it is kept. what: as people call it. Raises
    InvalidInput."""
    text = text.strip()
    if len(text) > most:
        raise InvalidInput(f"A {what} has at most {most:,} characters. Shorten it.")
    if UNSTORABLE.search(text):
        raise InvalidInput(
            f"The {what} has characters that cannot be kept. Write it as plain text."
        )
    return text


def give(text: str) -> None:
    """From now on in this context this is why. Raises InvalidInput."""
    _given.set(checked(text))


@contextlib.contextmanager
def given(text: str) -> Iterator[None]:
    """Within the block this is why. Raises InvalidInput."""
    before = _given.get()
    give(text)
    try:
        yield
    finally:
        _given.set(before)


def current() -> str:
    """Why, "" where nobody said."""
    return _given.get()
