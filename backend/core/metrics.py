"""What is counted for Prometheus; `/metrics` adds what the state database says.

REGISTRY: of the process that answers. SHARED: of the whole portal, see metric_totals; it holds what
happens in workers, and few series, because each is a row.
"""

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector

REGISTRY = CollectorRegistry()
SHARED = CollectorRegistry()
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
    "Jobs that ran to their end.",
    ("kind", "outcome"),
    registry=SHARED,
)
JOB_SECONDS = Histogram(
    "portal_job_seconds",
    "How long jobs took.",
    ("kind",),
    buckets=(0.1, 1, 10, 60, 300, 1800, 7200),
    registry=SHARED,
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
    "Calls to systems outside, by how they ended.",
    ("system", "outcome"),
    registry=SHARED,
)
OUTSIDE_SECONDS = Histogram(
    "portal_outside_call_seconds", "How long those calls took.", ("system",), registry=SHARED
)
SYNC_ROWS = Counter(
    "portal_sync_rows",
    "Users of user syncs, by how each ended.",
    ("outcome",),
    registry=SHARED,
)
TOKENIZED_ROWS = Counter(
    "portal_tokenized_rows",
    "Rows that tokenization runs changed.",
    ("engine",),
    registry=SHARED,
)
