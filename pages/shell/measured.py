"""Counts, times and traces each run of a page's script."""

import contextlib
import time
from collections.abc import Iterator

from backend.core import metrics, tracing
from backend.core.errors import PortalError


@contextlib.contextmanager
def run(page: str) -> Iterator[None]:
    """page: its address. The outcome is `shown` (also where the script stops itself, to ask or to
    run again), `refused` for what the page says in a sentence, or `failed` for a bug."""
    began, outcome = time.perf_counter(), "shown"
    try:
        with tracing.span(f"page {page}", {"page": page}):
            yield
    except PortalError:
        outcome = "refused"
        raise
    except Exception:
        outcome = "failed"
        raise
    finally:
        metrics.PAGE_RUNS.labels(page, outcome).inc()
        metrics.PAGE_SECONDS.labels(page).observe(time.perf_counter() - began)
