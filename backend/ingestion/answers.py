"""The shapes of what REST and `--json` say about ingestion; names of AWS are null for some roles.

Keys are in camel case where DataHub's button reads them.
"""

from typing_extensions import TypedDict


class TargetAnswer(TypedDict):
    """kind: lambda or stepfunctions; name: a function's name or an ARN."""

    kind: str
    name: str


class CandidateAnswer(TypedDict):
    """A rule that would have answered."""

    rule: str
    source: str
    pattern: str
    target: TargetAnswer
    invocation: str


class ResolutionAnswer(TypedDict):
    """Which rule answered; null where none did."""

    datasetUrn: str | None
    jobUrn: str | None
    environment: str
    target: TargetAnswer | None
    rule: str | None
    source: str | None
    pattern: str | None
    invocation: str | None
    existence: str
    others: list[CandidateAnswer]
    notes: list[str]


class RunAnswer(TypedDict):
    """A run. Times are UTC."""

    runId: str
    status: str
    message: str
    environment: str
    datasetUrn: str | None
    jobUrn: str | None
    rule: str
    target: TargetAnswer | None
    invocation: str
    reason: str
    actor: str
    existence: str
    settled: bool
    attempts: int
    stopRequestedBy: str | None
    canStop: bool
    rerunOf: str | None
    createdAt: str | None
    sentAt: str | None
    startedAt: str | None
    finishedAt: str | None
    checkedAt: str | None
    requestId: str | None
    executionArn: str | None
    logTail: list[str]


class RunList(TypedDict):
    """Newest first."""

    items: list[RunAnswer]
    next_cursor: int | None


class Asked(TypedDict):
    """A variable that the person fills."""

    name: str
    default: str | None
    secret: bool


class RecipeAnswer(TypedDict):
    """filled: variables that a connection fills. problem: why it cannot be run here."""

    name: str
    source: str
    filled: list[str]
    asked: list[Asked]
    problem: str | None


class RecipeList(TypedDict):
    items: list[RecipeAnswer]


class SourceAnswer(TypedDict):
    """An ingestion source that DataHub manages, in DataHub's own words."""

    urn: str
    name: str
    type: str
    schedule: str | None
    last_status: str
    last_requested_at: str | None
    last_request_urn: str | None


class SourceList(TypedDict):
    items: list[SourceAnswer]
    total: int
