"""Spans with OpenTelemetry's own SDK: what there is, what it says, and what it never says."""

from collections.abc import Callable, Iterator

import pytest
from fastapi.testclient import TestClient
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from backend.core import outside, tracing
from backend.core.access import SYSTEM
from backend.core.database import Database
from backend.core.errors import SettingsError, UpstreamError
from backend.core.settings import get_settings
from backend.jobs import retention, runner

Spans = Callable[[], dict[str, ReadableSpan]]


@pytest.fixture
def spans() -> Iterator[Spans]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(provider)
    yield lambda: {span.name: span for span in exporter.get_finished_spans()}
    tracing.use(None)


def test_a_call_within_a_job_is_its_child(spans: Spans) -> None:
    with tracing.span("job x.y", {"job.kind": "x.y"}), outside.call("datahub"):
        pass
    job, call = spans()["job x.y"], spans()["call datahub"]
    assert call.parent is not None
    assert call.parent.span_id == job.context.span_id
    assert (job.attributes, call.attributes) == (
        {"job.kind": "x.y"},
        {"peer.service": "datahub"},
    )


def test_a_failure_is_said_by_its_class_and_not_by_its_text(spans: Spans) -> None:
    with pytest.raises(UpstreamError), outside.call("datahub"):
        raise UpstreamError("DataHub", "ann@example.com is unknown")
    failed = spans()["call datahub"]
    assert (failed.status.status_code.name, failed.status.description) == ("ERROR", None)
    assert failed.attributes is not None
    assert failed.attributes["error.type"] == "UpstreamError"
    assert "ann@" not in failed.to_json()


def test_jobs_have_one(spans: Spans, database: Database) -> None:
    with database.write() as session:
        job_id = retention.start(session, SYSTEM)
    runner.run(job_id, database)
    assert spans()["job jobs.retention"].status.is_ok


def test_a_request_has_its_route_and_its_callers_trace(spans: Spans, database: Database) -> None:
    from backend.api.app import create_app

    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    TestClient(create_app()).get("/api/jobs/4711", headers=headers)
    made = spans()["GET /api/jobs/{job_id}"]
    assert made.context is not None
    assert f"{made.context.trace_id:032x}" == trace
    assert made.attributes is not None
    assert made.attributes["http.response.status_code"] == "401"
    assert "4711" not in made.to_json()


def test_without_an_endpoint_there_is_none() -> None:
    tracing.configure()
    with tracing.span("x"):
        assert tracing._tracer is None


def test_an_endpoint_without_the_sdk_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    get_settings.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(SettingsError, match=r"requirements-traces\.txt"):
        tracing.configure()
