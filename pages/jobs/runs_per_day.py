"""How many runs each day had, by how they ended."""

from collections.abc import Sequence
from datetime import date, timedelta

from backend.core import clock
from backend.core.words import counted
from backend.jobs.schemas import DayCount
from pages.shared import charts

DAYS = 14
STATES = ("queued", "running", "succeeded", "failed", "cancelled", "interrupted")
_COLOURS = {
    "queued": charts.BLUE,
    "running": charts.BLUE,
    "succeeded": charts.GREEN,
    "failed": charts.RED,
    "cancelled": charts.GREY,
    "interrupted": charts.ORANGE,
}


def draw(counts: Sequence[DayCount]) -> None:
    """A bar per day of the last two weeks, by outcome; nothing when nothing ran."""
    if not counts:
        return
    today = clock.now().date()
    days = [today - timedelta(days=ago) for ago in reversed(range(DAYS))]
    found: dict[tuple[date, str], int] = {(item.day, item.state): item.count for item in counts}
    total = sum(item.count for item in counts)
    not_well = sum(item.count for item in counts if item.state in ("failed", "interrupted"))
    charts.stacked_bars(
        f"Runs per day, last {DAYS} days (UTC)",
        [f"{day:%d %b}" for day in days],
        {state: [found.get((day, state), 0) for day in days] for state in STATES},
        _COLOURS,
        bar="Day",
        said=f"{counted(total, 'run')} in {DAYS} days; {not_well:,} of them failed or were "
        "interrupted.",
        height=180,
    )
