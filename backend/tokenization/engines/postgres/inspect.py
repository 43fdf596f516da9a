"""Look at a table and say what a run would do: one code path for the preview and the run itself."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from psycopg2.extensions import cursor as Cursor

from backend.tokenization.engines.columns import left_alone, samples
from backend.tokenization.engines.postgres import catalog, measure, rules
from backend.tokenization.engines.postgres.facts import ColumnFacts, TableFacts
from backend.tokenization.schemas import ColumnReport, Method, TableName, TableReport
from backend.tokenization.tokens import Scheme, Tokenizer


def report(
    cursor: Cursor,
    table: TableName,
    *,
    tokenizer: Tokenizer,
    chosen: Mapping[str, str],
    suggested: Mapping[str, str] | None = None,
    facts: TableFacts | None = None,
    with_rows: bool = True,
    method: Method = Method.IN_PLACE,
) -> TableReport:
    """What a run over the `chosen` columns (name → reason) would do.

    suggested: columns that only a guess speaks for, shown and not selected. with_rows: also count
    and sample, which reads the whole table; the run leaves that out, its UPDATE does the counting.
    Raises NoSuchTable. A chosen column that does not exist is reported as blocked.
    """
    facts = facts or catalog.read(cursor, table)
    guesses = suggested or {}
    rewriting = rules.rewrite_blockers(facts, list(chosen))
    found = TableReport(
        columns=tuple(
            _column(
                facts, column, tokenizer, chosen.get(column.name), guesses.get(column.name), method
            )
            for column in facts.columns.values()
        )
        + tuple(
            _missing(name, reason) for name, reason in chosen.items() if name not in facts.columns
        ),
        blockers=rules.table_blockers(facts, table.schema, tokenizer.scheme)
        + _method_blockers(method, rewriting),
        warnings=rules.table_warnings(facts, list(chosen)),
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


def _column(
    facts: TableFacts,
    column: ColumnFacts,
    tokenizer: Tokenizer,
    reason: str | None,
    guess: str | None,
    method: Method,
) -> ColumnReport:
    scheme = tokenizer.scheme_of(column.name)
    return ColumnReport(
        name=column.name,
        type=column.type,
        selected=reason is not None,
        suggested=reason is None and guess is not None,
        reason=reason or guess or "",
        blockers=rules.column_blockers(facts, column, scheme, None, method),
        warnings=rules.column_warnings(facts, column, scheme) + _widening(column, scheme, method),
        length=column.length,
    )


def _widening(column: ColumnFacts, scheme: Scheme, method: Method) -> tuple[str, ...]:
    wider = rules.widened(column, scheme) if method is Method.REWRITE else None
    return (f"it is widened from {column.type} to {wider}",) if wider else ()


def _missing(name: str, reason: str) -> ColumnReport:
    return ColumnReport(
        name=name,
        type="",
        selected=True,
        reason=reason,
        blockers=("the table has no such column (names are case-sensitive)",),
    )


def _with_rows(
    cursor: Cursor,
    table: TableName,
    facts: TableFacts,
    tokenizer: Tokenizer,
    found: TableReport,
) -> TableReport:
    """Counts and samples of the selected columns that nothing blocks."""
    names = [column.name for column in found.columns if column.selected and not column.blockers]
    if not names:
        return replace(
            found,
            rows_total=measure.count_rows(cursor, table),
            rows_to_update=None if found.all_blockers else 0,
        )
    judged = measure.read_reversible(cursor, table, names) if found.method is Method.REKEY else {}
    held = {name: each.sizes for name, each in judged.items()}
    counts = measure.count(cursor, table, names, tokenizer, held)
    columns = []
    for column in found.columns:
        if column.name in names:
            column = replace(
                column,
                rows_to_update=counts.plain[column.name],
                samples=samples(
                    measure.first_plain_values(cursor, table, column.name, held.get(column.name)),
                    tokenizer.of(column.name),
                ),
                warnings=column.warnings + left_alone(judged.get(column.name)),
                blockers=rules.column_blockers(
                    facts,
                    facts.columns[column.name],
                    tokenizer.scheme_of(column.name),
                    counts.longest_token.get(column.name),
                    found.method,
                ),
            )
        columns.append(column)
    measured = replace(found, columns=tuple(columns), rows_total=counts.rows_total)
    blocked = bool(measured.all_blockers)
    return replace(measured, rows_to_update=None if blocked else counts.rows_to_update)


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
