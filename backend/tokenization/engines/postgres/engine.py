"""The PostgreSQL engine behind `engines.base.Engine`: connections, limits, and who does what."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import ClassVar

from backend.connections.schemas import ConnectionConfig
from backend.integrations.postgres.connection import Connection, address, connect
from backend.tokenization.engines.base import (
    CleanUp,
    Control,
    Detector,
    Outcome,
    PlainCount,
    RewriteResult,
    ask_again,
    require_known,
)
from backend.tokenization.engines.postgres import (
    alter,
    catalog,
    expressions,
    identity,
    inspect,
    measure,
    residual,
    rewrite,
    rules,
)
from backend.tokenization.engines.postgres.facts import TableFacts
from backend.tokenization.schemas import ColumnChoice, Method, TableName, TableReport
from backend.tokenization.tokens import Reversible, Tokenizer

#: Seconds that one statement may take. A preview counts exactly, which reads the whole table.
PREVIEW_STATEMENT = 600.0
RUN_STATEMENT = 1_800.0
#: One statement over the whole table and its indexes.
REWRITE_STATEMENT = 4 * 3_600.0
QUICK_STATEMENT = 15.0
LOCK = 5.0


class PostgresEngine:
    """One table of one PostgreSQL database."""

    METHODS: ClassVar[tuple[Method, ...]] = tuple(Method)
    LEFT_BEHIND: ClassVar = (
        "Dead row versions keep the plain values in the table's files until VACUUM has run; "
        "VACUUM FULL or pg_repack rewrites the files.",
        "The write-ahead log, replicas that lag, and archived log segments hold the old rows.",
        "Backups and dumps taken before the run are as they were.",
        "Planner statistics (pg_stats) quote frequent values until ANALYZE has run.",
        "Materialized views, other tables, exports and downstream systems keep their copies.",
    )

    def __init__(
        self, config: ConnectionConfig, table: TableName, *, lock_timeout: float = LOCK
    ) -> None:
        self._settings, self._secrets = config.settings, config.secrets
        self._table = table
        self._lock_timeout = lock_timeout

    @staticmethod
    def list_tables(config: ConnectionConfig) -> list[tuple[TableName, int | None]]:
        with (
            connect(
                config.settings,
                config.secrets,
                application="steward-portal tables",
                statement_timeout=QUICK_STATEMENT,
                readonly=True,
            ) as connection,
            connection.cursor() as cursor,
        ):
            return catalog.list_tables(cursor, config.settings["database"])

    def require_columns(self, names: Sequence[str]) -> Mapping[str, str]:
        with self._connect("look", QUICK_STATEMENT) as connection, connection.cursor() as cursor:
            table = catalog.resolve(cursor, self._table)
            known = catalog.places(cursor, table)
            require_known(table, names, known)
            return known

    def preview(
        self,
        tokenizer: Tokenizer,
        sample_rows: int,
        detector: Detector,
        method: Method = Method.IN_PLACE,
    ) -> TableReport:
        with (
            self._connect("preview", PREVIEW_STATEMENT) as connection,
            connection.cursor() as cursor,
        ):
            table = catalog.resolve(cursor, self._table)
            facts = catalog.read(cursor, table)
            readable = facts.kind in ("r", "p") and all(
                member.may_select and member.kind != "f" for member in facts.members
            )
            texts = [c.name for c in facts.columns.values() if c.is_text]
            values = (
                measure.sample_values(cursor, table, facts, texts, sample_rows) if readable else {}
            )
            report = inspect.report(
                cursor,
                table,
                tokenizer=tokenizer,
                detection=detector(values),
                facts=facts,
                method=method,
            )
        return inspect.with_blockers(report, self._entered_again(table, tokenizer, facts, report))

    def _entered_again(
        self, table: TableName, tokenizer: Tokenizer, facts: TableFacts, report: TableReport
    ) -> dict[str, str]:
        """Unique columns that hold a plain value and its token, with the sentence for each.

        The key is brought as for a run, in a temporary table; nothing else is written.
        """
        unique = {
            column.name: index
            for column in report.columns
            if column.rows_to_update and not column.blockers
            if (index := rules.unique_alone(facts, column.name))
        }
        # Planning a query on the table may call such code, which must not find the key.
        if not unique or facts.user_code:
            return {}
        with (
            self._connect("preview", PREVIEW_STATEMENT, readonly=False) as connection,
            connection.cursor() as cursor,
        ):
            expressions.load_key(cursor, tokenizer)
            cursor.execute("SET TRANSACTION READ ONLY")
            judged = (
                measure.read_reversible(cursor, table, list(unique))
                if report.method is Method.REKEY
                else {}
            )
            rows = {
                name: measure.count_entered_again(
                    cursor,
                    table,
                    name,
                    tokenizer.scheme_of(name),
                    judged[name].sizes if name in judged else None,
                )
                for name in unique
            }
        return {
            name: rules.entered_again(rows[name], index)
            for name, index in unique.items()
            if rows[name]
        }

    def rewrite(
        self,
        columns: Sequence[ColumnChoice],
        tokenizer: Tokenizer,
        control: Control,
        method: Method = Method.IN_PLACE,
    ) -> RewriteResult:
        # A re-key takes, computes and writes in one statement each.
        patience = RUN_STATEMENT if method is Method.IN_PLACE else REWRITE_STATEMENT
        with self._connect("run", patience, readonly=False) as connection:
            if method is Method.REWRITE:
                return alter.rewrite_table(connection, self._table, columns, tokenizer, control)
            return rewrite.rewrite(connection, self._table, columns, tokenizer, control, method)

    def clean_up(self, columns: Sequence[str]) -> CleanUp:
        with self._connect("clean up", REWRITE_STATEMENT, readonly=False) as connection:
            return residual.clean_up(connection, self._table, columns)

    def outcome(self, transaction_id: str, *, patience: float) -> Outcome:
        """PostgreSQL remembers how its transactions ended, for millions of later ones."""
        final = (Outcome.COMMITTED, Outcome.ABORTED)
        return ask_again(lambda: self._transaction_status(transaction_id), final, patience=patience)

    def count_plain(self, columns: Sequence[str]) -> PlainCount:
        with self._connect("check", PREVIEW_STATEMENT) as connection, connection.cursor() as cursor:
            table = catalog.resolve(cursor, self._table)
            facts = catalog.read(cursor, table)
            known = _texts(facts, columns)
            total = measure.count_rows(cursor, table)
            plain = measure.count_plain(cursor, table, known) if known else 0
            return PlainCount(total, plain)

    def read_reversible(self, columns: Sequence[str]) -> dict[str, Reversible]:
        with self._connect("check", PREVIEW_STATEMENT) as connection, connection.cursor() as cursor:
            table = catalog.resolve(cursor, self._table)
            known = _texts(catalog.read(cursor, table), columns)
            return measure.read_reversible(cursor, table, known)

    def _transaction_status(self, transaction_id: str) -> Outcome:
        with self._connect("ask", QUICK_STATEMENT) as connection, connection.cursor() as cursor:
            return identity.outcome_of(cursor, transaction_id)

    def _connect(
        self, purpose: str, statement_timeout: float, *, readonly: bool = True
    ) -> AbstractContextManager[Connection]:
        return connect(
            self._settings,
            self._secrets,
            application=f"steward-portal tokenization {purpose}",
            statement_timeout=statement_timeout,
            lock_timeout=self._lock_timeout,
            readonly=readonly,
        )

    def __repr__(self) -> str:
        return f"PostgresEngine({self._table} at {address(self._settings)})"


def _texts(facts: TableFacts, names: Sequence[str]) -> list[str]:
    """Those of the columns that the table has, as text."""
    return [name for name in names if name in facts.columns and facts.columns[name].is_text]
