"""The MySQL engine behind `engines.base.Engine`: connections, limits, and who does what."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, ClassVar

from backend.connections.schemas import ConnectionConfig
from backend.core.errors import InvalidInput
from backend.integrations.mysql.connection import Connection, address, connect
from backend.tokenization.detection import Detection
from backend.tokenization.engines.base import (
    CleanUp,
    Control,
    Detector,
    Outcome,
    PlainCount,
    RewriteResult,
    ask_again,
    require_able,
    require_known,
    require_unblocked,
)
from backend.tokenization.engines.columns import (
    SAMPLE_CHARACTERS,
    SAMPLES_SHOWN,
    Measured,
    by_column,
    left_alone,
    measured,
    reports,
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

    def require_columns(self, names: Sequence[str]) -> Mapping[str, str]:
        with self._connect(QUICK_STATEMENT) as connection, connection.cursor() as cursor:
            table = facts.resolve(cursor, self._table)
            known = {column.name: column.place for column in facts.columns(cursor, table)}
            require_known(table, names, known)
            return known

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
                report = _report(found, table, Detection.of(columns), tokenizer)
            require_unblocked(report)
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
        return ask_again(lambda: self._held(transaction_id), (Outcome.UNKNOWN,), patience=patience)

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
                return PlainCount(run.count_rows(cursor, table), 0)
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
    return TableReport(
        columns=reports(
            found.columns,
            detection,
            lambda c: rules.column_blockers(found, c, tokenizer.scheme_of(c.name), None),
            lambda c: rules.column_warnings(found, c) if c.is_text else (),
        ),
        blockers=rules.table_blockers(found, table.database),
        warnings=rules.table_warnings(found),
        bytes_total=found.bytes_total,
    )


def _measured(
    cursor: Any, table: TableName, found: Facts, report: TableReport, tokenizer: Tokenizer
) -> TableReport:
    def measure(names: list[str]) -> Measured:
        judged = run.read_reversible(cursor, table, names) if report.method is Method.REKEY else {}
        counts = run.count(cursor, table, names, held={n: j.sizes for n, j in judged.items()})
        return (
            counts.rows_total,
            counts.rows_to_update,
            lambda column: _with_values(
                cursor, table, found, column, tokenizer.of(column.name), judged.get(column.name)
            ),
        )

    return measured(report, lambda: run.count_rows(cursor, table), measure)


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
