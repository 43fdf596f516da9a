"""What the rest of the portal gets from the tokenization room."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum

from backend.core.views import document
from backend.tokenization.answers import ColumnAnswer, PreviewAnswer, RefusedAnswer, RunAnswer


class RunState(StrEnum):
    """Where a run is. `unknown`: the database has not said yet whether it committed."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"


class Method(StrEnum):
    """How a run writes: row by row where the rows are, or the whole table anew. re-key: in place,
    and tokens that hold their value (scheme base64) become keyed ones of that value."""

    IN_PLACE = "in-place"
    REWRITE = "rewrite"
    REKEY = "re-key"


#: What a rewrite means, for whoever chooses it.
REWRITE_MEANS = (
    "Nobody reads or writes the table until the run ends (ACCESS EXCLUSIVE).",
    "The table is written once, in about half the time of an UPDATE, and no plain row version "
    "stays in its file; meanwhile it needs its own size again of free disk.",
    "Row triggers do not fire, and columns that are too short are widened.",
    "Transactions in repeatable read that began before see the table as empty afterwards.",
    "Once the rewrite is under way it shows no progress and cannot be stopped.",
)


#: What a re-key means, likewise.
REKEY_MEANS = (
    "Tokens of the scheme base64 are decoded in the database and become those of the key: the same "
    "as the plain value gets, so that they can be joined with all others. Plain values as ever.",
    "Whoever kept an old token elsewhere does not find it in the table afterwards.",
    "A token whose bytes are no text, or that may be a keyed one, stays as it is and is counted.",
)


class CleanUpState(StrEnum):
    """Where the clean-up after a run is. left: it was done, and something stays behind."""

    NONE = ""
    WANTED = "wanted"
    SUCCEEDED = "succeeded"
    LEFT = "left"
    FAILED = "failed"


#: States in which a run still holds its table.
ACTIVE = (RunState.QUEUED, RunState.RUNNING, RunState.UNKNOWN)


class WriteBackState(StrEnum):
    """Where the proof in DataHub is; apart from the run, because it is retried apart."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"


class Trigger(StrEnum):
    PAGE = "page"
    CLI = "cli"
    API = "api"
    WATCH = "watch"
    ACTION = "action"


@dataclass(frozen=True)
class TableName:
    """Where a dataset lies: a database or Databricks catalog, schema ("" on MySQL), table."""

    database: str
    schema: str
    table: str

    def __str__(self) -> str:
        return ".".join(part for part in (self.database, self.schema, self.table) if part)


@dataclass(frozen=True)
class ColumnChoice:
    """A column that a run shall rewrite, and why it was chosen. scheme: "" is the run's own.
    place: which column of which table bore the name when it was asked for, as the engine marks it;
    "" where the source cannot tell."""

    name: str
    reason: str
    scheme: str = ""
    place: str = ""


@dataclass(frozen=True)
class Sample:
    """One value before and after, the value masked."""

    before: str
    after: str


@dataclass(frozen=True)
class ColumnReport:
    """One column as the preview saw it.

    selected: a run without further choice would take it. rows_to_update: None unless selected.
    length: characters that it holds, None without a limit. scheme: what a run would use.
    fits: the strongest keyed scheme whose tokens it holds, "" when none does. place: as a
    `ColumnChoice` keeps it.
    """

    name: str
    type: str
    selected: bool
    reason: str
    blockers: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    rows_to_update: int | None = None
    samples: tuple[Sample, ...] = ()
    suggested: bool = False
    length: int | None = None
    scheme: str = ""
    fits: str = ""
    place: str = ""
    #: A guess the values do not bear out, or a name that merely holds the word.
    possible: bool = False

    @property
    def tier(self) -> str:
        """ "likely" or "possible" for a guess, "" for all others."""
        return "likely" if self.suggested else "possible" if self.possible else ""


@dataclass(frozen=True)
class TableReport:
    """What the engine found: the preview's core, and the run's own check before row 1.

    rows_to_update: rows in which at least one selected column changes; None when blocked.
    """

    columns: tuple[ColumnReport, ...]
    blockers: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    rows_total: int | None = None
    rows_to_update: int | None = None
    bytes_total: int | None = None
    method: Method = Method.IN_PLACE
    #: Why a rewrite is not possible; empty where it is.
    rewrite_blockers: tuple[str, ...] = ("only PostgreSQL tables can be rewritten",)

    @property
    def all_blockers(self) -> tuple[str, ...]:
        """The table's blockers and those of the selected columns, with the column's name."""
        of_columns = tuple(
            f"{column.name}: {blocker}"
            for column in self.columns
            if column.selected
            for blocker in column.blockers
        )
        return self.blockers + of_columns


@dataclass(frozen=True)
class Preview:
    """What a run would do, on the real table, without changing it."""

    dataset: str
    environment: str
    is_production: bool
    engine: str
    table: TableName
    scheme: str
    reversible: bool
    report: TableReport
    catalog_note: str = ""
    #: Seconds that a run would take at the pace of earlier runs here, None without any.
    seconds_estimated: float | None = None

    @property
    def choices(self) -> tuple[ColumnChoice, ...]:
        return tuple(
            ColumnChoice(column.name, column.reason, column.scheme, column.place)
            for column in self.report.columns
            if column.selected
        )

    def document(self) -> PreviewAnswer:
        """The shape of DESIGN 5.3. blockers: whatever stops a run, selected columns' too."""
        report = self.report
        return document(
            PreviewAnswer,
            self,
            table=str(self.table),
            method=report.method.value,
            rewrite={
                "possible": not report.rewrite_blockers,
                "reasons": list(report.rewrite_blockers),
                "means": list(REWRITE_MEANS),
            },
            rows_total=report.rows_total,
            rows_to_update=report.rows_to_update,
            blockers=list(report.all_blockers),
            warnings=list(report.warnings),
            catalog=self.catalog_note,
            columns=[
                document(ColumnAnswer, column, samples=[asdict(each) for each in column.samples])
                for column in report.columns
            ],
        )


