"""Write a run's outcome into DataHub: documentation, property, tags. Its own retried step."""

import json

from backend.core import clock
from backend.core.database import Database
from backend.core.errors import (
    NotFound,
    OutcomeUnknown,
    PortalError,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
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
        source = database.ask(sources.locate_run, row)
        if source.datahub is None:
            return _record(
                database,
                run_id,
                WriteBackState.SKIPPED,
                f"The environment {source.environment.name} has no DataHub connection any more.",
            )
        with sources.datahub_client(source.datahub) as client:
            after, kept = write(client, view)
    except PortalError as exc:
        log.warning("A run's outcome is not in DataHub yet.", run_id=run_id, error=exc.message)
        return _record(database, run_id, WriteBackState.FAILED, exc.message)
    if view.state is RunState.SUCCEEDED and not _stays_answered(view, after):
        with database.write() as session:
            # The tag is gone; put on again, it is a new request.
            repository.forget_tag(session, row.environment_id, row.dataset)
    return _record(
        database, run_id, WriteBackState.SUCCEEDED, f"Written, and read back from DataHub. {kept}"
    )


def write(client: DataHubClient, view: RunView) -> tuple[Dataset, str]:
    """Bring DataHub to what the run says; the dataset as DataHub shows it afterwards, and a
    sentence about the structured property.

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
    after = client.patch_dataset(view.dataset, patch)
    return after, keep(client, view)


def keep(client: DataHubClient, view: RunView) -> str:
    """Keep the run where the next ingestion does not write; returns a sentence about it.

    A server that does not allow this to the token's owner does not undo what is written already.
    """
    try:
        client.ensure_structured_property(
            tags.LAST_RUN_URN, name=tags.LAST_RUN_NAME, description=tags.LAST_RUN_DESCRIPTION
        )
        client.set_structured_property(view.dataset, tags.LAST_RUN_URN, proof(view))
    except (UpstreamTimeout, UpstreamUnavailable, OutcomeUnknown):
        raise
    except UpstreamError as exc:
        log.warning("The structured property is refused.", run_id=view.id, error=exc.message)
        return (
            "The structured property last_tokenization_run could not be kept, so the next "
            f"ingestion may drop this proof until the comparison repairs it: {exc.message}"
        )
    return "Kept as a structured property, too."


def plan(view: RunView, current: Dataset) -> DatasetPatch:
    """The change that a run's outcome asks for, given what DataHub shows now. Pure."""
    succeeded = view.state is RunState.SUCCEEDED
    status = tags.SUCCESS if succeeded else tags.FAILED
    stale = [tag for tag in current.tags if tag.startswith(tags.STATUS_PREFIX) and tag != status]
    return DatasetPatch(
        add_tags=[tags.DONE, status] if succeeded else [status],
        remove_tags=[*stale, tags.RUN] if succeeded else stale,
        remove_field_tags=_answered_fields(view, current) if succeeded else {},
        custom_properties={tags.LAST_RUN_PROPERTY: proof(view)},
        # Never the ingested description: a copy of it would hide all later ones.
        editable_description=documentation.with_section(
            current.editable_description or "",
            documentation.section(view, get_settings().public_url, hides=_hides(current)),
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


def _hides(current: Dataset) -> bool:
    """Whether DataHub shows the section in place of an ingested description."""
    return bool(current.description) and not documentation.without_section(
        current.editable_description or ""
    )


def proof(view: RunView) -> str:
    """The run as both properties hold it."""
    return json.dumps(payload(view), sort_keys=True)


def payload(view: RunView) -> dict[str, object]:
    """What the custom property holds, as JSON."""
    document = dict(view.document())
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
    document["schemes"] = {
        column.name: column.scheme
        for column in view.columns
        if column.scheme not in ("", view.scheme)
    }
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
        last_run=last_run(found),
        url=client.make_url(dataset),
        field_tags=found.field_tags,
    )


def last_run(found: Dataset) -> str | None:
    """The last run as DataHub holds it, from whichever place still has it."""
    kept = found.structured_properties.get(tags.LAST_RUN_URN)
    return str(kept[0]) if kept else found.custom_properties.get(tags.LAST_RUN_PROPERTY)


def _record(database: Database, run_id: int, state: WriteBackState, details: str) -> RunView:
    with database.write() as session:
        row = repository.get_locked(session, run_id)
        row.write_back, row.write_back_details = state, details
        row.write_back_at = clock.now()
        row.write_back_attempts += 1
        return repository.view(row)
