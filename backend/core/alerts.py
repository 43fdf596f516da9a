"""What needs somebody to act, collected from every domain for the Overview page.

A domain brings one function, which backend/composition.py hands to `provide`:

    def alerts(session: ReadSession, actor: Actor) -> list[Alert]:

It reads the state database only (no outside system), names everything there is (`collect` takes
the first 20 of a domain and says what it leaves out), returns [] for an actor who may not see the
subject, and names the page where something can be done about it. One that fails is logged and shown
as one alert; it never takes the Overview page down.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from backend.core.access import Actor
from backend.core.database import ReadSession
from backend.core.log import get_logger, log_unexpected
from backend.core.words import counted

log = get_logger(__name__)

Severity = Literal["error", "warning", "info"]
#: open: look at its page. retry: that page reviews the same again. test: the connection of `query`.
Action = Literal["open", "retry", "test"]
_ORDER = {"error": 0, "warning": 1, "info": 2}
MAX_ITEMS = 50
_MAX_OF_A_DOMAIN = 20


@dataclass(frozen=True)
class Alert:
    """One thing to act on.

    text: one sentence, plain text. page: url_path in pages/shell/registry ("mounts").
    query: that page's parameters, for example {"environment": "prod"}. since: when it began.
    event: the kind of event (`backend.core.events`) that tells people who do not look at the page;
    "": none does. cause: what tells it from others of the kind. subject: what the message says in
    place of text, without personal values and errors. environment_id: 0 for none. action: what can
    be done at once; where an outcome is unknown, it is only looked at. count, waiting: of
    how many it tells, and the word or two that a card has for them ("to review").
    """

    severity: Severity
    text: str
    page: str
    since: datetime | None = None
    query: tuple[tuple[str, str], ...] = ()
    event: str = ""
    cause: str = ""
    subject: str = ""
    environment_id: int = 0
    action: Action = "open"
    count: int = 1
    waiting: str = ""

    @property
    def key(self) -> str:
        """The same as long as it says the same (SHA-256, 64 hex digits)."""
        said = json.dumps([self.severity, self.text, self.page, self.query])
        return hashlib.sha256(said.encode()).hexdigest()


Source = Callable[[ReadSession, Actor], list[Alert]]
_sources: Callable[[], Mapping[str, Source]] | None = None


def provide(sources: Callable[[], Mapping[str, Source]]) -> None:
    """Where the alerts come from, by domain; asked at the first use."""
    global _sources
    _sources = sources


@dataclass(frozen=True)
class Collected:
    """items: the worst and newest first, at most 50. rest: a sentence on what they leave out, ""
    for nothing. waiting: page → word → how many wait, of all, the worst first."""

    items: tuple[Alert, ...]
    rest: str
    waiting: Mapping[str, Mapping[str, int]]


def collect(session: ReadSession, actor: Actor) -> Collected:
    """Every domain's alerts, at most 20 of one."""
    items: list[Alert] = []
    every: list[Alert] = []
    for domain, found in by_domain(session, actor):
        if isinstance(found, str):
            text = f"{domain}: its state could not be read ({found})."
            found = [Alert("error", text, "")]
        every += found
        items += sorted(found, key=_rank)[:_MAX_OF_A_DOMAIN]
    shown = tuple(sorted(items, key=_rank)[:MAX_ITEMS])
    return Collected(shown, _rest(len(every) - len(shown)), _waiting(every))


def _waiting(every: Iterable[Alert]) -> Mapping[str, Mapping[str, int]]:
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for alert in sorted(every, key=_rank):
        found[alert.page][alert.waiting or "to look at"] += alert.count
    return found


def _rest(more: int) -> str:
    if not more:
        return ""
    left_out = counted(more, "more alert is", "more alerts are")
    return f"{left_out} not listed here; the pages of those above show what is behind them."


def by_domain(session: ReadSession, actor: Actor) -> Iterator[tuple[str, list[Alert] | str]]:
    """Every domain's alerts, all of them, or the reference of why they could not be read."""
    if _sources is None:
        # An empty answer would say in green that nothing needs attention.
        raise RuntimeError("no alert sources: call backend.composition.install() first")
    for domain, source in _sources().items():
        try:
            found: list[Alert] | str = source(session, actor)
        except Exception as exc:
            # One domain's trouble must not hide what the others have to say.
            session.rollback()  # a failed statement blocks the rest of its transaction
            found = log_unexpected(log, "A domain's alerts failed.", exc, domain=domain)
        yield domain, found


def _rank(item: Alert) -> tuple[int, float]:
    since = item.since or datetime(1970, 1, 1, tzinfo=UTC)
    return _ORDER[item.severity], -since.timestamp()
