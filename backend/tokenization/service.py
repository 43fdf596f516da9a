"""Start a run, look at runs. The three faces and the watchers all come in through here."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from sqlalchemy.exc import IntegrityError

from backend.changes import gate
from backend.connections import resolve
from backend.core import access, audit, choices, clock
from backend.core.access import Actor, Permission
from backend.core.database import Database, ReadSession, WriteSession
from backend.core.errors import InvalidInput
from backend.jobs.enqueue import enqueue
from backend.models import TokenizationRun
from backend.tokenization import detection, patterns, reconcile, repository, sources
from backend.tokenization.engines import engine_for
from backend.tokenization.errors import AnotherTable, NotConfirmed, NothingChosen, TableBusy
from backend.tokenization.schemas import (
    CleanUpState,
    ColumnChoice,
    Method,
    RunFilters,
    RunPage,
    RunState,
    RunView,
    Trigger,
    WriteBackState,
)
from backend.tokenization.sources import NOT_CONFIGURED, Source
from backend.tokenization.tokens import Scheme

#: From so many rows on, a person types the table's name before a run from the page.
ROWS_TO_CONFIRM = 100_000
MAX_PAGE = 200
#: What a policy may put under approval; `backend.tokenization.changes` carries it out.
RUN, REWRITE = "tokenization.run", "tokenization.rewrite"


def start(
    database: Database,
    actor: Actor,
    *,
    dataset: str,
    columns: Sequence[str] | None = None,
    environment: str | None = None,
    trigger: Trigger,
    reasons: dict[str, str] | None = None,
    places: Mapping[str, str] | None = None,
    schemes: Mapping[str, str] | None = None,
    method: str = Method.IN_PLACE,
    clean_up: bool = False,
    rows_expected: int | None = None,
    confirmation: str | None = None,
) -> RunView:
    """Queue a run and return it.

    Without `columns` the fields that DataHub's tags speak for are taken; guesses never are.
    reasons: why each named column was chosen, when the page showed more than "by name".
    places: of the named columns, as a preview showed them; a table that was made anew is refused.
    schemes: keyed schemes of single columns; the others get the environment's.
    method: "in-place", "rewrite" or "re-key" (`schemas.Method`); one that is not possible makes
    the run fail unchanged.
    clean_up: VACUUM, ANALYZE and REFRESH once it has succeeded, and a check of all three.
    rows_expected, confirmation: from the page; a large or production table needs its name typed.
    Raises InvalidInput (URN, table, columns), TableBusy, and the errors of the outside systems.
    What the request itself gets wrong (a URN, a table or a named column that is not there) starts
    no run and changes nothing in DataHub; what forbids a run of a known column makes it fail.
    A Databricks dataset without a connection gives a run that is `skipped` at once.
    """
    access.require_to_ask(actor, Permission.TOKENIZATION_RUN)
    detection.check_names(columns or ())
    source = database.ask(sources.locate, dataset=dataset, environment=environment)
    chosen = sources.column_schemes(source, schemes or {})
    how = How(method_for(source, method), clean_up)
    if trigger is Trigger.PAGE:
        _require_confirmation(source, rows_expected, confirmation)
    if not source.runnable:
        return database.change(_skip, actor, source, trigger, columns or ())
    found = engine_for(source).require_columns(columns or ())
    if any(place != found.get(name, place) for name, place in (places or {}).items()):
        raise AnotherTable(str(source.table))
    choices = _with_schemes(source, _choices(source, columns, reasons or {}), chosen)
    choices = [replace(each, place=found.get(each.name, "")) for each in choices]
    return _ask(database, actor, source, trigger, choices, rows_expected, how)


def _ask(
    database: Database,
    actor: Actor,
    source: Source,
    trigger: Trigger,
    choices: list[ColumnChoice],
    rows_expected: int | None,
    how: "How",
) -> RunView:
    """Queue it, unless a policy asks for approval first."""
    fingerprint = sources.tokenizer(database, actor, source).fingerprint()
    intent = _intent(source, trigger, choices, fingerprint, rows_expected, how)
    _free_abandoned(database, source)
    try:
        with database.write() as session:
            gate.check(session, actor, intent)
            return _queue(session, actor, source, trigger, choices, fingerprint, how)
    except IntegrityError as exc:
        # Two processes asked for the same table in the same instant.
        raise TableBusy(str(source.table), None) from exc


@dataclass(frozen=True)
class How:
    """By which method a run writes, and whether a clean-up follows."""

    method: Method
    clean_up: bool


def method_for(source: Source, text: str) -> Method:
    """Raises InvalidInput."""
    try:
        method = Method(text)
    except ValueError as exc:
        known = ", ".join(each.value for each in Method)
        raise InvalidInput(f"'{text}' is no method; choose one of: {known}.") from exc
    if method is Method.REKEY and not source.scheme.keyed:
        raise InvalidInput(
            f"The scheme of {source.environment.name} is base64, so there is no key to make tokens "
            "anew with; an admin can set a keyed scheme on the connections page."
        )
    return method


def _intent(
    source: Source,
    trigger: Trigger,
    choices: list[ColumnChoice],
    fingerprint: str,
    rows: int | None,
    how: "How",
) -> gate.Intent:
    columns = [choice.name for choice in choices]
    schemes = {each.name: each.scheme for each in choices if each.scheme != source.scheme}
    return gate.Intent(
        action=action_of(how.method),
        environment=source.environment.name,
        subject=f"{source.table} ({', '.join(columns)})",
        parameters={
            "dataset": source.dataset,
            "columns": columns,
            "schemes": schemes,
            "method": how.method.value,
            "clean_up": how.clean_up,
            "reasons": {choice.name: choice.reason for choice in choices},
            "rows_expected": rows,
            "confirmation": source.table.table,
        },
        beside={"trigger": trigger.value},
        shown={
            "dataset": source.dataset,
            "table": str(source.table),
            "columns": columns,
            "scheme": source.scheme.value,
            **({"schemes": schemes} if schemes else {}),
            "method": how.method.value,
            "clean_up": how.clean_up,
        },
        size=rows,
        rests={
            "key of the tokens": fingerprint,
            "table": " ".join(choice.place for choice in choices),
        },
        through=(source.engine,),
        also=(RUN,),
    )


def action_of(method: Method) -> str:
    """A rewrite closes the table to everybody: it has a rule of its own, beside that of a run."""
    return REWRITE if method is Method.REWRITE else RUN


def _free_abandoned(database: Database, source: Source) -> None:
    """A run whose process died must not hold its table until the schedule comes by."""
    holder = database.ask(repository.find_active, sources.active_key(source))
    if holder is not None:
        reconcile.reconcile_one(database, holder.id)


def needs_confirmation(is_production: bool, rows: int | None) -> bool:
    """Whether the page asks for the table's name to be typed."""
    return is_production or (rows or 0) > ROWS_TO_CONFIRM


