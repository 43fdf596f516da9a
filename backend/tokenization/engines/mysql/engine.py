"""The MySQL engine behind `engines.base.Engine`: connections, limits, and who does what."""

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, ClassVar

from backend.connections.schemas import ConnectionConfig
from backend.core.errors import Conflict, InvalidInput, UpstreamError
from backend.core.log import get_logger
from backend.integrations.mysql.connection import Connection, address, connect
from backend.tokenization.detection import Detection
from backend.tokenization.engines.base import (
    Blocked,
    CleanUp,
    Control,
    Detector,
    Outcome,
    PlainCount,
    RewriteResult,
    require_able,
    require_known,
)
from backend.tokenization.engines.columns import (
    SAMPLE_CHARACTERS,
    SAMPLES_SHOWN,
    by_column,
    left_alone,
    not_there,
    samples,
)
from backend.tokenization.engines.mysql import expressions, facts, rules, run
from backend.tokenization.engines.mysql.facts import Facts
from backend.tokenization.schemas import (
    ColumnChoice,
    ColumnReport,
    Method,
    TableName,
    TableReport,
)
from backend.tokenization.tokens import Reversible, Tokenizer

log = get_logger(__name__)

PREVIEW_STATEMENT = 600.0
RUN_STATEMENT = 4 * 3_600.0
QUICK_STATEMENT = 15.0
LOCK = 5.0


class MySqlEngine:
    """One table of one MySQL or MariaDB database."""

    METHODS: ClassVar[tuple[Method, ...]] = (Method.IN_PLACE, Method.REKEY)
    LEFT_BEHIND: ClassVar = (
        "The undo log keeps the old rows until purge has run; freed space in the pages keeps its "
        "bytes until OPTIMIZE TABLE.",
        "The binary log (ROW) and the relay logs of replicas hold the old rows until PURGE BINARY "
        "LOGS.",
        "Backups and dumps taken before the run are as they were.",
        "Histograms quote values until ANALYZE TABLE; full-text indexes keep words until OPTIMIZE "
        "TABLE with innodb_optimize_fulltext_only.",
        "Other tables, exports and downstream systems keep their copies.",
    )

    def __init__(
        self, config: ConnectionConfig, table: TableName, *, lock_timeout: float = LOCK
    ) -> None:
        self._settings, self._secrets = config.settings, config.secrets
        self._table, self._lock_timeout = table, lock_timeout

    @staticmethod
    def list_tables(config: ConnectionConfig) -> list[tuple[TableName, int | None]]:
        with (
            connect(
                config.settings, config.secrets, statement_timeout=QUICK_STATEMENT, readonly=True
            ) as connection,
            connection.cursor() as cursor,
        ):
            return facts.list_tables(cursor, config.settings["database"])

    def require_columns(self, names: Sequence[str]) -> None:
        with self._connect(QUICK_STATEMENT) as connection, connection.cursor() as cursor:
            table = facts.resolve(cursor, self._table)
            require_known(table, names, facts.column_names(cursor, table))

    def preview(
        self,
        tokenizer: Tokenizer,
        sample_rows: int,
        detector: Detector,
        method: Method = Method.IN_PLACE,
    ) -> TableReport:
        require_able(method, self.METHODS)
        with self._connect(PREVIEW_STATEMENT) as connection, connection.cursor() as cursor:
            temp = facts.may_use_temp(cursor, readonly=True)
            table = facts.resolve(cursor, self._table)
            found = replace(facts.read(cursor, table), may_use_temp=temp)
            values = _sample(cursor, table, found, sample_rows) if found.may_select else {}
            report = _report(found, table, detector(values), tokenizer)
            if report.blockers:
                return report
            return _measured(cursor, table, found, replace(report, method=method), tokenizer)

    def rewrite(
        self,
        columns: Sequence[ColumnChoice],
        tokenizer: Tokenizer,
        control: Control,
        method: Method = Method.IN_PLACE,
    ) -> RewriteResult:
        require_able(method, self.METHODS)
        names = list(dict.fromkeys(column.name for column in columns))
        with self._connect(RUN_STATEMENT, readonly=False) as connection:
            with connection.cursor() as cursor:
                table = facts.resolve(cursor, self._table)
                lock = run.take_lock(cursor, table)
                temp = facts.may_use_temp(cursor, readonly=False)
                found = replace(facts.read(cursor, table), may_use_temp=temp)
                chosen = Detection(chosen={column.name: column.reason for column in columns})
                report = _report(found, table, chosen, tokenizer)
            if report.all_blockers:
                raise Blocked("Nothing was changed: " + "; ".join(report.all_blockers))
            return run.rewrite(
                connection,
                found,
                table,
                names,
                tokenizer,
                control,
                lock,
                lambda: self._connect(QUICK_STATEMENT),
                method,
            )

    def outcome(self, transaction_id: str, *, patience: float) -> Outcome:
        """While a session holds the run's advisory lock the run goes on; after that its content
        decides, because the server does not remember how a transaction ended."""
        deadline = time.monotonic() + patience
        while True:
            try:
                found = self._held(transaction_id)
            except (UpstreamError, Conflict) as exc:
                log.info("The source database cannot be asked yet.", error=exc.message)
                found = Outcome.UNKNOWN
            if time.monotonic() >= deadline or found is Outcome.UNKNOWN:
                return found
            time.sleep(0.5)

    def _held(self, lock: str) -> Outcome:
        with self._connect(QUICK_STATEMENT) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT IS_USED_LOCK(%s), @@global.read_only", (lock,))
            holder, read_only = cursor.fetchone()
        if holder is not None:
            return Outcome.IN_PROGRESS
        return Outcome.MAY_BE_RUNNING if facts.is_on(read_only) else Outcome.UNKNOWN

    def clean_up(self, columns: Sequence[str]) -> CleanUp:
        del columns
        raise InvalidInput(
            "A MySQL table is not cleaned up from here: run OPTIMIZE TABLE and ANALYZE TABLE, and "
            "PURGE BINARY LOGS when every replica has read them."
        )

    def count_plain(self, columns: Sequence[str]) -> PlainCount:
        with self._connect(PREVIEW_STATEMENT) as connection, connection.cursor() as cursor:
            table = facts.resolve(cursor, self._table)
            known = set(rules.text_columns(facts.read(cursor, table)))
            names = [name for name in columns if name in known]
            if not names:
                cursor.execute(f"SELECT COUNT(*) FROM {expressions.qualified(table)}")  # noqa: S608
                return PlainCount(int(cursor.fetchone()[0]), 0)
            counts = run.count(cursor, table, names)
            return PlainCount(counts.rows_total, counts.rows_to_update)

    def read_reversible(self, columns: Sequence[str]) -> dict[str, Reversible]:
        with self._connect(PREVIEW_STATEMENT) as connection, connection.cursor() as cursor:
            table = facts.resolve(cursor, self._table)
            known = rules.text_columns(facts.read(cursor, table))
            return run.read_reversible(cursor, table, [n for n in known if n in columns])

    def _connect(
        self, statement_timeout: float, *, readonly: bool = True
    ) -> AbstractContextManager[Connection]:
        return connect(
            self._settings,
            self._secrets,
            statement_timeout=statement_timeout,
            lock_timeout=self._lock_timeout,
            readonly=readonly,
        )

    def __repr__(self) -> str:
        return f"MySqlEngine({self._table} at {address(self._settings)})"


