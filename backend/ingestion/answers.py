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


class ReportAnswer(TypedDict):
    """Time (ms) and memory (MB) of a Lambda call's last try; init_ms: of a cold start."""

    duration_ms: float
    billed_ms: float | None
    memory_mb: float | None
    max_memory_mb: float | None
    init_ms: float | None


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
    canRedrive: bool
    report: ReportAnswer | None
    datahub: str | None
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


class StateAnswer(TypedDict):
    """A state of the definition. following: pairs of the next state and why it is taken."""

    name: str
    kind: str
    following: list[tuple[str, str]]
    parent: str


class StepAnswer(TypedDict):
    """One pass through a state: running, succeeded, failed or cancelled."""

    state: str
    kind: str
    status: str
    started_at: str | None
    finished_at: str | None
    error: str
    cause: str
    function: str
    tries: int


class HistoryAnswer(TypedDict):
    """An execution from inside; complete: all of its events were read."""

    first: str
    states: list[StateAnswer]
    steps: list[StepAnswer]
    complete: bool


class LogAnswer(TypedDict):
    lines: list[str]


class DatasetAnswer(TypedDict):
    """daily: runs per day of the last 14, oldest first. seconds: how long its last runs took.
    favourite: of who asks."""

    datasetUrn: str
    name: str
    target: TargetAnswer | None
    lastRunId: str | None
    lastStatus: str | None
    lastAt: str | None
    daily: list[int]
    seconds: list[float]
    favourite: bool


class DatasetCounts(TypedDict):
    all: int
    failed: int
    running: int
    never: int


class DatasetList(TypedDict):
    """note: which datasets are not looked at, "" for none."""

    items: list[DatasetAnswer]
    counts: DatasetCounts
    next_cursor: int | None
    note: str


class Asked(TypedDict):
    """A variable that the person fills."""

    name: str
    default: str | None
    secret: bool


class RecipeAnswer(TypedDict):
    """filled: variables that a connection fills. packages: what its environment gets installed.
    problem: why it cannot be run."""

    name: str
    source: str
    filled: list[str]
    asked: list[Asked]
    packages: list[str]
    problem: str | None


class RecipeList(TypedDict):
    """note: which files are left out, "" for none."""

    items: list[RecipeAnswer]
    note: str


class ScheduleAnswer(TypedDict):
    """What starts by itself. kind: recipe or source. values: which variables have one.
    last_problem: why the last start made no job."""

    environment: str
    kind: str
    name: str
    title: str
    cron: str
    values: list[str]
    next_at: str | None
    last_at: str | None
    last_job_id: int | None
    last_problem: str | None
    set_by: str


class ScheduleList(TypedDict):
    items: list[ScheduleAnswer]


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


class DataJobAnswer(TypedDict):
    """A data job that writes a dataset. latest: the dataset's last run was one of it; lastStatus:
    of the job's own last run in DataHub, null when there is none."""

    jobUrn: str
    name: str
    flow: str
    orchestrator: str
    latest: bool
    lastStatus: str | None
    lastAt: str | None


class DataJobList(TypedDict):
    """The job to pick first. total counts those beyond the first 50, too."""

    items: list[DataJobAnswer]
    total: int
