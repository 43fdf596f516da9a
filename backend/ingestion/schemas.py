"""What the ingestion room hands out: frozen, JSON-like, without AWS names for those who may not."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from backend.core import clock
from backend.core.views import document
from backend.ingestion.answers import CandidateAnswer, ReportAnswer, ResolutionAnswer, RunAnswer
from backend.ingestion.ruleset import Invocation, RuleKind, Source
from backend.ingestion.targets import Target
from backend.integrations.aws.executions import History as History
from backend.integrations.aws.executions import Step as Step
from backend.integrations.aws.reports import Report

RuleName = Literal["job_property", "portal", "env", "file", "tag", "prefix", "default"]
#: DESIGN 6.5: the order in which rules are asked.
RULE_ORDER: tuple[RuleName, ...] = (
    "job_property",
    "portal",
    "env",
    "file",
    "tag",
    "prefix",
    "default",
)
Status = Literal["accepted", "running", "succeeded", "failed", "unknown"]
STATUSES: tuple[Status, ...] = ("accepted", "running", "succeeded", "failed", "unknown")
Existence = Literal["exists", "missing", "unchecked"]


@dataclass(frozen=True)
class Candidate:
    """A rule that answers. rule: its place in the order; source: where it is kept."""

    rule: RuleName
    source: Source
    pattern: str
    target: Target
    invocation: Invocation = "async"

    def document(self) -> CandidateAnswer:
        return document(CandidateAnswer, self)


@dataclass(frozen=True)
class Resolution:
    """Which rule answered for a dataset, and which others would have.

    answer: None when no rule does. existence: of the dataset, in DataHub. notes: what could not be
    asked and why, in sentences. dataset_urn: "" when only a job was named.
    """

    dataset_urn: str
    job_urn: str | None
    environment: str
    answer: Candidate | None
    others: tuple[Candidate, ...] = ()
    existence: Existence = "unchecked"
    notes: tuple[str, ...] = ()

    def document(self) -> ResolutionAnswer:
        answer: Mapping[str, Any] = dict.fromkeys(CandidateAnswer.__annotations__)
        if self.answer:
            answer = self.answer.document()
        return document(ResolutionAnswer, self, datasetUrn=self.dataset_urn or None, **answer)


@dataclass(frozen=True)
class RuleView:
    """A mapping rule as the editor shows it. id: 0 for rules that are not kept in the portal.

    remark: why it never answers (shadowed, dead), "" when it may.
    """

    id: int
    kind: RuleKind
    pattern: str
    target: Target
    source: Source
    note: str = ""
    updated_at: datetime | None = None
    updated_by: str = ""
    checked_at: datetime | None = None
    problem: str = ""
    remark: str = ""
    invocation: Invocation = "async"


@dataclass(frozen=True)
class MappingView:
    """An environment's mapping. revision: pass it back with a change to notice other people's."""

    environment: str
    revision: int
    rules: tuple[RuleView, ...]
    total: int
    problems: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    order: tuple[str, ...] = RULE_ORDER


@dataclass(frozen=True)
class RunView:
    """One run. Fields that name AWS are None for roles without `ingestion:mapping:read`."""

    run_id: str
    environment: str
    dataset_urn: str
    job_urn: str | None
    status: Status
    detail: str
    settled: bool
    active: bool
    rule: str
    reason: str
    actor_name: str
    actor_kind: str
    existence: str
    created_at: datetime
    sent_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    looked_at: datetime | None
    attempts: int
    rerun_of: str | None
    payload: str
    payload_hash: str
    stop_requested_by: str | None
    can_stop: bool
    can_redrive: bool = False
    report: Report | None = None
    invocation: str = "async"
    error_status: int = 0
    datahub: str = ""
    answered: bool = True
    target: Target | None = None
    rule_source: str | None = None
    rule_pattern: str | None = None
    region: str | None = None
    machine_type: str | None = None
    request_id: str | None = None
    execution_arn: str | None = None
    log_group: str | None = None
    log_tail: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        """The dataset, or the job of a run that was asked for by its job alone."""
        return self.dataset_urn or self.job_urn or ""

    def document(self) -> RunAnswer:
        """The run as REST and `--json` print it."""
        return document(
            RunAnswer,
            self,
            message=self.detail,
            datasetUrn=self.dataset_urn or None,
            actor=self.actor_name,
            report=document(ReportAnswer, self.report) if self.report else None,
            datahub=self.datahub or None,
            checkedAt=clock.iso(self.looked_at),
        )


@dataclass(frozen=True)
class RunPage:
    """items: newest first. next_cursor: pass as `cursor` for the page after, None at the end."""

    items: tuple[RunView, ...]
    next_cursor: int | None


@dataclass(frozen=True)
class Recent:
    """moments: (asked at, status) of runs, newest first. complete: no earlier ones were cut off."""

    moments: tuple[tuple[datetime, str], ...]
    complete: bool


@dataclass(frozen=True)
class RunFilter:
    """Which runs; empty fields do not filter. mine: only those of the asking actor."""

    dataset_urn: str = ""
    job_urn: str = ""
    actor_name: str = ""
    statuses: tuple[str, ...] = ()
    environment: str = ""


@dataclass(frozen=True)
class Request:
    """What somebody asks for. metadata: small JSON that travels in the payload as it is.

    dataset_urn: may be empty when job_urn is given and the job itself names its state machine.

    expected_target, expected_rule: what the asker saw; a mapping that says otherwise by now is not
    followed. None: not compared. run_id: reserved while the request waited for an approval.
    """

    dataset_urn: str
    job_urn: str | None = None
    reason: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    environment: str | None = None
    idempotency_key: str | None = None
    rerun_of: str | None = None
    expected_target: str | None = None
    expected_rule: str | None = None
    run_id: str | None = None


@dataclass(frozen=True)
class Preview:
    """Everything the confirm dialog shows before anything is sent."""

    resolution: Resolution
    payload: dict[str, Any]
    payload_bytes: int
    is_production: bool
    last_runs: tuple[RunView, ...]
    running: RunView | None
    target_problem: str = ""
    machine_type: str = ""
