"""`python -m backend ingest`."""

import time
from typing import Annotated, Any

import typer

import backend.ingestion  # noqa: F401  # tells `connections test` which targets are mapped
from backend.cli import common as cli
from backend.cli import ingest_sources
from backend.core import choices
from backend.core.errors import PortalError

app = cli.new_app("Run the ingestion of datasets through Lambda and Step Functions.")
links_app = cli.new_app('The "Run ingestion" link on DataHub\'s dataset pages.')
mapping_app = cli.new_app("The mapping kept in the portal.")
app.add_typer(links_app, name="links")
app.add_typer(mapping_app, name="mapping")
app.add_typer(ingest_sources.recipes_app, name="recipes")
app.add_typer(ingest_sources.sources_app, name="sources")
app.add_typer(ingest_sources.schedules_app, name="schedules")

DatasetUrn = Annotated[
    str,
    typer.Option("--dataset-urn", help="DataHub dataset URN; a job that names its ARN needs none."),
]
JobUrn = Annotated[str | None, typer.Option("--job-urn", help="DataHub data job URN.")]
Environment = Annotated[
    str | None, typer.Option("--environment", "-e", help="Default: the default one.")
]

RunId = Annotated[str, typer.Argument(metavar="RUN_ID", help="The run's id.")]


@app.command("resolve")
def resolve(
    dataset_urn: DatasetUrn = "",
    job_urn: JobUrn = None,
    environment: Environment = None,
    json: cli.Json = False,
) -> None:
    """Say which target a dataset has, which rule answered, and which others would have."""
    from backend.ingestion import resolve as resolving
    from backend.ingestion.errors import NoMapping

    found = cli.call(
        resolving.resolve, dataset_urn=dataset_urn, job_urn=job_urn, environment=environment
    )
    document = found.document()
    if found.answer is None:
        refusal = NoMapping(found.dataset_urn or found.job_urn or "", found.notes)
        cli.emit(document | cli.refusal(refusal), json)
        raise refusal
    lines = [f"{found.answer.target.kind} {found.answer.target.name}", f"rule: {found.answer.rule}"]
    lines += [f"also: {other.rule} → {other.target.name}" for other in found.others]
    cli.emit(document, json, "\n".join([*lines, *(f"note: {note}" for note in found.notes)]))


@app.command("run")
def run(
    dataset_urn: DatasetUrn = "",
    job_urn: JobUrn = None,
    reason: Annotated[str, typer.Option("--reason", help="Travels in the payload.")] = "",
    environment: Environment = None,
    idempotency_key: Annotated[
        str | None, typer.Option("--idempotency-key", help="The same key gives the same run.")
    ] = None,
    expect_target: Annotated[
        str | None,
        typer.Option("--expect-target", help="Start nothing when the mapping names another one."),
    ] = None,
    wait: Annotated[float, typer.Option("--wait", help="Seconds to follow the run.")] = 0.0,
    json: cli.Json = False,
) -> None:
    """Start the ingestion of a dataset."""
    from backend.ingestion import runs, tracker
    from backend.ingestion.errors import AlreadyRunning, KeyReused, StartFailed
    from backend.ingestion.schemas import Request

    request = Request(
        dataset_urn,
        job_urn,
        reason,
        environment=environment,
        idempotency_key=idempotency_key,
        expected_target=expect_target,
    )
    try:
        view = cli.call(runs.start, request)
    except (StartFailed, AlreadyRunning, KeyReused) as exc:
        word = exc.run.status if isinstance(exc, StartFailed) else "failed"
        cli.emit(_document(exc.run, word) | cli.refusal(exc), json)
        raise
    except PortalError as exc:
        # Refused before it was recorded: there is no run to name.
        refused = {"runId": None, "status": "failed", "datasetUrn": dataset_urn, "jobUrn": job_urn}
        cli.emit(refused | cli.refusal(exc), json)
        raise
    deadline = time.monotonic() + wait
    while not view.settled and view.status != "failed" and time.monotonic() < deadline:
        time.sleep(1)
        view = cli.call(tracker.watch, run_id=view.run_id)
    document = _document(view, "failed" if view.status == "failed" else "started")
    cli.emit(document, json, f"{view.run_id}: {view.status}. {view.detail}")
    if view.status == "failed":
        raise cli.Failed(f"Run {view.run_id} failed. {view.detail}")


