"""A run told to DataHub as a DataProcessInstance: by the SDK's own class, read back afterwards.

Every part of it is named by the run (its URN by the run id, its events by their times), so telling
the same again changes nothing and a write whose answer was lost may be repeated.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from backend.core.errors import OutcomeUnknown, UpstreamError, UpstreamTimeout, UpstreamUnavailable
from backend.integrations.datahub import parse
from backend.integrations.datahub.errors import SYSTEM
from backend.integrations.datahub.reads import ReadCalls

Result = Literal["SUCCESS", "FAILURE", "SKIPPED"]
ORCHESTRATOR = "steward-portal"
#: The parent of runs that no data job of DataHub stands for.
FLOW_NAME = "Steward Portal"
FLOW_URN = f"urn:li:dataFlow:({ORCHESTRATOR},{ORCHESTRATOR},PROD)"
#: The first server whose model has all that is sent: `durationMillis` of a run event came last.
#: Servers refuse a field that their model does not have.
SINCE = (0, 13, 2)


@dataclass(frozen=True)
class ProcessRun:
    """A run as DataHub is told it. Times are UTC.

    dataset_urn, job_urn: "" for none. result: None while it goes on, and when nobody knows how it
    ended: then no COMPLETE is sent. properties: shown as they are on the run's page.
    """

    run_id: str
    dataset_urn: str
    job_urn: str
    actor_urn: str
    created_at: datetime
    started_at: datetime
    finished_at: datetime | None = None
    result: Result | None = None
    attempt: int | None = None
    url: str | None = None
    properties: dict[str, str] = field(default_factory=dict)


class ProcessRunCalls(ReadCalls):
    """Part of DataHubClient."""

    def report_run(self, run: ProcessRun) -> str:
        """Make DataHub show the run as it is; its URN there.

        Its parent is the data job when DataHub has it, else the portal's own flow; its output the
        dataset, when DataHub has that. Raises UpstreamError when the write was accepted and is not
        shown (events are indexed a little later: ask again) and for a server that is too old,
        OutcomeUnknown without an answer.
        """
        self._gateway.read(_check_version)
        job = run.job_urn if run.job_urn and self.exists(run.job_urn) else ""
        known = run.dataset_urn if run.dataset_urn and self.exists(run.dataset_urn) else ""
        with_flow = not job and not self.exists(FLOW_URN)
        wanted = proposals(run, job_urn=job, output=known, with_flow=with_flow)
        urn = str(wanted[-1].entityUrn)
        if not self._gateway.read(lambda graph: _missing(graph, urn, wanted)):
            return urn
        self._gateway.write(lambda graph: _emit(graph, wanted))
        try:
            left = self._gateway.read(lambda graph: _missing(graph, urn, wanted))
        except (UpstreamTimeout, UpstreamUnavailable) as exc:
            raise OutcomeUnknown(
                SYSTEM, f"run {run.run_id} was accepted, but could not be read back: {exc.cause}"
            ) from exc
        if left:
            raise UpstreamError(
                SYSTEM,
                f"run {run.run_id} was accepted, but DataHub does not show it: {', '.join(left)}",
                "A run's events may be indexed later; they are asked for again.",
            )
        return urn


def proposals(run: ProcessRun, *, job_urn: str, output: str, with_flow: bool) -> list[Any]:
    """What is sent, in the SDK's own form; the last one is about the run."""
    from datahub.api.entities.dataprocess.dataprocess_instance import (
        DataProcessInstance,
        InstanceRunResult,
    )
    from datahub.emitter.mcp import MetadataChangeProposalWrapper
    from datahub.metadata.schema_classes import DataFlowInfoClass, DataProcessTypeClass
    from datahub.metadata.urns import DataFlowUrn, DataJobUrn, DatasetUrn

    instance = DataProcessInstance(
        id=run.run_id,
        orchestrator=ORCHESTRATOR,
        type=DataProcessTypeClass.BATCH_AD_HOC,
        template_urn=(
            DataJobUrn.from_string(job_urn) if job_urn else DataFlowUrn.from_string(FLOW_URN)
        ),
        properties=run.properties,
        url=run.url,
        outlets=[DatasetUrn.from_string(output)] if output else [],
    )
    found: list[Any] = []
    if with_flow:
        flow = DataFlowInfoClass(name=FLOW_NAME, description="Runs asked for in Steward Portal.")
        found.append(MetadataChangeProposalWrapper(entityUrn=FLOW_URN, aspect=flow))
    found += instance.generate_mcp(_millis(run.created_at), materialize_iolets=False)
    for each in found:
        if each.aspectName == "dataProcessInstanceProperties":
            each.aspect.created.actor = run.actor_urn  # the SDK writes its own
    start = _millis(run.started_at)
    found += instance.start_event_mcp(start, run.attempt)
    if run.result is not None and run.finished_at is not None:
        found += instance.end_event_mcp(
            _millis(run.finished_at),
            InstanceRunResult(run.result),
            result_type=FLOW_NAME,
            attempt=run.attempt,
            start_timestamp_millis=start,
        )
    return found


def _check_version(graph: Any) -> None:
    """Raise UpstreamError for a server that says it is older than SINCE."""
    version = parse.server_version(graph.fetch_server_config().raw_config) or ""
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", version)
    if found and tuple(map(int, found.groups())) < SINCE:
        raise UpstreamError(
            SYSTEM,
            f"its version {version} does not know all that a run is told with",
            f"Runs can be told to {'.'.join(map(str, SINCE))} and newer: update the server, or "
            "turn “Ingestion runs on dataset pages” off in its connection.",
        )


def _emit(graph: Any, wanted: list[Any]) -> None:
    """As one batch, the run's events among them: all or none is the server's choice, not ours."""
    from datahub.emitter.rest_emitter import EmitMode

    graph.emit_mcps(wanted, emit_mode=EmitMode.SYNC_PRIMARY)


def _missing(graph: Any, urn: str, wanted: list[Any]) -> list[str]:
    """Names of the aspects that DataHub does not show as wanted; of the events, the last."""
    from datahub.metadata.schema_classes import DataProcessInstanceRunEventClass

    left = [
        str(each.aspectName)
        for each in wanted
        if not isinstance(each.aspect, DataProcessInstanceRunEventClass)
        and graph.get_aspect(each.entityUrn, type(each.aspect)) != each.aspect
    ]
    latest = wanted[-1]
    events = graph.get_timeseries_values(urn, type(latest.aspect), filter={}, limit=50)
    if _said(latest.aspect) not in [_said(event) for event in events]:
        left.append(f"{latest.aspectName} {latest.aspect.status}")
    return left


def _said(event: Any) -> tuple[Any, ...]:
    return event.timestampMillis, event.status, event.result.type if event.result else None


def _millis(at: datetime) -> int:
    return int(at.timestamp() * 1000)
