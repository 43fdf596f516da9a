"""What needs somebody's attention, collected from every room for the Overview page.

A room tells by a module `backend/<room>/attention.py` with one function:

    def attention(session: ReadSession, actor: Actor) -> list[Attention]:

It reads the state database only (no outside system), is bounded (a handful of items, a count in
the text instead of a hundred lines), returns [] for an actor who may not see the subject, and
names the page where something can be done about it. A room that fails is logged and shown as one
item; it never takes the Overview page down.
"""

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from backend.core.access import Actor
from backend.core.database import ReadSession
from backend.core.log import get_logger, log_unexpected

log = get_logger(__name__)

Severity = Literal["error", "warning", "info"]
ROOMS = ("connections", "user_sync", "mounts", "tokenization", "ingestion", "jobs", "accounts")
_ORDER = {"error": 0, "warning": 1, "info": 2}
MAX_ITEMS = 50


@dataclass(frozen=True)
class Attention:
    """One thing to look at.

    text: one sentence, plain text. page: url_path in pages/shell/registry ("mounts").
    query: that page's parameters, for example {"environment": "prod"}. since: when it began.
    """

    severity: Severity
    text: str
    page: str
    since: datetime | None = None
    query: tuple[tuple[str, str], ...] = ()


def collect(session: ReadSession, actor: Actor) -> tuple[Attention, ...]:
    """Every room's items, the worst and newest first, at most 50."""
    items: list[Attention] = []
    for room in ROOMS:
        function = _function(room)
        if function is None:
            continue
        try:
            items.extend(function(session, actor))
        except Exception as exc:
            # One room's trouble must not hide what the others have to say.
            session.rollback()  # a failed statement blocks the rest of its transaction
            reference = log_unexpected(log, "A room's attention items failed.", exc, room=room)
            items.append(
                Attention("error", f"{room}: its state could not be read ({reference}).", "")
            )
    return tuple(sorted(items, key=_rank)[:MAX_ITEMS])


def _rank(item: Attention) -> tuple[int, float]:
    since = item.since or datetime(1970, 1, 1, tzinfo=UTC)
    return _ORDER[item.severity], -since.timestamp()


def _function(room: str) -> Callable[[ReadSession, Actor], list[Attention]] | None:
    name = f"backend.{room}.attention"
    if importlib.util.find_spec(name) is None:
        return None
    function: Callable[[ReadSession, Actor], list[Attention]] = importlib.import_module(
        name
    ).attention
    return function
