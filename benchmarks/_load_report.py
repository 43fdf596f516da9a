"""What the combined load says at its end, and where RESULTS.md keeps it."""

import os
import platform
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks._load_api import Traffic
from benchmarks._load_jobs import Work
from benchmarks._load_people import Visits
from benchmarks._load_size import FULL, Size
from benchmarks._load_verify import Check

FILE = Path(__file__).resolve().parent / "RESULTS.md"
BEGIN, END = "<!-- load: begin -->", "<!-- load: end -->"


@dataclass(frozen=True)
class Round:
    """One go: what people, clients and jobs met."""

    visits: Visits
    traffic: Traffic
    work: Work
    seconds: float

    @property
    def problems(self) -> list[str]:
        return [*self.visits.problems, *self.traffic.problems, *self.work.problems]


@dataclass(frozen=True)
class Figures:
    """Everything that was measured. before, peaks, after: the portal process's figures."""

    size: Size
    alone: Round
    together: Round
    checks: Sequence[Check]
    before: dict[str, int]
    peaks: dict[str, int]
    after: dict[str, int]
    trouble: Sequence[str]
    warnings: dict[str, int]

    @property
    def problems(self) -> list[str]:
        """Every broken promise in a sentence."""
        lost = [
            f"{what}: {wanted} accepted, {there}"
            for what, wanted, there, ok in self.checks
            if not ok
        ]
        return [*self.alone.problems, *self.together.problems, *lost, *self.trouble]

    @property
    def well(self) -> bool:
        return not self.problems


def table(figures: Figures) -> str:
    """The report as Markdown."""
    size, crowd = figures.size, figures.together
    command = "python -m benchmarks.load" + (" --write" if size is FULL else " --small")
    lines = [
        f"`{command}`, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, load average at the end {os.getloadavg()[0]:.1f}. "
        f"{size.people} people, {size.requests} API requests at once from {size.tokens} tokens, "
        f"{size.entries:,} ledger entries, {size.users:,} × {size.users:,} users, {size.rows:,} "
        f"rows; together for {crowd.seconds:.0f} s: {len(crowd.visits.all_pages):,} page views, "
        f"{len(crowd.visits.fragments):,} refreshed parts, {len(crowd.traffic.all_times):,} API "
        f"requests in {len(crowd.traffic.bursts)} bursts.",
        "",
        "| | alone | together | ratio |",
        "| --- | ---: | ---: | ---: |",
        *(f"| {a} | {b} | {c} | {d} |" for a, b, c, d in _times(figures)),
        "",
        "| accepted writes | accepted | found | |",
        "| --- | ---: | ---: | --- |",
        *(f"| {a} | {b} | {c} | {'yes' if ok else '**NO**'} |" for a, b, c, ok in figures.checks),
        "",
        _process(figures),
        "",
    ]
    problems = figures.problems
    lines.append(f"Errors: {len(problems)}." if problems else "Errors: none.")
    lines += [f"- {problem[:400]}" for problem in sorted(set(problems))[:40]]
    return "\n".join(lines)


def _process(figures: Figures) -> str:
    def of(name: str) -> str:
        return f"{figures.before[name]} / {figures.peaks.get(name, 0)} / {figures.after[name]}"

    warnings = ", ".join(f"{count} × “{said}”" for said, count in figures.warnings.items())
    return (
        f"The portal's process before / at most / after: memory {of('memory')} MB, threads "
        f"{of('threads')}, open files {of('files')}. Warnings in its log: {warnings or 'none'}."
    )


def _times(figures: Figures) -> Iterator[tuple[str, str, str, str]]:
    alone, together = figures.alone, figures.together
    yield from _spread("page, all", alone.visits.all_pages, together.visits.all_pages)
    for title in sorted(together.visits.pages):
        yield from _spread(
            f"page {title}", alone.visits.pages.get(title, []), together.visits.pages[title]
        )
    yield from _spread("API, all", alone.traffic.all_times, together.traffic.all_times)
    for group in sorted(together.traffic.times):
        yield from _spread(
            f"API {group}", alone.traffic.times.get(group, []), together.traffic.times[group]
        )
    yield from _spread(
        "a burst of requests, all answered", alone.traffic.bursts, together.traffic.bursts
    )
    for job in sorted(together.work.seconds):
        mine, other = together.work.seconds[job], alone.work.seconds.get(job)
        yield f"job {job}", _span(other), _span(mine), f"{mine / other:.1f}" if other else ""


def _spread(
    what: str, alone: Sequence[float], together: Sequence[float]
) -> Iterator[tuple[str, str, str, str]]:
    """Median and 95th percentile, the ratio of the medians."""
    if together:
        ratio = f"{statistics.median(together) / statistics.median(alone):.1f}" if alone else ""
        yield f"{what} (median / p95)", _both(alone), _both(together), ratio


def _both(values: Sequence[float]) -> str:
    if not values:
        return ""
    ordered = sorted(values)
    high = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
    return f"{_span(statistics.median(ordered))} / {_span(high)}"


def _span(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def write(text: str) -> None:
    """Put the report between its two marks in RESULTS.md."""
    whole = FILE.read_text(encoding="utf-8")
    head, rest = whole.split(BEGIN, 1)
    tail = rest.split(END, 1)[1]
    FILE.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}", encoding="utf-8")
