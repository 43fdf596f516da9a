"""`python -m backend tokenize`."""

import time
from typing import Annotated

import typer

from backend.cli import common as cli
from backend.core.errors import PortalError
from backend.jobs import service as jobs
from backend.tokenization import (
    check,
    cleaning,
    comparison,
    copies,
    inline,
    preview,
    service,
    watch,
    worklist,
    write_back,
)
from backend.tokenization.schemas import (
    CleanUpState,
    Preview,
    RunState,
    RunView,
    Trigger,
    refused_document,
)

app = cli.new_app("Find columns with personal data, preview and run tokenizations.")

RunId = Annotated[int, typer.Argument(metavar="RUN", help="The number of the run.")]
Columns = Annotated[
    str | None,
    typer.Option("--columns", help="Comma-separated; without it, what DataHub's tags say."),
]
Environment = Annotated[str, typer.Option("--environment", help="Default: the one that fits.")]
Schemes = Annotated[
    list[str] | None,
    typer.Option(
        "--scheme",
        metavar="COLUMN=SCHEME",
        help="Another keyed scheme for one column; can be given more than once.",
    ),
]
Method = Annotated[
    str,
    typer.Option(
        "--method",
        help="in-place; rewrite: the table anew, readers wait; re-key: base64 tokens, too.",
    ),
]
Dataset = Annotated[str, typer.Argument(metavar="URN", help="The dataset's DataHub URN.")]


@app.command("list")
def list_command(
    environment: Environment = "",
    only: Annotated[
        str,
        typer.Option(
            "--only", help="open, all, running, waiting, drifted, failed, tagged or done."
        ),
    ] = "open",
    text: Annotated[str, typer.Option("--text", help="Part of a table's or column's name.")] = "",
    limit: Annotated[int, typer.Option(help="Rows.", min=1, max=worklist.MAX_PAGE)] = 50,
    cursor: Annotated[int, typer.Option(help="next_cursor of the page before.", min=0)] = 0,
    json: cli.Json = False,
) -> None:
    """List the datasets by what they need: tagged, waiting, running, drifted, failed, done."""
    tagged = cli.call(worklist.tagged, environment=environment or None)
    found = cli.read(
        worklist.work_list,
        environment=environment or None,
        tagged=tagged,
        text=text,
        only=only,
        limit=limit,
        cursor=cursor,
    )
    rows = [
        [each.status, each.table, ", ".join(each.columns), _count(each.rows_plain), each.reason]
        for each in found.items
    ]
    shown = cli.table(["Status", "Table", "Columns", "Plain rows", "Reason"], rows)
    more = "" if found.next_cursor is None else f"\nmore: --cursor {found.next_cursor}"
    cli.emit(found, json, shown + more + (f"\n{found.note}" if found.note else ""))


@app.command("tables")
def tables_command(environment: Environment = "", json: cli.Json = False) -> None:
    """List the tables of the environment's PostgreSQL and MySQL connections, with their URNs."""
    found = cli.call(worklist.tables, environment=environment or None)
    rows = [[each.dataset, _count(each.rows)] for each in found.items]
    text = cli.table(["Dataset", "Rows (estimated)"], rows)
    cli.emit(found, json, text + (f"\n{found.note}" if found.note else ""))


@app.command("preview")
def preview_command(
    dataset: Dataset,
    columns: Columns = None,
    scheme: Schemes = None,
    method: Method = "in-place",
    environment: Environment = "",
    json: cli.Json = False,
) -> None:
    """Show what a run would do; change nothing. Exit status 1 when something blocks it."""
    found = cli.call(
        preview.preview,
        dataset=dataset,
        columns=_names(columns),
        environment=environment or None,
        schemes=_schemes(scheme),
        method=method,
    )
    cli.emit(found.document(), json, _preview_text(found))
    if found.report.all_blockers:
        raise cli.Failed("A run is blocked: " + "; ".join(found.report.all_blockers))


