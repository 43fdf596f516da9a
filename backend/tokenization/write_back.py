"""Write a run's outcome into DataHub: documentation, property, tags. Its own retried step."""

import json

from backend.core import clock
from backend.core.database import Database
from backend.core.errors import NotFound, PortalError
from backend.core.log import get_logger
from backend.core.settings import get_settings
from backend.integrations.datahub.client import DataHubClient
from backend.integrations.datahub.schemas import Dataset, DatasetPatch
from backend.tokenization import documentation, repository, sources, tags
from backend.tokenization.detection import column_of
from backend.tokenization.schemas import (
    ACTIVE,
    CatalogStatus,
    RunState,
    RunView,
    WriteBackState,
)

log = get_logger(__name__)


def attempt(database: Database, run_id: int) -> RunView:
    """Try once and record how it went; never raises for what DataHub does.

    Runs that wrote already, were skipped or cancelled, or have not ended are left alone. When a
    later run of the dataset has ended, its outcome is the one that counts, and this one yields.
    """
    with database.read() as session:
        row = repository.get(session, run_id)
        view = repository.view(row)
        later = repository.newer_finished(session, row)
    done = (WriteBackState.SUCCEEDED, WriteBackState.SKIPPED)
    if view.state in (*ACTIVE, RunState.SKIPPED, RunState.CANCELLED) or view.write_back in done:
        return view
    if later is not None:
        return _record(
            database, run_id, WriteBackState.SKIPPED, f"Run {later} came later and is shown."
        )
    try:
        with database.read() as session:
            source = sources.locate_run(session, row)
        if source.datahub is None:
            return _record(
                database,
                run_id,
                WriteBackState.SKIPPED,
                f"The environment {source.environment.name} has no DataHub connection any more.",
            )
        with sources.datahub_client(source.datahub) as client:
            after = write(client, view)
    except PortalError as exc:
        log.warning("A run's outcome is not in DataHub yet.", run_id=run_id, error=exc.message)
        return _record(database, run_id, WriteBackState.FAILED, exc.message)
    if view.state is RunState.SUCCEEDED and not _stays_answered(view, after):
        with database.write() as session:
            # The tag is gone; put on again, it is a new request.
            repository.forget_tag(session, row.environment_id, row.dataset)
    return _record(
        database, run_id, WriteBackState.SUCCEEDED, "Written, and read back from DataHub."
    )


def write(client: DataHubClient, view: RunView) -> Dataset:
    """Bring DataHub to what the run says; returns the dataset as DataHub shows it afterwards.

    Patches only: what people wrote and other tags stay. Safe to repeat.
    """
    try:
        current = client.dataset(view.dataset)
    except NotFound as exc:
        raise NotFound(
            f"{exc.message} Ingest it, then retry the write-back of run {view.id}."
        ) from exc
    patch = plan(view, current)
    for tag in patch.add_tags:
        client.ensure_tag(
            tag, name=tag.removeprefix(tags.PREFIX), description=tags.DESCRIPTIONS[tag]
        )
    return client.patch_dataset(view.dataset, patch)


def plan(view: RunView, current: Dataset) -> DatasetPatch:
    """The change that a run's outcome asks for, given what DataHub shows now. Pure."""
    succeeded = view.state is RunState.SUCCEEDED
    status = tags.SUCCESS if succeeded else tags.FAILED
    stale = [tag for tag in current.tags if tag.startswith(tags.STATUS_PREFIX) and tag != status]
    return DatasetPatch(
        add_tags=[tags.DONE, status] if succeeded else [status],
        remove_tags=[*stale, tags.RUN] if succeeded else stale,
        remove_field_tags=_answered_fields(view, current) if succeeded else {},
        custom_properties={tags.LAST_RUN_PROPERTY: json.dumps(payload(view), sort_keys=True)},
        editable_description=documentation.with_section(
            # DataHub shows the edited text instead of the ingested one, so that must not get lost.
            current.editable_description or current.description or "",
            documentation.section(view, get_settings().public_url),
        ),
    )


def _answered_fields(view: RunView, current: Dataset) -> dict[str, list[str]]:
    """`tokenize/run` on a column that was tokenized is answered; on another one it stays."""
    done = {column.name for column in view.columns}
    return {
        field.path: [tags.RUN]
        for field in current.fields
        if tags.RUN in field.editable_tags and column_of(field.path) in done
    }


def _stays_answered(view: RunView, after: Dataset) -> bool:
    """Whether all that asks for a run now is what this one has answered and could not take off.

    A column's ingested tag belongs to its source and is there again after every look. Were it
    taken for a new request, the table would be run, and locked, for ever.
    """
    asking = [field for field in after.fields if tags.RUN in field.tags]
    done = {column.name for column in view.columns}
    return (
        bool(asking)
        and tags.RUN not in after.tags
        and all(
            tags.RUN not in field.editable_tags and column_of(field.path) in done
            for field in asking
        )
    )


def payload(view: RunView) -> dict[str, object]:
    """What the custom property holds, as JSON."""
    document = view.document()
    kept = (
        "run_id",
        "dataset",
        "environment",
        "columns",
        "rows_scanned",
        "rows_updated",
        "started_at",
        "finished_at",
        "scheme",
        "schemes",
        "trigger",
        "actor",
        "details",
    )
    status = "SUCCESS" if view.state is RunState.SUCCEEDED else "FAILED"
    return {"status": status, **{key: document[key] for key in kept}}


def read_status(client: DataHubClient, dataset: str) -> CatalogStatus:
    """What DataHub says about the dataset now."""
    found = client.dataset(dataset)
    return CatalogStatus(
        dataset=dataset,
        name=found.name,
        tags=found.tags,
        description=found.editable_description or found.description or "",
        last_run=found.custom_properties.get(tags.LAST_RUN_PROPERTY),
        url=client.make_url(dataset),
        field_tags=found.field_tags,
    )


def _record(database: Database, run_id: int, state: WriteBackState, details: str) -> RunView:
    with database.write() as session:
        row = repository.get_locked(session, run_id)
        row.write_back, row.write_back_details = state, details
        row.write_back_at = clock.now()
        row.write_back_attempts += 1
        return repository.view(row)
