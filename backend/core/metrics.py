"""What this process counts for Prometheus; `/metrics` adds what the state database says."""

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

REQUESTS = Counter(
    "portal_requests",
    "REST requests of this process, by the route's pattern.",
    ("method", "route", "status"),
    registry=REGISTRY,
)
REQUEST_SECONDS = Histogram(
    "portal_request_seconds",
    "From a REST request's arrival to the end of its answer.",
    ("route",),
    registry=REGISTRY,
)
JOBS_ENDED = Counter(
    "portal_jobs_ended",
    "Jobs that this process ran to their end.",
    ("kind", "outcome"),
    registry=REGISTRY,
)
JOB_SECONDS = Histogram(
    "portal_job_seconds",
    "How long the jobs that this process ran took.",
    ("kind",),
    buckets=(0.1, 1, 10, 60, 300, 1800, 7200),
    registry=REGISTRY,
)
PAGE_RUNS = Counter(
    "portal_page_runs",
    "Runs of a page's script in this process.",
    ("page", "outcome"),
    registry=REGISTRY,
)
PAGE_SECONDS = Histogram(
    "portal_page_seconds", "How long a run of a page's script took.", ("page",), registry=REGISTRY
)
OUTSIDE_CALLS = Counter(
    "portal_outside_calls",
    "Calls of this process to systems outside, by how they ended.",
    ("system", "outcome"),
    registry=REGISTRY,
)
OUTSIDE_SECONDS = Histogram(
    "portal_outside_call_seconds", "How long those calls took.", ("system",), registry=REGISTRY
)
SYNC_ROWS = Counter(
    "portal_sync_rows",
    "Users of user syncs that this process worked on, by how each ended.",
    ("outcome",),
    registry=REGISTRY,
)
TOKENIZED_ROWS = Counter(
    "portal_tokenized_rows",
    "Rows that tokenization runs of this process changed.",
    ("engine",),
    registry=REGISTRY,
)
