"""Spans for OpenTelemetry, where an OTLP endpoint is configured; nothing is imported elsewhere.

Names and attributes say kinds, routes and systems, never what people typed.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from backend.core.errors import SettingsError
from backend.core.settings import get_settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

_tracer: "Tracer | None" = None


def configure() -> None:
    """Send spans to OTEL_EXPORTER_OTLP_ENDPOINT, if set; the SDK reads its other OTEL_* variables.

    Raises SettingsError when it is set and the SDK is not installed.
    """
    if not get_settings().otlp_endpoint or _tracer is not None:
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as exc:
        raise SettingsError(
            [
                "OTEL_EXPORTER_OTLP_ENDPOINT is set, but OpenTelemetry's SDK is not installed: "
                "pip install -r requirements-traces.txt (the container image: build it with "
                "--build-arg TRACES=1), or unset it."
            ]
        ) from exc
    # What OTEL_SERVICE_NAME says wins over this name.
    provider = TracerProvider(resource=Resource.create({"service.name": "steward-portal"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    use(provider)


def use(provider: "TracerProvider | None") -> None:
    """Make spans with this provider from now on; None: none."""
    global _tracer
    _tracer = provider.get_tracer("steward-portal") if provider is not None else None


@contextlib.contextmanager
def span(
    name: str,
    attributes: Mapping[str, str] | None = None,
    *,
    headers: Mapping[str, str] | None = None,
) -> Iterator[None]:
    """A span around the block; an exception marks it as failed by its class, without its text.

    headers: of a request; its `traceparent` is the span's parent.
    """
    if _tracer is None:
        yield
        return
    from opentelemetry import propagate
    from opentelemetry.trace import Status, StatusCode

    parent = propagate.extract(headers) if headers else None
    with _tracer.start_as_current_span(
        name,
        context=parent,
        attributes=dict(attributes or {}),
        record_exception=False,
        set_status_on_exception=False,
    ) as current:
        try:
            yield
        except Exception as exc:
            current.set_status(Status(StatusCode.ERROR))
            current.set_attribute("error.type", type(exc).__name__)
            raise


def renamed(name: str, attributes: Mapping[str, str]) -> None:
    """The current span under what is known of it now, as the route of a request."""
    if _tracer is None:
        return
    from opentelemetry import trace

    current = trace.get_current_span()
    current.update_name(name)
    current.set_attributes(dict(attributes))