def get(session: ReadSession, actor: Actor, *, run_id: int) -> RunView:
    """One run. Raises RunNotFound."""
    access.require(actor, Permission.TOKENIZATION_READ)
    return repository.view(repository.get(session, run_id))


def list_runs(
    session: ReadSession,
    actor: Actor,
    *,
    filters: RunFilters | None = None,
    limit: int = 50,
    before: int | None = None,
) -> RunPage:
    """Runs newest first, at most 200; `before` is the `next_cursor` of the page before.

    A search for what few runs have may give a short or empty page with a `next_cursor`.
    Raises UnknownChoice for an unknown state or trigger, and EnvironmentNotFound where neither an
    environment nor a run has that name.
    """
    access.require(actor, Permission.TOKENIZATION_READ)
    choices.check_limit(limit, MAX_PAGE)
    wanted = _checked(session, filters or RunFilters())
    found = repository.list_runs(session, wanted, limit=limit, before=before)
    if wanted.environment and not found.rows:
        resolve.environment(session, wanted.environment)
    return RunPage(tuple(map(repository.view, found.rows)), found.next_cursor)


def _checked(session: ReadSession, filters: RunFilters) -> RunFilters:
    """As records keep them."""
    for wanted, word, known in (
        (filters.state, "status", list(RunState)),
        (filters.trigger, "trigger", list(Trigger)),
    ):
        if wanted:
            choices.check(word, wanted, known)
    if not filters.environment:
        return filters
    return replace(filters, environment=resolve.spelling(session, filters.environment))


def retry_write_back(session: WriteSession, actor: Actor, *, run_id: int) -> RunView:
    """Queue another try at writing an ended run's outcome into DataHub.

    Raises RunNotFound, and InvalidInput when the run has not ended or left nothing to write.
    """
    access.require(actor, Permission.TOKENIZATION_RUN)
    row = repository.get_locked(session, run_id)
    found = repository.view(row)
    if found.state in (RunState.QUEUED, RunState.RUNNING, RunState.UNKNOWN):
        raise InvalidInput(f"Run {run_id} has not ended; there is nothing to write to DataHub yet.")
    if found.state in (RunState.SKIPPED, RunState.CANCELLED):
        raise InvalidInput(
            f"Run {run_id} changed nothing and was {found.state.value}; nothing to write."
        )
    row.write_back = WriteBackState.PENDING
    row.write_back_details = "Queued again by a person."
    enqueue(session, actor, "tokenization.write_back", {"run_id": run_id}, subject=f"run {run_id}")
    return repository.view(row)