def _report(
    found: Facts, table: TableName, detection: Detection, tokenizer: Tokenizer
) -> TableReport:
    known = {column.name for column in found.columns}
    columns = tuple(
        ColumnReport(
            name=column.name,
            type=column.type,
            selected=column.name in detection.chosen,
            suggested=column.name in detection.suggested,
            reason=detection.chosen.get(column.name) or detection.suggested.get(column.name, ""),
            blockers=rules.column_blockers(found, column, tokenizer.scheme_of(column.name), None),
            warnings=rules.column_warnings(found, column) if column.is_text else (),
            length=column.length if column.is_text else None,
        )
        for column in found.columns
    )
    return TableReport(
        columns=columns + not_there(detection, known),
        blockers=rules.table_blockers(found, table.database),
        warnings=rules.table_warnings(found),
        bytes_total=found.bytes_total,
    )


def _measured(
    cursor: Any, table: TableName, found: Facts, report: TableReport, tokenizer: Tokenizer
) -> TableReport:
    """Counts and samples of the selected columns that nothing blocks."""
    names = [column.name for column in report.columns if column.selected and not column.blockers]
    if not names:
        cursor.execute(f"SELECT COUNT(*) FROM {expressions.qualified(table)}")  # noqa: S608
        total = int(cursor.fetchone()[0])
        return replace(report, rows_total=total, rows_to_update=None if report.all_blockers else 0)
    judged = run.read_reversible(cursor, table, names) if report.method is Method.REKEY else {}
    held = {name: each.sizes for name, each in judged.items()}
    counts = run.count(cursor, table, names, held=held)
    columns = tuple(
        _with_values(
            cursor, table, found, column, tokenizer.of(column.name), judged.get(column.name)
        )
        if column.name in names
        else column
        for column in report.columns
    )
    measured = replace(report, columns=columns, rows_total=counts.rows_total)
    return replace(
        measured, rows_to_update=None if measured.all_blockers else counts.rows_to_update
    )


def _with_values(
    cursor: Any,
    table: TableName,
    found: Facts,
    column: ColumnReport,
    tokenizer: Tokenizer,
    judged: Reversible | None,
) -> ColumnReport:
    text = expressions.text_of(column.name)
    plain = expressions.changes(text, judged.sizes if judged else None)
    where = f"FROM {expressions.qualified(table)} AS t WHERE {plain}"
    cursor.execute(f"SELECT COUNT(*), MAX(OCTET_LENGTH({text})) {where}")
    rows, longest = cursor.fetchone()
    cursor.execute(
        f"SELECT {text} {where} AND OCTET_LENGTH({text}) <= {SAMPLE_CHARACTERS} "
        f"LIMIT {SAMPLES_SHOWN}"
    )
    about = next(each for each in found.columns if each.name == column.name)
    token_length = None if longest is None else tokenizer.token_length(int(longest))
    return replace(
        column,
        rows_to_update=int(rows),
        blockers=rules.column_blockers(found, about, tokenizer.scheme, token_length),
        samples=samples((value for (value,) in cursor.fetchall()), tokenizer),
        warnings=column.warnings + left_alone(judged),
    )


def _sample(cursor: Any, table: TableName, found: Facts, rows: int) -> Mapping[str, Sequence[str]]:
    """Plain values of the text columns in the first `rows` rows; the server has no TABLESAMPLE."""
    names = rules.text_columns(found)
    if not names or found.kind not in ("BASE TABLE", "SYSTEM VERSIONED"):
        return {}
    parts = ", ".join(
        f"CASE WHEN {expressions.is_plain(text)} THEN LEFT({text}, {SAMPLE_CHARACTERS}) END"
        for text in map(expressions.text_of, names)
    )
    cursor.execute(
        f"SELECT {parts} FROM {expressions.qualified(table)} AS t LIMIT {int(rows)}"  # noqa: S608
    )
    return by_column(names, cursor.fetchall())
