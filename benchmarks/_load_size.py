"""How much of everything the combined load has: the promised amounts, and small ones."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """people: signed in at once. requests: API requests at once, over as many tokens as a tenth.

    entries: in the mount ledger. users: on both sides of the plan. changes: applied of it, once
    alone and once together. rows: of each table that is tokenized. datasets: to ingest, each once.
    rounds: how often each part is measured alone. seconds: that the crowd stays at least.
    pause: seconds between a burst's last answer and the next burst; people think so long, up to
    three times as long, between two pages.
    """

    people: int
    requests: int
    entries: int
    users: int
    changes: int
    rows: int
    datasets: int
    rounds: int
    seconds: float
    pause: float

    @property
    def tokens(self) -> int:
        return max(4, self.requests // 10)


FULL = Size(50, 200, 10_000_000, 100_000, 2_000, 1_000_000, 8_000, 3, 60.0, 3.0)
SMALL = Size(6, 24, 20_000, 600, 25, 3_000, 200, 1, 4.0, 0.5)
