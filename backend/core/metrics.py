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
