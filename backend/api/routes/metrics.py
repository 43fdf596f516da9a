"""`/metrics` in Prometheus' text format; PORTAL_METRICS says who may read it."""

import hmac
import ipaddress

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import GaugeMetricFamily
from sqlalchemy.pool import QueuePool
from starlette.exceptions import HTTPException

from backend.api.deps import State
from backend.core import metric_totals
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.core.errors import NotAuthenticated, NotPermitted
from backend.core.metrics import REGISTRY
from backend.core.settings import LOOPBACK, get_settings
from backend.jobs import readiness
from backend.mounts import orphans

router = APIRouter(include_in_schema=False)
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")


@router.get("/metrics")
def metrics(request: Request, database: State) -> Response:
    """What this process and all together counted, and the queue as it is now."""
    _check(request)
    metric_totals.add(database)
    shown = (REGISTRY, metric_totals.Totals(database), _State(database))
    text = b"".join(generate_latest(each) for each in shown)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


def _check(request: Request) -> None:
    """404 while it is off, else a refusal for who is neither on this machine nor has the token."""
    wanted = get_settings().metrics.get_secret_value()
    if not wanted:
        raise HTTPException(404)
    if wanted == LOOPBACK:
        if not _on_this_machine(request):
            raise NotPermitted(
                "Metrics are for this machine alone. With a token in PORTAL_METRICS, others that "
                "send it may read them, too."
            )
        return
    scheme, _, raw = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(raw.encode(), wanted.encode()):
        raise NotAuthenticated("Send the token of PORTAL_METRICS: Authorization: Bearer ….")


def _on_this_machine(request: Request) -> bool:
    """The peer itself is; what a proxy on this machine passes on comes from elsewhere."""
    peer = request.scope.get("portal.peer") or (request.client.host if request.client else "")
    if any(name in request.headers for name in _FORWARDED):
        return False
    try:
        return ipaddress.ip_address(peer).is_loopback
    except ValueError:
        return False


class _State:
    """A collector that asks the database when it is read; nothing is kept between two readings."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def collect(self) -> list[GaugeMetricFamily]:
        jobs = GaugeMetricFamily("portal_jobs", "Jobs that have not ended.", labels=["state"])
        age = GaugeMetricFamily("portal_job_queue_seconds", "How long the oldest job waits.")
        counts, waits = readiness.queue(self._database)
        for state, count in counts.items():
            jobs.add_metric([state], count)
        age.add_metric([], waits)
        pool = GaugeMetricFamily(
            "portal_database_connections", "Connections to the state database.", labels=["state"]
        )
        if isinstance(self._database.engine.pool, QueuePool):
            pool.add_metric(["in_use"], self._database.engine.pool.checkedout())
            pool.add_metric(["idle"], self._database.engine.pool.checkedin())
        return [jobs, age, pool, self._ledgers()]

    def _ledgers(self) -> GaugeMetricFamily:
        """No ledger is asked: what the last scan of each environment counted."""
        entries = GaugeMetricFamily(
            "portal_ledger_entries",
            "Entries of the mount ledgers at their last scan.",
            labels=["environment", "kind"],
        )
        with self._database.read() as session:
            for watch in orphans.watches(session, SYSTEM):
                for kind in ("active", "orphans", "too_old", "unknown"):
                    entries.add_metric([watch.environment, kind], getattr(watch, kind))
        return entries
