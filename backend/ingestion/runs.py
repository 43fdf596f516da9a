"""Start a run: recorded first, sent to AWS once, its answer recorded after. Nothing runs twice.

Three short units of work around two conversations with the outside: (1) read the context, ask
DataHub; (2) write the row, whose unique `active_key` and idempotency key are what makes double
clicks and double posts one run; (3) call AWS without any session; (4) write what it said. A crash
between (2) and (4) leaves "unknown, being sent", which the follow-up clears.
"""

import hashlib
import json
import secrets
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy.exc import IntegrityError

from backend.changes import gate
from backend.core import access, clock
from backend.core.access import Actor, Permission
from backend.core.database import Database, WriteSession
from backend.core.errors import InvalidInput, InvalidPayload, OutcomeUnknown, PortalError
from backend.ingestion import aws, dispatch, repository, resolve, run_context, tracker, views
from backend.ingestion.catalog import Catalog
from backend.ingestion.errors import (
    AlreadyRunning,
    KeyReused,
    MappingChanged,
    PayloadTooLarge,
    RunNotFound,
    StartFailed,
)
from backend.ingestion.run_context import RunContext
from backend.ingestion.schemas import (
    Candidate,
    Preview,
    Request,
    Resolution,
    RunFilter,
    RunView,
)
from backend.integrations.aws import names
from backend.integrations.aws.config import AwsConfig
from backend.models.ingestion import IngestionRun

#: How long a repeated request waits for AWS's answer to the first one.
REPLAY_SECONDS = 15.0
#: What a policy may put under approval; `backend.ingestion.changes` carries it out.
RUN = "ingestion.run"
BEING_SENT = "Being sent to AWS; no answer yet."


def start(database: Database, actor: Actor, request: Request) -> RunView:
    """Resolve, record and start a run; the view says accepted (or unknown, see below).

    Raises InvalidInput (URN, unknown dataset), NoMapping, MappingChanged (409, see Request),
    PayloadTooLarge, AlreadyRunning (409, with the run), StartFailed (with the recorded run) when
    AWS refused or its answer was lost.
    The same idempotency key gives the first run again; KeyReused when the rest is not the same.
    """
    access.require_to_ask(actor, Permission.INGESTION_RUN)
    request = _checked(request)
    with database.read() as session:
        context = run_context.load(session, request.environment)
        known = _known(session, context, request)
    if known is not None:
        return _replayed(database, actor, known, request)
    catalog = Catalog(context.datahub)
    answer, resolution = resolve.first(context, catalog, request.dataset_urn, request.job_urn)
    _require_expected(request, answer)
    row = _new_row(context, actor, request, answer, resolution)
    _notice_redrive(database, context, request)
    try:
        with database.write() as session:
            gate.check(session, actor, _intent(request, row, context.aws))
            _insert(session, actor, row)
    except IntegrityError:
        return _lost_race(database, actor, context, request, row.active_key or "")
    return dispatch.send(database, actor, context, row)


def _intent(request: Request, row: IngestionRun, account: AwsConfig) -> gate.Intent:
    """AWS names stay out of what is shown: not everybody who may look at changes may read them."""
    target = [row.target_kind, row.target, row.rule, row.rule_source, row.rule_pattern]
    target.append(row.invocation)  # decides whether AWS tries it again
    target += [account.region, account.endpoint_url, account.role_arn, account.access_key_id]
    return gate.Intent(
        action=RUN,
        environment=row.environment_name,
        subject=row.dataset_urn,
        parameters={
            "dataset_urn": row.dataset_urn,
            "job_urn": row.job_urn,
            "reason": row.reason,
            "metadata": request.metadata,
            "idempotency_key": row.idempotency_key,
            "expected_target": request.expected_target,
            "expected_rule": request.expected_rule,
            "rerun_of": row.rerun_of,
        },
        shown={"dataset": row.dataset_urn, "job": row.job_urn or "", "rule": row.rule},
        rests={"target": json.dumps(target)},
        run_id=row.run_id,
        reason=row.reason,
    )


