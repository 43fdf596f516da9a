"""Compare what DataHub says about tokenization with what the tables hold, dataset by dataset."""

from collections.abc import Iterator
from typing import Any

from backend.connections import resolve
from backend.core.access import Permission, require
from backend.core.errors import NotFound, PortalError
from backend.integrations.datahub.client import DataHubClient
from backend.integrations.datahub.schemas import Dataset
from backend.jobs.registry import JobContext
from backend.tokenization import detection, patterns, repository, sources, tags
from backend.tokenization.engines import engine_for

#: The result is kept on the job's row, so it is bounded.
MAX_FINDINGS = 200
MAX_DATASETS = 1_000

PLAIN_BUT_DONE = "DataHub says done, but the table holds plain values"
TOKENS_BUT_NOT_DONE = "The table holds tokens only, but DataHub does not say done"
NOT_CHECKED = "Could not be checked"


def run(ctx: JobContext, *, environment: str | None) -> dict[str, Any]:
    """{"checked": n, "agree": n, "findings": [{dataset, finding, columns, rows_plain, detail}]}.

    Looks at every dataset that is tagged done and at every one that a run of the portal
    succeeded on. Raises NotFound when the environment has no DataHub connection.
    """
    require(ctx.actor, Permission.TOKENIZATION_PREVIEW)
    with ctx.database.read() as session:
        config = resolve.connection(session, environment=environment, kind="datahub")
        rows = repository.latest_succeeded(session, config.environment.id)
    columns = {row.dataset: [each["name"] for each in row.columns] for row in rows}
    findings: list[dict[str, Any]] = []
    checked = agree = 0
    with sources.datahub_client(config) as client:
        datasets = list(
            dict.fromkeys([*client.datasets_with_tag(tags.DONE, limit=MAX_DATASETS), *columns])
        )
        for number, dataset in enumerate(datasets):
            ctx.progress(number, len(datasets), note=dataset)
            checked += 1
            found = list(
                _findings(ctx, client, config.environment.name, dataset, columns.get(dataset))
            )
            findings += found
            agree += not found
    return {
        "environment": config.environment.name,
        "checked": checked,
        "agree": agree,
        "findings": findings[:MAX_FINDINGS],
        "more": max(0, len(findings) - MAX_FINDINGS),
    }


def _findings(
    ctx: JobContext,
    client: DataHubClient,
    environment: str,
    dataset: str,
    columns: list[str] | None,
) -> Iterator[dict[str, Any]]:
    try:
        known = _dataset(client, dataset)
        names = columns or (_tagged(known) if known else [])
        if not names:
            yield _finding(dataset, NOT_CHECKED, [], None, "No column is known to be tokenized.")
            return
        with ctx.database.read() as session:
            source = sources.locate(session, dataset=dataset, environment=environment)
        if not source.runnable:
            yield _finding(dataset, NOT_CHECKED, names, None, f"{sources.NOT_CONFIGURED}.")
            return
        counted = engine_for(source).count_plain(names)
    except PortalError as exc:
        yield _finding(dataset, NOT_CHECKED, columns or [], None, exc.message)
        return
    done = known is not None and tags.DONE in known.tags
    if done and counted.rows_plain:
        detail = f"{counted.rows_plain:,} of {counted.rows_total:,} rows hold a plain value."
        yield _finding(dataset, PLAIN_BUT_DONE, names, counted.rows_plain, detail)
    elif not done and not counted.rows_plain and counted.rows_total:
        detail = "DataHub does not know the dataset." if known is None else "The tag is missing."
        yield _finding(dataset, TOKENS_BUT_NOT_DONE, names, 0, detail)


def _dataset(client: DataHubClient, dataset: str) -> Dataset | None:
    try:
        return client.dataset(dataset)
    except NotFound:
        return None


def _tagged(dataset: Dataset) -> list[str]:
    return list(detection.tagged_columns(dataset, patterns.load()))


def _finding(
    dataset: str, finding: str, columns: list[str], rows_plain: int | None, detail: str
) -> dict[str, Any]:
    return {
        "dataset": dataset,
        "finding": finding,
        "columns": columns,
        "rows_plain": rows_plain,
        "detail": detail,
    }
