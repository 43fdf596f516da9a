"""Names that were resolved and looked at once stay what they were, for the thread that looked.

Every Python library finds a server by `socket.getaddrinfo`; that is where a pinned name answers
with the addresses it had. libpq resolves by itself and is given them (`addresses_of`).
"""

import contextlib
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class _Pins:
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    check: Callable[[str], None] | None = None


_NONE = _Pins()
_pins: ContextVar[_Pins] = ContextVar("pins", default=_NONE)
_system = socket.getaddrinfo


@contextlib.contextmanager
def pinned(names: Mapping[str, Sequence[str]], check: Callable[[str], None]) -> Iterator[None]:
    """Inside, each of `names` (host to addresses) is what it says; any other address, of names
    that were not known before, goes through `check`, which raises for one that may not be used.

    Holds for this context; a thread started inside takes it along by `contextvars.copy_context`.
    """
    token = _pins.set(_Pins({name.lower(): found for name, found in names.items()}, check))
    try:
        yield
    finally:
        _pins.reset(token)


def addresses_of(host: str) -> Sequence[str]:
    """The pinned addresses of a host; () outside of `pinned`, and for a name without."""
    return _pins.get().names.get(host.lower().rstrip("."), ())


def _getaddrinfo(host: Any, *args: Any, **more: Any) -> list[Any]:
    pins = _pins.get()
    if pins is _NONE or host is None:
        return _system(host, *args, **more)
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    known = addresses_of(name)
    if known:
        return [found for address in known for found in _system(address, *args, **more)]
    answers = _system(host, *args, **more)
    if pins.check is not None:
        for answer in answers:
            pins.check(str(answer[4][0]))
    return answers


socket.getaddrinfo = _getaddrinfo