def preview(database: Database, actor: Actor, request: Request) -> Preview:
    """Everything the confirm dialog shows; asks DataHub and AWS, starts nothing."""
    access.require(actor, Permission.INGESTION_RUN)
    request = _checked(request)
    with database.read() as session:
        context = run_context.load(session, request.environment)
        last = repository.list_runs(
            session,
            _same_subject(context, request),
            limit=3,
            before=None,
        )
        active = repository.find_active(session, _active_key(context, request))
    resolution = resolve.explain(
        context, Catalog(context.datahub), request.dataset_urn, request.job_urn
    )
    payload = _payload(actor, request, resolution.answer, "given when it starts")
    problem, machine_type = "", ""
    if resolution.answer is not None:
        try:
            machine_type = aws.facts(context.aws, resolution.answer.target, fresh=True).machine_type
        except PortalError as exc:
            problem = exc.message
    return Preview(
        resolution=resolution,
        payload=payload,
        payload_bytes=len(json.dumps(payload, ensure_ascii=False).encode()),
        is_production=context.is_production,
        last_runs=tuple(views.run_view(row, actor) for row in last.rows),
        running=views.run_view(active, actor) if active is not None else None,
        target_problem=problem,
        machine_type=machine_type,
    )


def rerun(
    database: Database, actor: Actor, *, run_id: str, idempotency_key: str | None = None
) -> RunView:
    """Start the dataset of an earlier run again with the same reason and metadata.

    The mapping is asked anew. Raises RunNotFound and what `start` raises.
    """
    access.require(actor, Permission.INGESTION_RUN)
    with database.read() as session:
        row = repository.find_run(session, run_id)
        if row is None:
            raise RunNotFound(run_id)
        environment = run_context.name_of(session, row)
    payload = json.loads(row.payload)
    return start(
        database,
        actor,
        Request(
            dataset_urn=row.dataset_urn,
            job_urn=row.job_urn,
            reason=row.reason,
            metadata=payload.get("metadata") or {},
            environment=environment or None,
            idempotency_key=idempotency_key,
            rerun_of=row.run_id,
        ),
    )


# -- before AWS ----------------------------------------------------------------------------------


def _checked(request: Request) -> Request:
    dataset, job = resolve.checked_urns(request.dataset_urn, request.job_urn)
    key = (request.idempotency_key or "").strip() or None
    if key and len(key) > 200:
        raise InvalidInput("The idempotency key has more than 200 characters.")
    return replace(request, dataset_urn=dataset, job_urn=job, idempotency_key=key)


def _notice_redrive(database: Database, context: RunContext, request: Request) -> None:
    """A failed execution that somebody redrove in AWS goes on, and holds its dataset again."""
    found = database.ask(
        repository.list_runs, _same_subject(context, request), limit=1, before=None
    )
    if found.rows and views.redrivable(found.rows[0]):
        tracker.check(database, found.rows[0].run_id)


def _same_subject(context: RunContext, request: Request) -> RunFilter:
    job = "" if request.dataset_urn else request.job_urn or ""
    return RunFilter(request.dataset_urn, job_urn=job, environment=context.environment)


def _require_expected(request: Request, answer: Candidate) -> None:
    """What somebody confirmed is started, or nothing is."""
    target = request.expected_target not in (None, answer.target.name)
    rule = request.expected_rule not in (None, answer.rule)
    if target or rule:
        raise MappingChanged


def _payload(
    actor: Actor, request: Request, answer: Candidate | None = None, run_id: str = ""
) -> dict[str, Any]:
    """What the target gets; jobArn only when the job itself named the target."""
    named_by_job = answer is not None and answer.rule == "job_property"
    optional = {
        "datasetUrn": request.dataset_urn,
        "jobUrn": request.job_urn,
        "jobArn": answer.target.name if answer is not None and named_by_job else None,
    }
    payload: dict[str, Any] = {name: value for name, value in optional.items() if value}
    payload |= {
        "reason": request.reason,
        "actor": actor.name,
        "actorUrn": f"urn:li:corpuser:{actor.name}",
        "runId": run_id,
    }
    if request.metadata:
        payload["metadata"] = request.metadata
    return payload


def new_run_id(kind: str, at: Any) -> str:
    """Sortable by time, unique, and usable as the name of a Step Functions execution."""
    prefix = "sfn" if kind == "stepfunctions" else "lambda"
    return f"{prefix}-{at:%Y%m%dT%H%M%SZ}-{secrets.token_hex(6)}"


def _active_key(context: RunContext, request: Request) -> str:
    return repository.active_key(
        context.environment_id, request.dataset_urn or request.job_urn or ""
    )


