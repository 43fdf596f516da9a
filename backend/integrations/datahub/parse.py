"""From DataHub's answers to our shapes; tolerant of nulls, strict about what names a thing."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from backend.integrations.datahub import urns
from backend.integrations.datahub.schemas import (
    ColumnLineage,
    ColumnRef,
    Dataset,
    DatasetHit,
    ExecutionRequest,
    Field,
    IngestionSource,
    Link,
    ProcessRun,
    SourceWithRecipe,
    Writers,
    WritingJob,
)

Json = dict[str, Any]


def server_version(config: Json) -> str | None:
    """What `/config` says of it. Servers of 0.10 name themselves linkedin/datahub, newer ones
    acryldata/datahub."""
    versions = config.get("versions") or {}
    version = versions.get("acryldata/datahub") or versions.get("linkedin/datahub") or {}
    return version.get("version")


def dataset(found: Json) -> Dataset:
    properties: Json = found.get("properties") or {}
    return Dataset(
        urn=found["urn"],
        name=properties.get("name") or found.get("name") or found["urn"],
        platform=_platform(found),
        origin=found.get("origin") or "PROD",
        removed=bool((found.get("status") or {}).get("removed")),
        description=properties.get("description"),
        editable_description=(found.get("editableProperties") or {}).get("description"),
        custom_properties={
            each["key"]: each.get("value") or ""
            for each in properties.get("customProperties") or []
        },
        tags=tags(found),
        fields=tuple(_fields(found)),
        links=tuple(_links(found)),
        structured_properties={
            each["structuredProperty"]["urn"]: tuple(
                value["stringValue"] if "stringValue" in value else value["numberValue"]
                for value in each.get("values") or []
                if value
            )
            for each in (found.get("structuredProperties") or {}).get("properties") or []
        },
    )


def hit(found: Json) -> DatasetHit:
    properties: Json = found.get("properties") or {}
    return DatasetHit(
        urn=found["urn"],
        name=properties.get("name") or found.get("name") or found["urn"],
        platform=_platform(found),
        description=(found.get("editableProperties") or {}).get("description")
        or properties.get("description"),
        tags=tags(found),
    )


def column_lineage(found: Json) -> ColumnLineage:
    related = [found.get(way) or {} for way in ("upstream", "downstream")]
    neighbours = [
        each.get("entity") or {} for page in related for each in page.get("relationships") or []
    ]
    holders = [found, *neighbours, *(each.get("inputOutput") or {} for each in neighbours)]
    return ColumnLineage(
        edges=tuple(dict.fromkeys(edge for holder in holders for edge in _edges(holder))),
        siblings=tuple(
            each["urn"] for each in (found.get("siblings") or {}).get("siblings") or [] if each
        ),
        complete=all(
            (page.get("total") or 0) <= len(page.get("relationships") or []) for page in related
        ),
    )


def _edges(holder: Json) -> Iterable[tuple[ColumnRef, ColumnRef]]:
    for each in holder.get("fineGrainedLineages") or []:
        for upstream in each.get("upstreams") or []:
            for downstream in each.get("downstreams") or []:
                yield _column(upstream), _column(downstream)


def _column(found: Json) -> ColumnRef:
    """`urn` is the dataset's, whatever the schema's own words say; `path` is as in the URN."""
    return ColumnRef(found["urn"], urns.decoded(found["path"]))


def tags(holder: Json) -> tuple[str, ...]:
    """Tag URNs, each once: the same tag may be there once per attribution source."""
    associations = (holder.get("tags") or {}).get("tags") or []
    return tuple(dict.fromkeys(each["tag"]["urn"] for each in associations if each.get("tag")))


def _terms(holder: Json) -> tuple[str, ...]:
    associations = (holder.get("glossaryTerms") or {}).get("terms") or []
    return tuple(each["term"]["urn"] for each in associations if each.get("term"))


def ingestion_source(found: Json) -> IngestionSource:
    schedule: Json = found.get("schedule") or {}
    runs = (found.get("executions") or {}).get("executionRequests") or []
    return IngestionSource(
        urn=found["urn"],
        name=found["name"],
        type=found["type"],
        schedule=" ".join(filter(None, (schedule.get("interval"), schedule.get("timezone"))))
        or None,
        executor_id=(found.get("config") or {}).get("executorId"),
        last_execution=execution_request(runs[0]) if runs else None,
    )


def source_with_recipe(found: Json) -> SourceWithRecipe:
    config: Json = found.get("config") or {}
    return SourceWithRecipe(
        source=ingestion_source(found),
        recipe=config.get("recipe") or "",
        version=config.get("version") or "",
        debug=bool(config.get("debugMode")),
        extra={each["key"]: each.get("value") for each in config.get("extraArgs") or []},
    )


def execution_request(found: Json) -> ExecutionRequest:
    result: Json = found.get("result") or {}
    given: Json = found.get("input") or {}
    return ExecutionRequest(
        urn=found["urn"],
        task=given.get("task") or "",
        requested_at=_instant(given.get("requestedAt")),
        status=result.get("status") or "PENDING",
        started_at=_instant(result.get("startTimeMs")),
        duration_ms=result.get("durationMs"),
        report=result.get("report"),
    )


def writers(found: Json) -> Writers:
    """From the answer to operations.WRITERS; the last run's job comes also without lineage."""
    page: Json = found.get("searchAcrossLineage") or {}
    latest = _parent_of_last_run(found.get("dataset") or {})
    direct = [each["entity"] for each in page.get("searchResults") or [] if each["degree"] == 1]
    jobs = [_writing_job(job, latest) for job in direct if job.get("type") == "DATA_JOB"]
    if latest and not any(job.latest for job in jobs):
        jobs.append(_writing_job({"urn": latest}, latest))
    jobs.sort(key=lambda job: (not job.latest, job.name, job.urn))
    return Writers(tuple(jobs), max(page.get("total") or 0, len(jobs)))


