"""What a list may be asked for: where something else comes, one sentence says what it can be.

A filter that nothing can fit would be an empty list, which reads as 'nothing happened'.
"""

from collections.abc import Iterable

from backend.core.errors import InvalidInput, UnknownChoice

_SHOWN = 80


def check(what: str, given: str, known: Iterable[str]) -> None:
    """Raises UnknownChoice unless `given` is one of them. what: as people call it, "status"."""
    known = tuple(known)
    if given not in known:
        raise UnknownChoice(f"{given[:_SHOWN]!r} is no {what}; choose {', '.join(known)}.")


def check_limit(limit: int, most: int) -> None:
    """Of a list's page. Raises InvalidInput unless it is from 1 to `most`."""
    if not 1 <= limit <= most:
        raise InvalidInput(f"limit must be between 1 and {most}.")