@app.command("jobs")
def jobs(
    dataset_urn: Annotated[str, typer.Option("--dataset-urn", help="DataHub dataset URN.")],
    environment: Environment = None,
    json: cli.Json = False,
) -> None:
    """The data jobs that write a dataset, the one of its latest run first; for --job-urn."""
    from backend.ingestion import data_jobs

    found = cli.call(data_jobs.list_jobs, dataset_urn=dataset_urn, environment=environment)
    rows: list[list[Any]] = [
        [job.name, job.flow, job.last_status or "no run", job.last_at, job.urn]
        for job in found.items
    ]
    headings = ["Data job", "Flow", "Last run", "At", "URN"]
    text = cli.table(headings, rows) if rows else "No job writes it."
    cli.emit(found.document(), json, text)


@app.command("status")
def status(run_id: RunId, json: cli.Json = False) -> None:
    """How a run stands, asked of AWS now."""
    from backend.ingestion import tracker

    view = cli.call(tracker.watch, run_id=run_id)
    text = "\n".join([f"{view.run_id}: {view.status}. {view.detail}", *view.log_tail[-20:]])
    cli.emit(view.document(), json, text)


@app.command("datasets")
def datasets_(
    text: Annotated[str, typer.Option("--text", help="A part of the name or target.")] = "",
    only: Annotated[str, typer.Option("--only", help="all, failed, running or never.")] = "all",
    limit: Annotated[int, typer.Option("--limit", min=1, max=200, help="At most so many.")] = 50,
    cursor: Annotated[int, typer.Option(help="next_cursor of the page before.", min=0)] = 0,
    environment: Environment = None,
    json: cli.Json = False,
) -> None:
    """The datasets that can be run, favourites and the most recently run first."""
    from backend.ingestion import datasets

    page = cli.read(
        datasets.list_datasets,
        environment=environment,
        text=text,
        only=only,
        limit=limit,
        cursor=cursor,
    )
    rows: list[list[Any]] = [
        [d.name, d.target.name if d.target else "", d.last_status, d.last_at] for d in page.items
    ]
    table = cli.table(["Dataset", "Target", "Last", "At"], rows)
    note = f"\n{page.note}" if page.note else ""
    cli.emit(page.document(), json, table + cli.more(page.next_cursor) + note)


@app.command("favourite")
def favourite(
    dataset_urn: Annotated[str, typer.Option("--dataset-urn", help="DataHub dataset URN.")],
    off: Annotated[bool, typer.Option("--off", help="No longer a favourite.")] = False,
    environment: Environment = None,
) -> None:
    """Put a dataset first in your own list of datasets."""
    from backend.ingestion import datasets

    cli.write(datasets.set_favourite, dataset_urn=dataset_urn, on=not off, environment=environment)
    cli.say(f"{dataset_urn}: {'no longer a favourite' if off else 'a favourite'}.")


@app.command("show")
def show(run_id: RunId, json: cli.Json = False) -> None:
    """A run with its steps, or with its tries, time and memory, asked of AWS now."""
    from backend.ingestion import executions, tracker

    view = cli.call(tracker.watch, run_id=run_id)
    document: dict[str, Any] = dict(view.document())
    lines = [f"{view.run_id}: {view.status}. {view.detail}"]
    if view.machine_type == "STANDARD" and view.execution_arn:
        found = cli.call(executions.history, run_id=run_id)
        document |= executions.document(found)
        rows: list[list[Any]] = [
            [place, s.state, s.kind, s.status, s.started_at, s.finished_at, s.error]
            for place, s in enumerate(found.steps)
        ]
        heads = ["step", "state", "kind", "status", "started", "ended", "error"]
        lines.append(cli.table(heads, rows))
    elif view.report is not None:
        told = ", ".join(f"{name} {value}" for name, value in document["report"].items() if value)
        lines.append(f"tries {view.attempts}, {told}")
    cli.emit(document, json, "\n".join([*lines, *view.log_tail[-20:]]))


@app.command("stop")
def stop(run_id: RunId, json: cli.Json = False) -> None:
    """Ask a STANDARD execution to stop."""
    from backend.ingestion import service

    view = cli.call(service.stop, run_id=run_id)
    cli.emit(view.document(), json, f"{view.run_id}: {view.status}. {view.detail}")


@app.command("redrive")
@cli.may_wait
def redrive(run_id: RunId, json: cli.Json = False) -> None:
    """Let a failed STANDARD execution go on from the step that failed."""
    from backend.ingestion import executions

    view = cli.call(executions.redrive, run_id=run_id)
    cli.emit(view.document(), json, f"{view.run_id}: {view.status}. {view.detail}")


