"""What a run would do, on the real table, before anybody runs it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from backend.core import access
from backend.core.access import Actor, Permission
from backend.core.database import Database
from backend.tokenization import detection, joins, patterns, repository, service, sources
from backend.tokenization.engines import engine_for
from backend.tokenization.schemas import Method, Preview, TableReport
from backend.tokenization.sources import NOT_CONFIGURED, Source

_OTHER_KEY = (
    "The key or scheme is not the one of the last run on this dataset: equal values get other "
    "tokens than before."
)


def preview(
    database: Database,
    actor: Actor,
    *,
    dataset: str,
    columns: Sequence[str] | None = None,
    environment: str | None = None,
    schemes: Mapping[str, str] | None = None,
    method: str = Method.IN_PLACE,
) -> Preview:
    """Blockers, warnings, exact counts and masked samples, read in a read-only transaction.

    columns: None takes what DataHub's tags speak for; an empty list takes nothing, and only shows
    what is there. schemes: keyed schemes of single columns. method: as `service.start` takes it;
    whether a rewrite is possible, and what it means, is said with either. DataHub being away is
    a note, not an error. Raises InvalidInput for a dataset that cannot be found, and the errors of
    the source system.
    """
    access.require(actor, Permission.TOKENIZATION_PREVIEW)
    detection.check_names(columns or ())
    with database.read() as session:
        source = sources.locate(session, dataset=dataset, environment=environment)
        pace = repository.pace(session, source.environment.id, source.engine, method)
        earlier = repository.latest_succeeded(session, source.environment.id)
        last_key = repository.last_fingerprint(session, source.environment.id, dataset)
    if not source.runnable:
        return _shown(source, TableReport(columns=(), blockers=(f"{NOT_CONFIGURED}.",)))
    how = service.method_for(source, method)
    chosen = sources.column_schemes(source, schemes or {})
    tokenizer = sources.tokenizer(database, actor, source, chosen)
    rules = patterns.load()
    seen = detection.look_up(source)
    guesses: list[detection.Detection] = []

    def detect(values: Mapping[str, Sequence[str]]) -> detection.Detection:
        guesses.append(detection.detect(columns, seen.dataset, rules, values, source.table.table))
        return guesses[-1]

    report = engine_for(source).preview(tokenizer, rules.sample_rows, detect, how)
    report = _with_possible(report, guesses)
    report = joins.explained(report, tokenizer, dataset, earlier)
    if last_key is not None and last_key != tokenizer.fingerprint():
        report = replace(report, warnings=(*report.warnings, _OTHER_KEY))
    shown = _shown(source, report, seen.note)
    if pace is None or not report.rows_to_update or report.rows_total is None:
        return shown
    return replace(shown, seconds_estimated=report.rows_total * pace)


def _with_possible(report: TableReport, guesses: Sequence[detection.Detection]) -> TableReport:
    """The report with the guesses that are only possible; none is dropped silently."""
    possible = guesses[-1].possible if guesses else {}
    columns = tuple(
        replace(column, possible=True, reason=possible[column.name])
        if column.name in possible and not (column.selected or column.suggested)
        else column
        for column in report.columns
    )
    return replace(report, columns=columns)


def _shown(source: Source, report: TableReport, catalog_note: str = "") -> Preview:
    return Preview(
        dataset=source.dataset,
        environment=source.environment.name,
        is_production=source.environment.is_production,
        engine=source.engine,
        table=source.table,
        scheme=source.scheme.value,
        reversible=not source.scheme.keyed,
        report=report,
        catalog_note=catalog_note,
    )