@app.command("run")
@cli.may_wait
def run_command(
    dataset: Dataset,
    columns: Columns = None,
    scheme: Schemes = None,
    method: Method = "in-place",
    environment: Environment = "",
    clean_up: Annotated[
        bool, typer.Option("--clean-up", help="VACUUM, ANALYZE and REFRESH afterwards, checked.")
    ] = False,
    json: cli.Json = False,
) -> None:
    """Tokenize now, in this process, and write the outcome into DataHub."""
    named, schemes = _names(columns), _schemes(scheme)
    try:
        view = cli.call(
            service.start,
            dataset=dataset,
            columns=named,
            environment=environment or None,
            trigger=Trigger.CLI,
            schemes=schemes,
            method=method,
            clean_up=clean_up,
        )
    except PortalError as exc:
        cli.emit({**refused_document(dataset, named or (), exc.message), **cli.refusal(exc)}, json)
        raise
    view = inline.complete(cli.database(), view)
    cli.emit(view.document(), json, _run_text(view))
    if view.clean_up in (CleanUpState.LEFT, CleanUpState.FAILED):
        raise cli.Failed(f"Run {view.id} {view.state.value}, cleaned up: {view.clean_up_details}")
    if view.state not in (RunState.SUCCEEDED, RunState.SKIPPED):
        raise cli.Failed(f"Run {view.id} {view.state.value}: {view.details}")


@app.command("clean-up")
def clean_up_command(run_id: RunId, json: cli.Json = False) -> None:
    """VACUUM, ANALYZE and REFRESH after a run, and check it. Exit status 1 when something stays."""
    cli.write(cleaning.start, run_id=run_id)
    view = cli.call(cleaning.attempt, run_id)
    cli.emit(view.document(), json, view.clean_up_details)
    if view.clean_up is not CleanUpState.SUCCEEDED:
        raise cli.Failed(view.clean_up_details)


@app.command("write-back")
def write_back_command(run_id: RunId, json: cli.Json = False) -> None:
    """Write an ended run's outcome into DataHub (again)."""
    cli.write(service.retry_write_back, run_id=run_id)
    view = write_back.attempt(cli.database(), run_id)
    cli.emit(view.document(), json, view.write_back_details or "DataHub has the outcome.")
    if view.write_back.value != "succeeded":
        raise cli.Failed(view.write_back_details)


@app.command("compare")
@cli.may_wait
def compare_command(
    environment: Environment = "",
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend what a run or another write-back mends.")
    ] = False,
    json: cli.Json = False,
) -> None:
    """Compare DataHub's tags with the tables. Exit status 1 while they disagree."""
    found = _compare(environment or None)
    if repair:
        for each in found.open:
            if each["repair"] != check.BY_HAND:
                view = cli.call(
                    comparison.repair,
                    dataset=each["dataset"],
                    finding=each["finding"],
                    environment=environment or None,
                    trigger=Trigger.CLI,
                )
                inline.complete(cli.database(), view)
                if each["repair"] == check.WRITE_AGAIN:
                    write_back.attempt(cli.database(), view.id)
        found = _compare(environment or None)
    lines = [f"{each['dataset']}: {each['finding']}. {each['detail']}" for each in found.open]
    lines = lines or ["DataHub and the tables agree."]
    cli.emit(found.document(), json, "\n".join([*lines, *filter(None, [found.rest])]))
    if found.open:
        raise cli.Failed(
            f"DataHub and the tables disagree in {len(found.open) + found.more} places."
        )


def _compare(environment: str | None) -> comparison.Comparison:
    job_id = cli.write(comparison.start, environment=environment)
    inline.do(cli.database(), job_id)
    found = cli.read(comparison.latest, environment=environment)
    if found is None or found.result is None:
        raise cli.Failed(f"The comparison (job {job_id}) did not end; see the jobs page.")
    return found


@app.command("copies")
def copies_command(
    dataset: Dataset,
    columns: Columns = None,
    environment: Environment = "",
    preview_all: Annotated[
        bool, typer.Option("--preview", help="Preview each table with a copy; change nothing.")
    ] = False,
    json: cli.Json = False,
) -> None:
    """List where else the values live, as DataHub knows it: copies that no run has tokenized."""
    wanted: copies.Asked = {
        "dataset": dataset,
        "columns": _names(columns),
        "environment": environment or None,
    }
    if preview_all:
        _copy_previews(wanted, json)
        return
    found = cli.call(copies.find, **wanted)
    rows = [[each.table, each.column, each.reason, each.problem] for each in found.items]
    text = cli.table(["Table", "Column", "Why", "No preview because"], rows)
    said = (text, f"tokenized already: {found.tokenized}", found.note)
    cli.emit(found, json, "\n".join(filter(None, said)))


