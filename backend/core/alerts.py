"""What needs somebody to act, collected from every domain for the Overview page.

A domain brings one function, which backend/composition.py hands to `provide`:

    def alerts(session: ReadSession, actor: Actor) -> list[Alert]:

It reads the state database only (no outside system), is bounded (a handful of items, a count in
the text instead of a hundred lines), returns [] for an actor who may not see the subject, and
names the page where something can be done about it. One that fails is logged and shown as one
alert; it never takes the Overview page down.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from backend.core.access import Actor
from backend.core.database import ReadSession
from backend.core.log import get_logger, log_unexpected

log = get_logger(__name__)

Severity = Literal["error", "warning", "info"]
_ORDER = {"error": 0, "warning": 1, "info": 2}
MAX_ITEMS = 50


@dataclass(frozen=True)
class Alert:
    """One thing to act on.

    text: one sentence, plain text. page: url_path in pages/shell/registry ("mounts").
    query: that page's parameters, for example {"environment": "prod"}. since: when it began.
    """

    severity: Severity
    text: str
    page: str
    since: datetime | None = None
    query: tuple[tuple[str, str], ...] = ()


Source = Callable[[ReadSession, Actor], list[Alert]]
_sources: Callable[[], Mapping[str, Source]] | None = None


def provide(sources: Callable[[], Mapping[str, Source]]) -> None:
    """Where the alerts come from, by domain; asked at the first use."""
    global _sources
    _sources = sources


def collect(session: ReadSession, actor: Actor) -> tuple[Alert, ...]:
    """Every domain's alerts, the worst and newest first, at most 50."""
    if _sources is None:
        # An empty answer would say in green that nothing needs attention.
        raise RuntimeError("no alert sources: call backend.composition.install() first")
    items: list[Alert] = []
    for domain, source in _sources().items():
        try:
            items.extend(source(session, actor))
        except Exception as exc:
            # One domain's trouble must not hide what the others have to say.
            session.rollback()  # a failed statement blocks the rest of its transaction
            reference = log_unexpected(log, "A domain's alerts failed.", exc, domain=domain)
            text = f"{domain}: its state could not be read ({reference})."
            items.append(Alert("error", text, ""))
    return tuple(sorted(items, key=_rank)[:MAX_ITEMS])


def _rank(item: Alert) -> tuple[int, float]:
    since = item.since or datetime(1970, 1, 1, tzinfo=UTC)
    return _ORDER[item.severity], -since.timestamp()