@app.command("runs")
def runs_(
    dataset_urn: Annotated[str, typer.Option("--dataset-urn", help="DataHub dataset URN.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=200, help="At most so many.")] = 20,
    cursor: Annotated[int | None, typer.Option(help="next_cursor of the page before.")] = None,
    json: cli.Json = False,
) -> None:
    """The last runs."""
    from backend.ingestion import service
    from backend.ingestion.schemas import RunFilter

    page = cli.read(service.list_runs, wanted=RunFilter(dataset_urn), limit=limit, cursor=cursor)
    rows: list[list[Any]] = [
        [r.run_id, r.status, r.created_at, r.actor_name, r.subject] for r in page.items
    ]
    document = {"items": [r.document() for r in page.items], "next_cursor": page.next_cursor}
    table = cli.table(["Run", "Status", "Created", "By", "Dataset"], rows)
    cli.emit(document, json, table + cli.more(page.next_cursor))


@links_app.command("put")
def put_links(
    dataset_urn: Annotated[
        list[str] | None, typer.Option("--dataset-urn", help="Only these; default: all.")
    ] = None,
    environment: Environment = None,
    json: cli.Json = False,
) -> None:
    """Put the link on every dataset that has a target."""
    _links("put", dataset_urn, environment, json)


@links_app.command("remove")
def remove_links(
    dataset_urn: Annotated[
        list[str] | None, typer.Option("--dataset-urn", help="Only these; default: all.")
    ] = None,
    environment: Environment = None,
    json: cli.Json = False,
) -> None:
    """Remove the link from all datasets; other links stay."""
    _links("remove", dataset_urn, environment, json)


@mapping_app.command("export")
def export_mapping(
    format: Annotated[str, typer.Option("--format", help="yaml or json")] = "yaml",
    environment: Environment = None,
) -> None:
    """Print the rules kept in the portal."""
    from backend.ingestion import mapping

    choices.check("--format", format, ("yaml", "json"))
    # mypy: typer hands on a choice as str; the service checks it
    text = cli.read(mapping.export_text, format=format, environment=environment)  # type: ignore[arg-type]
    cli.say(text, nl=False)


@mapping_app.command("import")
def import_mapping(
    path: Annotated[str, typer.Argument(metavar="FILE", help="JSON or YAML; - reads stdin.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Remove rules that the document does not name.")
    ] = False,
    environment: Environment = None,
    json: cli.Json = False,
) -> None:
    """Take rules from a JSON or YAML document."""
    from backend.ingestion import mapping

    text = cli.text_of(path).removeprefix("\ufeff")
    change = cli.write(mapping.import_text, text=text, replace_all=replace, environment=environment)
    cli.emit(
        change,
        json,
        f"{change.added} added, {change.changed} changed, {change.removed} removed, "
        f"{change.unchanged} unchanged.",
    )


@mapping_app.command("check")
def check_mapping(environment: Environment = None, json: cli.Json = False) -> None:
    """Ask AWS whether every mapped target exists; shadowed and dead rules are listed, too."""
    from backend.ingestion import checks, mapping

    counts: dict[str, Any] = dict(cli.call(checks.check_targets, environment=environment))
    view = cli.read(mapping.view, environment=environment, limit=mapping.MAX_LISTED)
    wrong = [rule for rule in view.rules if rule.problem or rule.remark]
    counts["rules"] = [
        {"kind": r.kind, "pattern": r.pattern, "source": r.source, "why": r.problem or r.remark}
        for r in wrong
    ]
    text = [f"{counts['checked']} targets checked, {counts['dead']} of them dead."]
    text += [f"{r.source} {r.kind} {r.pattern}: {r.problem or r.remark}" for r in wrong]
    counts["rules_left_out"] = left_out = view.total - len(view.rules)
    if left_out:
        text.append(f"{left_out:,} more rules are not listed here; their remarks are on the page.")
    cli.emit(counts, json, "\n".join(text))
    if counts["dead"]:
        raise cli.Failed(f"{counts['dead']} mapped targets cannot be used.")


def _links(mode: str, dataset_urn: list[str] | None, environment: str | None, json: bool) -> None:
    from backend.ingestion import links

    bar = cli.Progress()
    report = cli.call(
        links.apply,
        mode=links.check_mode(mode),
        environment=environment,
        dataset_urns=dataset_urn or (),
        progress=lambda done, total, urn: bar.progress(done, total, note=urn),
    )
    bar.end()
    lines = [
        f"{report.changed} changed, {report.unchanged} unchanged, "
        f"{report.without_target} without a target, {len(report.failed)} failed."
    ]
    lines += [f"{urn}: {why}" for urn, why in report.failed[:20]] + report.notes
    cli.emit(report.document(), json, "\n".join(lines))
    if report.failed:
        raise cli.Failed(f"{len(report.failed)} datasets could not be changed.")


def _document(view: Any, word: str) -> dict[str, Any]:
    """The seed's answer, with the run's own status beside it."""
    document: dict[str, Any] = view.document()
    return document | {"runStatus": view.status, "status": word}