def _copy_previews(wanted: copies.Asked, json: bool) -> None:
    job_id = cli.write(copies.queue_previews, **wanted)
    inline.do(cli.database(), job_id)
    with cli.unit_read() as (reading, who):
        ended = jobs.get(reading, who, job_id=job_id)
        found = copies.previews(
            reading, who, dataset=wanted["dataset"], environment=wanted["environment"]
        )
    if ended.error:
        raise cli.Failed(ended.error)
    rows = [
        [
            each.table,
            ", ".join(each.columns),
            _count(each.rows_to_update),
            each.error or "; ".join(each.blockers),
        ]
        for each in found.items
    ]
    text = cli.table(["Table", "Columns", "Rows to update", "Blockers"], rows)
    cli.emit(found, json, text + (f"\n{found.note}" if found.note else ""))


@app.command("watch")
def watch_command(
    environment: Environment = "",
    interval: Annotated[float, typer.Option(help="Seconds between two looks.", min=1)] = 30.0,
    once: Annotated[bool, typer.Option("--once", help="Look once, then end.")] = False,
) -> None:
    """Look for `tokenize/run` tags in DataHub and run each once, until stopped (Ctrl-C)."""
    said: list[str] = []
    while True:
        problems: list[str] = []
        answers = cli.call(watch.poll, environment=environment or None, trouble=problems.append)
        for answer in answers:
            if answer.run is None:
                typer.echo(f"{answer.dataset}: not started: {answer.note}", err=True)
                continue
            view = inline.complete(cli.database(), answer.run)
            cli.say(f"{answer.dataset}: run {view.id} {view.state.value}. {view.details}")
        if once and problems:
            raise cli.Failed(" ".join(problems))
        if once:
            return
        if problems != said:  # an outage of an hour is one line, not a line per look
            typer.echo("\n".join(problems or ["DataHub can be asked again."]), err=True)
            said = problems
        cli.add_metrics()
        time.sleep(interval)


def _names(columns: str | None) -> list[str] | None:
    """Names with commas in them can be given on the page or over REST.

    Raises BadParameter for an option without a name in it (an unset shell variable): it must not
    mean every tagged column.
    """
    if columns is None:
        return None
    names = [name.strip() for name in columns.split(",") if name.strip()]
    if not names:
        raise typer.BadParameter("name at least one column, or leave the option out.")
    return names


def _schemes(given: list[str] | None) -> dict[str, str]:
    pairs = [text.rpartition("=") for text in given or ()]
    if not all(column and scheme for column, _, scheme in pairs):
        raise typer.BadParameter("--scheme takes COLUMN=SCHEME, e.g. phone=hmac-sha256-96.")
    return {column: scheme for column, _, scheme in pairs}


def _preview_text(found: Preview) -> str:
    report = found.report
    lines = [
        f"{found.table} in {found.environment}, scheme {found.scheme}",
        _rows_line(report.rows_total, report.rows_to_update),
        "",
        cli.table(
            ["Column", "Type", "Run", "Rows", "Reason"],
            [
                [
                    column.name,
                    column.type,
                    "yes"
                    if column.selected
                    else "tick?"
                    if column.suggested
                    else "maybe"
                    if column.possible
                    else "",
                    _count(column.rows_to_update),
                    column.reason,
                ]
                for column in report.columns
            ],
        ),
    ]
    # What blocks a run is the line on stderr.
    for title, sentences in (
        ("Mind", report.warnings),
        *((column.name, column.warnings) for column in report.columns if column.selected),
    ):
        lines += [f"{title}: {sentence}" for sentence in sentences]
    if found.catalog_note:
        lines.append(f"DataHub: {found.catalog_note}")
    return "\n".join(lines)


def _rows_line(total: int | None, changing: int | None) -> str:
    """What a run would change is only counted when nothing blocks it."""
    changed = "" if changing is None else f", of which {_count(changing)} would change"
    return f"rows: {_count(total)}{changed}"


def _run_text(view: RunView) -> str:
    return (
        f"Run {view.id} {view.state.value}: {view.details}\n"
        f"DataHub: {view.write_back.value}. {view.write_back_details}"
        + (f"\nClean-up: {view.clean_up_details}" if view.clean_up_details else "")
    )


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"
