"""What every engine promises, and the errors by which a run ends early."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Protocol

from backend.core.errors import Conflict, InvalidInput, UpstreamError
from backend.core.log import get_logger
from backend.tokenization.detection import Detection
from backend.tokenization.schemas import ColumnChoice, Method, TableName, TableReport
from backend.tokenization.tokens import Reversible, Tokenizer

log = get_logger(__name__)

#: Columns that an error names, so that it stays one sentence.
_COLUMNS_SHOWN = 20
#: Of a database, when its tables are listed.
MOST_TABLES = 5_000


class AlreadyRunning(Conflict):
    """Another run holds this table."""


class Blocked(InvalidInput):
    """The preview's blockers, found again by the run; nothing was changed."""


class NoSuchColumn(InvalidInput):
    """A column was named that the table does not have; nothing was started."""

    def __init__(self, table: TableName, missing: Sequence[str], known: Sequence[str]) -> None:
        shown = ", ".join(known[:_COLUMNS_SHOWN]) + (", …" if len(known) > _COLUMNS_SHOWN else "")
        super().__init__(
            f"The table {table} has no column {', '.join(missing)}. Its columns are {shown} "
            "(names are case-sensitive); name one of them."
        )
        self.missing = tuple(missing)


def require_known(table: TableName, names: Sequence[str], known: Mapping[str, str]) -> None:
    """Raise NoSuchColumn for names that are not among the table's columns."""
    missing = [name for name in names if name not in known]
    if missing:
        raise NoSuchColumn(table, missing, list(known))


def require_able(method: Method, able: Collection[Method]) -> None:
    """Raise InvalidInput for a method that the engine does not have."""
    if method is Method.REWRITE and method not in able:
        raise InvalidInput("Only PostgreSQL tables can be rewritten; leave the method out.")
    if method not in able:
        raise InvalidInput(
            "Old tokens are made anew in PostgreSQL and MySQL only, which can take a run back; "
            "leave the method out."
        )


def require_unblocked(report: TableReport) -> None:
    """Raise Blocked for what the preview calls a blocker."""
    if report.all_blockers:
        raise Blocked("Nothing was changed: " + "; ".join(report.all_blockers))


class CommitUnknown(UpstreamError):
    """The connection broke while the commit was under way; the server has to be asked."""


@dataclass(frozen=True)
class RewriteResult:
    """rows_scanned: rows of the table. rows_updated: rows in which a column changed.

    left_alone: tokens that a re-key could not make anew, in words.
    """

    rows_scanned: int
    rows_updated: int
    left_alone: str = ""


class Outcome(StrEnum):
    """How a transaction ended, as the source database says.

    unknown: it cannot say, and the content decides. may be running: it cannot say, but a statement
    that nobody waits for may still be at work, or its changes may still be on their way to this
    replica, so only tokens in the table prove anything.
    """

    COMMITTED = "committed"
    ABORTED = "aborted"
    IN_PROGRESS = "in progress"
    MAY_BE_RUNNING = "may be running"
    UNKNOWN = "unknown"


def ask_again(
    ask: Callable[[], Outcome], final: Collection[Outcome], *, patience: float
) -> Outcome:
    """The answer once it is one of `final`, else the last one after `patience` seconds; UNKNOWN
    while the source cannot be asked."""
    deadline = time.monotonic() + patience
    while True:
        try:
            found = ask()
        except (UpstreamError, Conflict) as exc:
            log.info("The source database cannot be asked yet.", error=exc.message)
            found = Outcome.UNKNOWN
        if found in final or time.monotonic() >= deadline:
            return found
        time.sleep(0.5)


@dataclass(frozen=True)
class PlainCount:
    """rows_plain: rows in which one of the columns holds a plain value."""

    rows_total: int
    rows_plain: int


@dataclass(frozen=True)
class CleanUp:
    """done: what was done, for a person. left: where plain values still are, and why."""

    done: tuple[str, ...]
    left: tuple[str, ...] = ()


class Control(Protocol):
    """What a run tells the outside, and how it is stopped. Each call may raise to stop the run."""

    def started(self, transaction_id: str) -> None:
        """The transaction is open, nothing is changed yet."""

    def progress(self, share: float, rows_scanned: int, rows_updated: int) -> None:
        """share of the work done, 0.0 to 1.0; rows_scanned: rows of the whole table."""

    def check_cancelled(self) -> None: ...

    def committing(self, result: RewriteResult) -> None:
        """Everything is rewritten; COMMIT comes next."""


#: Sampled plain values by column → what to take and what to suggest.
Detector = Callable[[Mapping[str, Sequence[str]]], Detection]


class Engine(Protocol):
    """One table of one source system. METHODS: what `preview` and `rewrite` take."""

    METHODS: ClassVar[tuple[Method, ...]]

    def require_columns(self, names: Sequence[str]) -> Mapping[str, str]:
        """Raise InvalidInput unless the table is there, can be seen, and has these columns.

        Returns the place of each column that it has, as a `ColumnChoice` keeps it.
        """

    def preview(
        self,
        tokenizer: Tokenizer,
        sample_rows: int,
        detector: Detector,
        method: Method = Method.IN_PLACE,
    ) -> TableReport:
        """What a run would do; changes nothing."""

    def rewrite(
        self,
        columns: Sequence[ColumnChoice],
        tokenizer: Tokenizer,
        control: Control,
        method: Method = Method.IN_PLACE,
    ) -> RewriteResult:
        """Put tokens into the columns, all rows or none.

        Raises AlreadyRunning, Blocked, CommitUnknown, and the adapter's errors.
        """

    def outcome(self, transaction_id: str, *, patience: float) -> Outcome:
        """How a transaction that `Control.started` named has ended.

        patience: seconds during which a source that cannot say yet is asked again.
        """

    def clean_up(self, columns: Sequence[str]) -> CleanUp:
        """Remove what a committed run left behind, and check it. Raises the adapter's errors."""

    def count_plain(self, columns: Sequence[str]) -> PlainCount:
        """How many rows still hold a plain value in one of the columns."""

    def read_reversible(self, columns: Sequence[str]) -> dict[str, Reversible]:
        """Which tokens hold the value itself (scheme base64), by column of the table."""