@dataclass(frozen=True)
class RunView:
    """One run as pages, CLI and API show it."""

    id: int
    dataset: str
    environment: str
    engine: str
    table: str
    state: RunState
    trigger: Trigger
    columns: tuple[ColumnChoice, ...]
    scheme: str
    rows_scanned: int | None
    rows_updated: int | None
    details: str
    actor: str
    job_id: int | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    write_back: WriteBackState
    write_back_details: str
    write_back_at: datetime | None
    warnings: tuple[str, ...] = ()
    method: Method = Method.IN_PLACE
    clean_up: CleanUpState = CleanUpState.NONE
    clean_up_details: str = ""

    @property
    def seconds(self) -> float | None:
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()

    def document(self) -> RunAnswer:
        """The shape of DESIGN 5.3 and 5.4."""
        return document(
            RunAnswer,
            self,
            run_id=self.id,
            status=self.state.value,
            trigger=self.trigger.value,
            columns=[column.name for column in self.columns],
            reasons={column.name: column.reason for column in self.columns},
            schemes={column.name: column.scheme or self.scheme for column in self.columns},
            method=self.method.value,
            clean_up=self.clean_up.value,
            rows_scanned=self.rows_scanned or 0,
            rows_updated=self.rows_updated or 0,
            duration_seconds=self.seconds,
            writeback=self.write_back.value,
            writeback_details=self.write_back_details,
        )


def refused_document(dataset: str, columns: Sequence[str], details: str) -> RefusedAnswer:
    """The same shape for a run that was never begun: no id, nothing read, nothing written."""
    return {
        "run_id": None,
        "dataset": dataset,
        "status": RunState.FAILED.value,
        "columns": list(columns),
        "rows_scanned": 0,
        "rows_updated": 0,
        "started_at": None,
        "finished_at": None,
        "details": details,
        "writeback": WriteBackState.SKIPPED.value,
    }


@dataclass(frozen=True)
class RunFilters:
    """What the history shows."""

    environment: str | None = None
    state: str | None = None
    trigger: str | None = None
    text: str = ""


@dataclass(frozen=True)
class RunPage:
    """items: newest first. next_cursor: pass as `before` for the page after, None at the end."""

    items: tuple[RunView, ...]
    next_cursor: int | None


@dataclass(frozen=True)
class CatalogStatus:
    """What DataHub says about a dataset now."""

    dataset: str
    name: str
    tags: tuple[str, ...]
    description: str
    last_run: str | None
    url: str | None
    field_tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