def _require_confirmation(
    source: Source, rows_expected: int | None, confirmation: str | None
) -> None:
    needed = needs_confirmation(source.environment.is_production, rows_expected)
    if needed and (confirmation or "").strip() != source.table.table:
        raise NotConfirmed(source.table.table)


def _choices(
    source: Source, columns: Sequence[str] | None, reasons: dict[str, str]
) -> list[ColumnChoice]:
    """Named columns need no DataHub; tagged ones need its answer."""
    if columns:
        return [
            ColumnChoice(name, reasons.get(name, detection.CHOSEN))
            for name in dict.fromkeys(columns)
        ]
    seen = detection.look_up(source)
    if seen.problem is not None:
        raise seen.problem
    chosen = detection.choose(None, seen.dataset, patterns.load())
    if not chosen:
        raise NothingChosen(source.dataset, seen.note)
    return [ColumnChoice(name, reason) for name, reason in chosen.items()]


def _with_schemes(
    source: Source, choices: list[ColumnChoice], schemes: Mapping[str, Scheme]
) -> list[ColumnChoice]:
    strangers = sorted(set(schemes) - {choice.name for choice in choices})
    if strangers:
        raise InvalidInput(
            f"A scheme was named for {', '.join(strangers)}, which is no column of this run."
        )
    return [replace(each, scheme=schemes.get(each.name, source.scheme)) for each in choices]


def _queue(
    session: WriteSession,
    actor: Actor,
    source: Source,
    trigger: Trigger,
    choices: list[ColumnChoice],
    fingerprint: str,
    how: How,
) -> RunView:
    key = sources.active_key(source)
    holder = repository.find_active(session, key)
    if holder is not None:
        raise TableBusy(str(source.table), holder.id)
    row = _row(actor, source, trigger, choices)
    row.state, row.active_key, row.key_fingerprint = RunState.QUEUED, key, fingerprint
    row.method = how.method.value
    row.clean_up = (CleanUpState.WANTED if how.clean_up else CleanUpState.NONE).value
    row.write_back = WriteBackState.PENDING if source.datahub else WriteBackState.SKIPPED
    row.write_back_details = (
        ""
        if source.datahub
        else f"The environment {source.environment.name} has no DataHub connection."
    )
    session.add(row)
    session.flush()
    row.job_id = enqueue(
        session,
        actor,
        "tokenization.run",
        {"run_id": row.id},
        subject=f"{source.table} ({source.environment.name}), run {row.id}",
        environment=source.environment.name,
    )
    audit.record(
        session,
        actor,
        Permission.TOKENIZATION_RUN.value,
        subject=source.dataset,
        phase="intent",
        details={
            "run_id": row.id,
            "environment": source.environment.name,
            "columns": [choice.name for choice in choices],
            "scheme": source.scheme.value,
            "schemes": {choice.name: choice.scheme for choice in choices},
            "method": how.method.value,
            "trigger": trigger.value,
        },
    )
    return repository.view(row)


def _skip(
    session: WriteSession,
    actor: Actor,
    source: Source,
    trigger: Trigger,
    columns: Sequence[str],
) -> RunView:
    choices = [ColumnChoice(name, detection.CHOSEN) for name in columns]
    row = _row(actor, source, trigger, choices)
    now = clock.now()
    row.state, row.details = RunState.SKIPPED, NOT_CONFIGURED
    row.started_at = row.finished_at = now
    row.rows_scanned = row.rows_updated = 0
    row.write_back, row.write_back_details = WriteBackState.SKIPPED, "Nothing was run."
    session.add(row)
    session.flush()
    audit.record(
        session,
        actor,
        Permission.TOKENIZATION_RUN.value,
        subject=source.dataset,
        outcome="skipped",
        details={"run_id": row.id, "reason": NOT_CONFIGURED},
    )
    return repository.view(row)


def _row(
    actor: Actor, source: Source, trigger: Trigger, choices: list[ColumnChoice]
) -> TokenizationRun:
    return TokenizationRun(
        environment_id=source.environment.id,
        environment=source.environment.name,
        dataset=source.dataset,
        engine=source.engine,
        source_table=str(source.table),
        columns=[asdict(choice) for choice in choices],
        scheme=source.scheme.value,
        key_fingerprint="",
        trigger_kind=trigger.value,
        actor_id=actor.id,
        actor_name=actor.name,
        actor_kind=actor.kind,
        created_at=clock.now(),
        details="",
        write_back_attempts=0,
    )