def _parent_of_last_run(dataset: Json) -> str | None:
    """The job of the newest run that wrote the dataset; a run may belong to a flow alone."""
    for run in (dataset.get("runs") or {}).get("runs") or []:
        for edge in ((run or {}).get("relationships") or {}).get("relationships") or []:
            entity: Json = edge.get("entity") or {}
            if entity.get("type") == "DATA_JOB":
                return str(entity["urn"])
    return None


def _writing_job(found: Json, latest: str | None) -> WritingJob:
    urn = str(found["urn"])
    key = urns.parse_data_job(urn)
    flow = urns.key_parts(key.flow)
    runs = (found.get("runs") or {}).get("runs") or []
    return WritingJob(
        urn=urn,
        name=(found.get("properties") or {}).get("name") or key.job_id,
        flow=flow[1] if len(flow) > 1 else key.flow,
        orchestrator=flow[0],
        last_run=process_run(runs[0]) if runs and runs[0] else None,
        latest=urn == latest,
    )


def process_run(found: Json) -> ProcessRun:
    """A run with its newest event; without any it is only known to be."""
    event: Json = next(iter(found.get("state") or []), {}) or {}
    return ProcessRun(
        urn=found["urn"],
        at=_instant(event.get("timestampMillis")),
        result=(event.get("result") or {}).get("resultType") or "",
        running=event.get("status") == "STARTED",
        duration_ms=event.get("durationMillis"),
    )


def aspect_values(assignment: Json) -> tuple[str | float, ...]:
    """Values of a structured property in an aspect: [{"string": "ok"}, {"double": 2.0}]."""
    return tuple(
        value["string"] if "string" in value else float(value["double"])
        for value in assignment.get("values") or []
    )


def _fields(found: Json) -> Iterable[Field]:
    edited = {
        each["fieldPath"]: each
        for each in (found.get("editableSchemaMetadata") or {}).get("editableSchemaFieldInfo") or []
    }
    for each in (found.get("schemaMetadata") or {}).get("fields") or []:
        by_people: Json = edited.get(each["fieldPath"]) or {}
        yield Field(
            path=each["fieldPath"],
            type=each.get("type") or "",
            native_type=each.get("nativeDataType"),
            nullable=bool(each.get("nullable")),
            description=each.get("description"),
            editable_description=by_people.get("description"),
            ingested_tags=tags(each),
            editable_tags=tags(by_people),
            terms=tuple(dict.fromkeys(_terms(each) + _terms(by_people))),
        )


def _links(found: Json) -> Iterable[Link]:
    for each in (found.get("institutionalMemory") or {}).get("elements") or []:
        created: Json = each.get("created") or {}
        yield Link(
            url=each["url"],
            label=each.get("label") or "",
            created_at=_instant(created.get("time")),
            created_by=created.get("actor"),
        )


def _platform(found: Json) -> str:
    urn = str((found.get("platform") or {}).get("urn") or "")
    return urn.removeprefix("urn:li:dataPlatform:")


def _instant(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)
