"""A word that is one of a few: where another comes, what it can be is said, in one sentence.

A filter that nothing can fit would be an empty list, which reads as 'nothing happened'.
"""

from collections.abc import Iterable

from backend.core.errors import UnknownChoice

_SHOWN = 80


def check(what: str, given: str, known: Iterable[str]) -> None:
    """Raises UnknownChoice unless `given` is one of them. what: as people call it, "status"."""
    known = tuple(known)
    if given not in known:
        raise UnknownChoice(f"{given[:_SHOWN]!r} is no {what}; choose {', '.join(known)}.")
