"""`python -m backend jobs`: what the Runs page shows."""

from typing import Annotated

import typer

from backend.cli import common as cli
from backend.cli.common import Json, Watch, Yes, emit, new_app
from backend.jobs import service
from backend.jobs.answers import JobAnswer, JobList
from backend.jobs.schemas import JobPage, JobView

app = new_app("Runs: work in the background, what is running and how the rest ended.")
JobId = Annotated[int, typer.Argument(metavar="RUN", help="The number of the run.")]


@app.command("list")
def list_jobs(
    status: Annotated[list[str] | None, typer.Option(help="Only runs of this status.")] = None,
    kind: Annotated[str, typer.Option(help="A kind, or a domain such as user_sync.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=service.MAX_PAGE, help="At most so many.")] = 50,
    cursor: Annotated[int | None, typer.Option(help="next_cursor of the page before.")] = None,
    watch: Watch = False,
    json: Json = False,
) -> None:
    """Runs, newest first."""

    def page() -> JobPage:
        return cli.read(
            service.list_jobs, limit=limit, before=cursor, states=status or (), kind=kind
        )

    if json:
        emit(JobList.model_validate(page()), json)
    else:
        emit(None, json, cli.watched(lambda: _table(page()), watch))


@app.command("show")
def show(job_id: JobId, json: Json = False) -> None:
    """One run with the newest lines of its log."""
    with cli.unit_read() as (session, actor):
        view = service.get(session, actor, job_id=job_id)
        lines = service.lines(session, actor, job_id=job_id)
    document = {"job": JobAnswer.model_validate(view), "lines": lines}
    emit(document, json, "\n".join([_line(view), *(line.line for line in lines)]))


@app.command("cancel")
def cancel(job_id: JobId, yes: Yes = False, json: Json = False) -> None:
    """Ask a run to stop at its next safe point."""
    cli.confirm(f"Stop run {job_id}?", yes=yes)
    view = cli.write(service.cancel, job_id=job_id)
    emit(JobAnswer.model_validate(view), json, _line(view))


def _table(page: JobPage) -> str:
    rows = [[view.id, view.state, view.title, view.subject, view.created_at] for view in page.items]
    return cli.table(["Run", "Status", "What", "About", "Created"], rows)


def _line(view: JobView) -> str:
    asked = ", asked to stop" if view.cancel_requested and not view.ended else ""
    error = f" {view.error}" if view.error else ""
    return f"Run {view.id}: {view.title} ({view.subject}) is {view.state}{asked}.{error}"
