"""The shapes of what REST and `--json` say about previews and runs (DESIGN 5.3 and 5.4)."""

from typing_extensions import TypedDict


class Rewrite(TypedDict):
    """Whether the whole table could be written anew, why not, and what it would mean."""

    possible: bool
    reasons: list[str]
    means: list[str]


class Sample(TypedDict):
    """A masked value before and after."""

    before: str
    after: str


class ColumnAnswer(TypedDict):
    """A column of a preview. suggested: a person's tick is asked for."""

    name: str
    type: str
    selected: bool
    suggested: bool
    tier: str
    reason: str
    scheme: str
    fits: str
    rows_to_update: int | None
    blockers: list[str]
    warnings: list[str]
    samples: list[Sample]


class PreviewAnswer(TypedDict):
    """What a run would do. blockers: whatever stops it, those of selected columns too."""

    dataset: str
    environment: str
    engine: str
    table: str
    scheme: str
    reversible: bool
    method: str
    rewrite: Rewrite
    rows_total: int | None
    rows_to_update: int | None
    blockers: list[str]
    warnings: list[str]
    seconds_estimated: float | None
    catalog: str
    columns: list[ColumnAnswer]


class RefusedAnswer(TypedDict):
    """A run that was never begun, with the keys of a run."""

    run_id: None
    dataset: str
    status: str
    columns: list[str]
    rows_scanned: int
    rows_updated: int
    started_at: None
    finished_at: None
    details: str
    writeback: str


class RunAnswer(TypedDict):
    """A run. Times are UTC; reasons and schemes by column."""

    run_id: int
    dataset: str
    environment: str
    engine: str
    table: str
    status: str
    trigger: str
    columns: list[str]
    reasons: dict[str, str]
    scheme: str
    schemes: dict[str, str]
    method: str
    clean_up: str
    clean_up_details: str
    rows_scanned: int
    rows_updated: int
    started_at: str | None
    finished_at: str | None
    duration_seconds: float | None
    details: str
    writeback: str
    writeback_details: str
    actor: str
    job_id: int | None


class RunList(TypedDict):
    """Newest first."""

    items: list[RunAnswer]
    next_cursor: int | None


class Queued(TypedDict):
    """The job that does it."""

    job_id: int
