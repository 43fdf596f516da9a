"""The Databricks engine behind `engines.base.Engine`: a Delta UPDATE is atomic by itself."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import ClassVar

from backend.core import clock
from backend.core.errors import InvalidInput
from backend.integrations.databricks.client import DatabricksClient, DatabricksConfig
from backend.tokenization.detection import Detection
from backend.tokenization.engines.base import (
    CleanUp,
    Control,
    Detector,
    Outcome,
    PlainCount,
    RewriteResult,
    require_able,
    require_known,
    require_unblocked,
)
from backend.tokenization.engines.columns import (
    SAMPLE_CHARACTERS,
    SAMPLES_SHOWN,
    Measured,
    by_column,
    measured,
    reports,
    samples,
)
from backend.tokenization.engines.databricks import expressions, facts
from backend.tokenization.schemas import (
    ColumnChoice,
    ColumnReport,
    Method,
    TableName,
    TableReport,
)
from backend.tokenization.tokens import Reversible, Tokenizer, reversible

PREVIEW_SECONDS = 120.0
#: Also how long an UPDATE whose answer was lost may still be at work.
RUN_SECONDS = 2 * 3_600.0
#: A Delta table has no transaction that could be asked about; its content is asked instead. The
#: epoch second behind the mark is when the warehouse gives the statement up at the latest.
_ASK_THE_CONTENT = "content until "

Connect = Callable[[float], AbstractContextManager[DatabricksClient]]


class DatabricksEngine:
    """One Delta table. connect: opens a session for so many seconds (tests put Spark there)."""

    METHODS: ClassVar[tuple[Method, ...]] = (Method.IN_PLACE,)
    LEFT_BEHIND: ClassVar = (
        "Delta's time travel keeps the old files: REORG TABLE … APPLY (PURGE), then VACUUM after "
        "the retention period (7 days unless changed).",
        "Clones, materialized views, caches and downstream tables keep their copies.",
        "Cloud storage versioning and backups are as they were.",
    )

    def __init__(
        self, config: DatabricksConfig, table: TableName, connect: Connect | None = None
    ) -> None:
        self._table = table
        self._connect = connect or (lambda seconds: DatabricksClient(config, timeout=seconds))

    def require_columns(self, names: Sequence[str]) -> Mapping[str, str]:
        with self._connect(PREVIEW_SECONDS) as client:
            found = facts.read(client, self._table)
            known = {column.name: column.place for column in found.columns}
            require_known(self._table, names, known)
            return known

    def preview(
        self,
        tokenizer: Tokenizer,
        sample_rows: int,
        detector: Detector,
        method: Method = Method.IN_PLACE,
    ) -> TableReport:
        require_able(method, self.METHODS)
        with self._connect(PREVIEW_SECONDS) as client:
            found = facts.read(client, self._table)
            blocked = facts.table_blockers(found)
            values = {} if blocked else self._sample(client, found, sample_rows)
            report = _report(found, detector(values), tokenizer)
            return report if blocked else self._with_rows(client, found, report, tokenizer)

    def rewrite(
        self,
        columns: Sequence[ColumnChoice],
        tokenizer: Tokenizer,
        control: Control,
        method: Method = Method.IN_PLACE,
    ) -> RewriteResult:
        require_able(method, self.METHODS)
        names = list(dict.fromkeys(column.name for column in columns))
        with self._connect(RUN_SECONDS) as client:
            found = facts.read(client, self._table)
            require_unblocked(_report(found, Detection.of(columns), tokenizer))
            table = expressions.qualified(self._table)
            plain = expressions.any_plain(names)
            ((scanned, changing),) = client.rows(
                f"SELECT count(*), count_if({plain}) FROM {table}",  # noqa: S608  # quoted
                expressions.pattern_only(),
            )
            control.started(f"{_ASK_THE_CONTENT}{clock.now().timestamp() + RUN_SECONDS:.0f}")
            control.progress(0.0, int(scanned), 0)
            control.check_cancelled()
            # Kept for the case that the warehouse's answer gets lost.
            control.committing(RewriteResult(int(scanned), int(changing or 0)))
            updated = client.execute(
                expressions.update(self._table, names, tokenizer),
                expressions.parameters(tokenizer),
            )
            return RewriteResult(int(scanned), updated)

    def outcome(self, transaction_id: str, *, patience: float) -> Outcome:
        """A Delta table's content is the only witness, silent while the UPDATE may be at work."""
        del patience
        until = transaction_id.removeprefix(_ASK_THE_CONTENT)
        running = until.isdecimal() and clock.now().timestamp() < int(until)
        return Outcome.MAY_BE_RUNNING if running else Outcome.UNKNOWN

    def clean_up(self, columns: Sequence[str]) -> CleanUp:
        del columns
        raise InvalidInput(
            "A Delta table is not cleaned up from here: run REORG TABLE … APPLY (PURGE), then "
            "VACUUM after the retention period."
        )

    def count_plain(self, columns: Sequence[str]) -> PlainCount:
        with self._connect(PREVIEW_SECONDS) as client:
            texts = facts.text_columns(facts.read(client, self._table))
            known = [name for name in columns if name in texts]
            total = int(client.rows(self._count())[0][0])
            if not known:
                return PlainCount(total, 0)
            plain = client.rows(
                f"{self._count()} WHERE {expressions.any_plain(known)}",
                expressions.pattern_only(),
            )
            return PlainCount(total, int(plain[0][0]))

    def read_reversible(self, columns: Sequence[str]) -> dict[str, Reversible]:
        with self._connect(PREVIEW_SECONDS) as client:
            texts = facts.text_columns(facts.read(client, self._table))
            found: dict[str, Reversible] = {}
            for name in columns:
                if name in texts:
                    query = expressions.bodies(self._table, name)
                    rows = client.rows(query, expressions.pattern_only())
                    found[name] = reversible((int(a), bool(b), int(c)) for a, b, c in rows)
            return found

    def _count(self) -> str:
        return f"SELECT count(*) FROM {expressions.qualified(self._table)}"  # noqa: S608  # quoted

    def _sample(
        self, client: DatabricksClient, found: facts.Facts, rows: int
    ) -> Mapping[str, Sequence[str]]:
        names = facts.text_columns(found)
        if not names:
            return {}
        columns = ", ".join(
            f"CASE WHEN {expressions.is_plain(name)} "
            f"THEN left({expressions.identifier(name)}, {SAMPLE_CHARACTERS}) END"
            for name in names
        )
        table = expressions.qualified(self._table)
        rows_found = client.rows(
            f"SELECT {columns} FROM {table} LIMIT {int(rows)}",  # noqa: S608  # quoted
            expressions.pattern_only(),
        )
        return by_column(names, rows_found)

    def _with_rows(
        self,
        client: DatabricksClient,
        found: facts.Facts,
        report: TableReport,
        tokenizer: Tokenizer,
    ) -> TableReport:
        def measure(names: list[str]) -> Measured:
            parts = ["count(*)", f"count_if({expressions.any_plain(names)})"]
            for name in names:
                plain = expressions.is_plain(name)
                size = f"octet_length({expressions.identifier(name)})"
                parts += [f"count_if({plain})", f"max(CASE WHEN {plain} THEN {size} END)"]
            table = expressions.qualified(self._table)
            row = client.rows(
                f"SELECT {', '.join(parts)} FROM {table}",  # noqa: S608  # quoted
                expressions.pattern_only(),
            )[0]
            by_name = {name: (row[2 + 2 * i], row[3 + 2 * i]) for i, name in enumerate(names)}
            return (
                int(row[0]),
                int(row[1] or 0),
                lambda c: self._measured(client, found, c, tokenizer, *by_name[c.name]),
            )

        return measured(report, lambda: int(client.rows(self._count())[0][0]), measure)

    def _measured(
        self,
        client: DatabricksClient,
        found: facts.Facts,
        column: ColumnReport,
        tokenizer: Tokenizer,
        plain: int | None,
        longest: int | None,
    ) -> ColumnReport:
        tokenizer = tokenizer.of(column.name)
        token_length = None if longest is None else tokenizer.token_length(int(longest))
        about = next(each for each in found.columns if each.name == column.name)
        name, table = expressions.identifier(column.name), expressions.qualified(self._table)
        values = client.rows(
            f"SELECT {name} FROM {table} WHERE {expressions.is_plain(column.name)} "  # noqa: S608
            f"AND octet_length({name}) <= {SAMPLE_CHARACTERS} LIMIT {SAMPLES_SHOWN}",
            expressions.pattern_only(),
        )
        return replace(
            column,
            rows_to_update=int(plain or 0),
            blockers=facts.column_blockers(found, about, tokenizer.scheme, token_length),
            samples=samples((str(row[0]) for row in values), tokenizer),
        )


def _report(found: facts.Facts, detection: Detection, tokenizer: Tokenizer) -> TableReport:
    return TableReport(
        columns=reports(
            found.columns,
            detection,
            lambda c: facts.column_blockers(found, c, tokenizer.scheme_of(c.name), None),
        ),
        blockers=facts.table_blockers(found),
        warnings=(
            "The run is one statement: it cannot be stopped once it was sent, and a writer at the "
            "same moment makes it fail without a change.",
        ),
    )