def _new_row(
    context: RunContext, actor: Actor, request: Request, answer: Candidate, resolution: Resolution
) -> IngestionRun:
    now = clock.now()
    run_id = request.run_id or new_run_id(answer.target.kind, now)
    payload = _checked_payload(actor, request, answer, run_id)
    return IngestionRun(
        run_id=run_id,
        environment_id=context.environment_id,
        environment_name=context.environment,
        dataset_urn=request.dataset_urn,
        job_urn=request.job_urn,
        rule=answer.rule,
        rule_source=answer.source,
        rule_pattern=answer.pattern,
        target_kind=answer.target.kind,
        target=answer.target.name,
        invocation=answer.invocation,
        machine_type="",
        region="",
        reason=request.reason,
        payload=payload,
        payload_hash=hashlib.sha256(payload.encode()).hexdigest(),
        existence=resolution.existence,
        actor_id=actor.id,
        actor_name=actor.name[:255],
        actor_kind=actor.kind,
        rerun_of=request.rerun_of,
        idempotency_key=request.idempotency_key,
        active_key=_active_key(context, request),
        status="unknown",
        answered=False,
        settled=False,
        public_detail=BEING_SENT,
        detail=BEING_SENT,
        error_status=0,
        request_id="",
        execution_arn="",
        log_group="",
        log_tail="",
        attempts=0,
        max_attempts=3,
        created_at=now,
        sent_at=now,
        next_look_at=now + timedelta(seconds=dispatch.SENDING_SECONDS),
        looks=0,
        reported="" if context.reports_runs else None,
        report_at=now if context.reports_runs else None,
    )


def _checked_payload(actor: Actor, request: Request, answer: Candidate, run_id: str) -> str:
    """What is sent; raises PayloadTooLarge for what AWS would not take."""
    payload = _serialised(_payload(actor, request, answer, run_id))
    size, limit = len(payload.encode()), _limit(answer)
    if size > limit:
        raise PayloadTooLarge(size, limit)
    return payload


def _limit(answer: Candidate) -> int:
    return names.payload_limit(answer.target.kind, waits=answer.invocation == "sync")


def _serialised(payload: dict[str, Any]) -> str:
    try:
        text = json.dumps(payload, ensure_ascii=False, allow_nan=False)
        text.encode()  # half a surrogate pair is text for Python only
    except (TypeError, ValueError) as exc:
        raise InvalidPayload("The metadata or reason cannot be written as JSON text.") from exc
    return text


def _insert(session: WriteSession, actor: Actor, row: IngestionRun) -> None:
    session.add(row)
    session.flush()
    dispatch.record(session, actor, row, "intent", "")


# -- the same request again ------------------------------------------------------------------------


def _known(session: Any, context: RunContext, request: Request) -> IngestionRun | None:
    if not request.idempotency_key:
        return None
    return repository.find_by_key(session, context.environment_id, request.idempotency_key)


def _replayed(database: Database, actor: Actor, row: IngestionRun, request: Request) -> RunView:
    """The run of an earlier request with the same key, once AWS has answered that one.

    Raises KeyReused for another request, StartFailed while nobody knows that AWS accepted it.
    """
    if _asked(json.loads(row.payload)) != _asked(json.loads(_serialised(_payload(actor, request)))):
        raise KeyReused(views.run_view(row, actor))
    deadline = time.monotonic() + REPLAY_SECONDS
    while not row.answered and time.monotonic() < deadline:
        time.sleep(0.1)
        with database.read() as session:
            row = repository.find_run(session, row.run_id) or row
    view = views.run_view(row, actor)
    if not row.answered or row.error_status:
        raise StartFailed(view, row.error_status or OutcomeUnknown.status, view.detail)
    return view


def _asked(payload: dict[str, Any]) -> dict[str, Any]:
    """What was asked for, whoever asked."""
    ours = ("actor", "actorUrn", "jobArn", "runId")
    return {name: value for name, value in payload.items() if name not in ours}


def _lost_race(
    database: Database, actor: Actor, context: RunContext, request: Request, active_key: str
) -> RunView:
    """Another request was first: the same one (its key), or one for the same dataset."""
    with database.read() as session:
        same = _known(session, context, request)
        active = repository.find_active(session, active_key)
    if same is not None:
        return _replayed(database, actor, same, request)
    if active is None:
        raise InvalidInput("Another run of this dataset has just ended. Try again.", status=409)
    raise AlreadyRunning(views.run_view(active, actor))
