"""Look at a table and say what a run would do: one code path for the preview and the run itself."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from psycopg2.extensions import cursor as Cursor

from backend.tokenization.detection import Detection
from backend.tokenization.engines.columns import (
    Measured,
    left_alone,
    measured,
    reports,
    samples,
)
from backend.tokenization.engines.postgres import measure, rules
from backend.tokenization.engines.postgres.facts import ColumnFacts, TableFacts
from backend.tokenization.schemas import ColumnReport, Method, TableName, TableReport
from backend.tokenization.tokens import Scheme, Tokenizer


def report(
    cursor: Cursor,
    table: TableName,
    *,
    tokenizer: Tokenizer,
    detection: Detection,
    facts: TableFacts,
    with_rows: bool = True,
    method: Method = Method.IN_PLACE,
) -> TableReport:
    """What a run over the chosen columns would do.

    with_rows: also count and sample, which reads the whole table; the run leaves that out, its
    UPDATE does the counting. A chosen column that does not exist is reported as blocked.
    """
    chosen = list(detection.chosen)
    rewriting = rules.rewrite_blockers(facts, chosen)

    def blockers(column: ColumnFacts) -> tuple[str, ...]:
        scheme = tokenizer.scheme_of(column.name)
        return rules.column_blockers(facts, column, scheme, None, method)

    def warnings(column: ColumnFacts) -> tuple[str, ...]:
        scheme = tokenizer.scheme_of(column.name)
        return rules.column_warnings(facts, column, scheme) + _widening(column, scheme, method)

    found = TableReport(
        columns=reports(facts.columns.values(), detection, blockers, warnings),
        blockers=rules.table_blockers(facts, table.schema, tokenizer.scheme)
        + _method_blockers(method, rewriting),
        warnings=rules.table_warnings(facts, chosen),
        bytes_total=facts.bytes_total,
        method=method,
        rewrite_blockers=rewriting,
    )
    readable = not found.blockers and facts.server.version >= rules.MINIMUM_VERSION
    return _with_rows(cursor, table, facts, tokenizer, found) if with_rows and readable else found


def _method_blockers(method: Method, rewriting: Sequence[str]) -> tuple[str, ...]:
    if method is not Method.REWRITE:
        return ()
    return tuple(f"It cannot be rewritten, only be done in place: {why}." for why in rewriting)


def _widening(column: ColumnFacts, scheme: Scheme, method: Method) -> tuple[str, ...]:
    wider = rules.widened(column, scheme) if method is Method.REWRITE else None
    return (f"it is widened from {column.type} to {wider}",) if wider else ()


def _with_rows(
    cursor: Cursor,
    table: TableName,
    facts: TableFacts,
    tokenizer: Tokenizer,
    found: TableReport,
) -> TableReport:
    def measure_them(names: list[str]) -> Measured:
        rekey = found.method is Method.REKEY
        judged = measure.read_reversible(cursor, table, names) if rekey else {}
        held = {name: each.sizes for name, each in judged.items()}
        counts = measure.count(cursor, table, names, tokenizer, held)

        def described(column: ColumnReport) -> ColumnReport:
            name = column.name
            values = measure.first_plain_values(cursor, table, name, held.get(name))
            return replace(
                column,
                rows_to_update=counts.plain[name],
                samples=samples(values, tokenizer.of(name)),
                warnings=column.warnings + left_alone(judged.get(name)),
                blockers=rules.column_blockers(
                    facts,
                    facts.columns[name],
                    tokenizer.scheme_of(name),
                    counts.longest_token.get(name),
                    found.method,
                ),
            )

        return counts.rows_total, counts.rows_to_update, described

    return measured(found, lambda: measure.count_rows(cursor, table), measure_them)


def with_blockers(found: TableReport, more: Mapping[str, str]) -> TableReport:
    """The report with one more blocker for some columns; then no row can be updated."""
    if not more:
        return found
    columns = tuple(
        replace(column, blockers=(*column.blockers, more[column.name]))
        if column.name in more
        else column
        for column in found.columns
    )
    return replace(found, columns=columns, rows_to_update=None)
