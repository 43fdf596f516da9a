"""`python -m backend users`: plan, apply and revert user changes in this process."""

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Annotated

import typer

from backend.changes import policy
from backend.cli import common as cli
from backend.cli.terminal import Progress
from backend.core.errors import PortalError
from backend.core.words import COMMAND, counted
from backend.user_sync import answers, runs, service
from backend.user_sync.errors import ConfirmationNeeded, NothingToApply
from backend.user_sync.fields import ATTRIBUTES, DISPLAY_NAME, DOMAINS, TEXTS
from backend.user_sync.schemas import DomainRef, PlanView, RowFilter, RowView, RunView
from backend.user_sync.validation import side_by_side

app = cli.new_app(
    "Compare the directory's users with OpenMetadata's, apply the changes, revert them."
)

SHOWN = 40
NAME_SHOWN = 80
WAIT_SECONDS = 3600

Confirm = Annotated[
    str, typer.Option("--confirm", help="The number of users, needed above the limit.")
]


@app.command("plan")
def plan_command(
    environment: Annotated[str, typer.Argument(metavar="ENV", help="The environment's name.")],
    accept_short: Annotated[
        bool, typer.Option("--accept-short", help="Plan even if the directory shrank a lot.")
    ] = False,
    json: cli.Json = False,
) -> None:
    """Compare both sides and store a plan; changes nothing."""
    progress = Progress()
    plan = cli.call(
        service.plan_now,
        environment=environment,
        origin="cli",
        accept_short=accept_short,
        control=progress,
    )
    progress.end()
    wanted = RowFilter() if json else RowFilter(only_applicable=True)
    with cli.unit_read() as (session, who):
        rows = list(service.all_rows(session, who, plan_id=plan.id, wanted=wanted))
    document = answers.WholePlan.of(plan, rows=[answers.PlanRow.of(row) for row in rows])
    cli.emit(document, json, _plan_text(plan, rows))


@app.command("apply")
@cli.may_wait
def apply_command(
    plan_id: Annotated[int, typer.Argument(metavar="PLAN_ID", help="The number of the plan.")],
    more_emails: Annotated[
        list[str] | None, typer.Argument(metavar="[E]...", help="More e-mails after --email.")
    ] = None,
    email: Annotated[
        list[str] | None, typer.Option("--email", help="Only these users; may be repeated.")
    ] = None,
    typed: Confirm = "",
    yes: cli.Yes = False,
    json: cli.Json = False,
) -> None:
    """Apply a plan, or only some of its users. A plan is applied once: later calls show its run."""
    emails = [*(email or ()), *(more_emails or ())] or None
    with refusals_printed(plan_id, json):
        plan = cli.read(service.get_plan, plan_id=plan_id)
        if plan.state == "ready" and not plan.changes and not emails:
            # What a nightly script finds on most days is no failure.
            nothing = NothingToApply(plan_id, chosen=False)
            document = answers.Refusal(plan_id=plan_id, error="", detail=nothing.message)
            return cli.emit(document, json, nothing.message)
        if plan.run_id is None:
            users = len(set(emails)) if emails else plan.changes
            many = counted(users, "user")
            question = f"Change {many} of {plan.environment} in OpenMetadata?"
            cli.confirm(question, yes=yes or _is_direct(plan))
        run = _start(plan_id, emails, typed)
    see_through(run, json)


@app.command("revert")
@cli.may_wait
def revert_command(
    run_id: Annotated[int, typer.Argument(metavar="RUN_ID", help="The number of the run.")],
    typed: Confirm = "",
    yes: cli.Yes = False,
    json: cli.Json = False,
) -> None:
    """Make the inverse plan of a run, show it, and apply it."""
    with refusals_printed(None, json), cli.unit_write() as (session, who):
        plan = service.revert(session, who, run_id=run_id)
    with cli.unit_read() as (session, who):
        rows = list(service.all_rows(session, who, plan_id=plan.id))
    if not json:
        cli.emit(None, False, _plan_text(plan, rows, applied_now=yes))
    with refusals_printed(plan.id, json):
        many = counted(plan.changes, "change")
        question = f"Take back {many} in {plan.environment} (plan {plan.id})?"
        cli.confirm(question, yes=yes or _is_direct(plan))
        run = _start(plan.id, None, typed)
    see_through(run, json)


def _is_direct(plan: PlanView) -> bool:
    """Whether the policy lets it happen without a question."""
    action = runs.action_of(plan.origin)
    return cli.read(policy.get, environment=plan.environment, action=action).rule.mode == "direct"


@contextlib.contextmanager
def refusals_printed(plan_id: int | None, json: bool) -> Iterator[None]:
    """With --json a refused run is a document on stdout, too."""
    try:
        yield
    except PortalError as exc:
        error = type(exc).__name__
        cli.emit(answers.Refusal(plan_id=plan_id, error=error, detail=exc.message), json)
        raise


def see_through(run: RunView, json: bool) -> None:
    """Work through the run and print it; exit status 1 unless every user was applied."""
    progress = Progress()
    if not run.ended:
        reused = run.reused
        run = _until_ended(run, progress)
        progress.end()
        run = RunView(**{**run.__dict__, "reused": reused})
    with cli.unit_read() as (session, who):
        items = list(service.all_items(session, who, run_id=run.id))
    document = answers.Run.of(run, items)
    cli.emit(document, json, _run_text(document))
    if not run.clean:
        raise cli.Failed(f"Run {run.id} {run.state}: {counts(document.summary)}. {run.note}")


def _start(plan_id: int, emails: list[str] | None, typed: str) -> RunView:
    try:
        return _start_once(plan_id, emails, typed)
    except ConfirmationNeeded as exc:
        if typed or not sys.stdin.isatty():
            exc.message += f" Add --confirm {exc.users}."
            raise
        return _start_once(plan_id, emails, typer.prompt(exc.message))


def _start_once(plan_id: int, emails: list[str] | None, typed: str) -> RunView:
    return cli.write(service.apply, plan_id=plan_id, emails=emails, confirm=typed, background=False)


def _until_ended(run: RunView, progress: Progress) -> RunView:
    """Work through the run; while another process has it, wait, and take over if that one dies."""
    until = time.monotonic() + WAIT_SECONDS
    while True:
        run = cli.call(service.execute, run_id=run.id, control=progress)
        if run.ended or time.monotonic() > until:
            return run
        time.sleep(1)


def _plan_text(plan: PlanView, rows: list[RowView], *, applied_now: bool = False) -> str:
    lines = [
        f"Plan {plan.id} of {plan.environment}: {plan.told}.",
        *[_row_line(row) for row in rows[:SHOWN]],
    ]
    if len(rows) > SHOWN:
        lines.append(f"… and {len(rows) - SHOWN} more; --json prints them all.")
    if plan.changes and not applied_now:
        lines.append(f"Apply with: {COMMAND} users apply {plan.id}")
    return "\n".join(lines)


def _row_line(row: RowView) -> str:
    parts = []
    for name, (old, new) in row.changes.items():
        if name == DOMAINS.name:
            parts.append(f"{_domains(old)} → {_domains(new)}")
        else:
            was, is_now = _texts(old, new, alike=row.look_alike and name == DISPLAY_NAME.name)
            label = f"{ATTRIBUTES[name].label.lower()} " if name in TEXTS else ""
            parts.append(f"{label}{_quoted(was)} → {_quoted(is_now)}")
    return f"  {row.email}: {'; '.join(parts)}"


def _texts(old: str | None, new: str | None, *, alike: bool) -> tuple[str, str]:
    """Both texts as a terminal may show them; where they look alike, written out."""
    was, is_now = (old or "")[:NAME_SHOWN], (new or "")[:NAME_SHOWN]
    return side_by_side(was, is_now, alike=alike)


def _quoted(text: str) -> str:
    return f"“{text}”" if text else "nothing"


def _domains(refs: tuple[DomainRef, ...]) -> str:
    return ", ".join(DOMAINS.document(refs)) or "no domain"


def _run_text(run: answers.Run) -> str:
    shown = [[row.email, row.status, row.reason] for row in run.rows[:SHOWN]]
    more = f"\n… and {len(run.rows) - SHOWN} more" if len(run.rows) > SHOWN else ""
    before = " (the plan was applied before; this is that run)" if run.reused else ""
    return (
        f"Run {run.run_id} of plan {run.plan_id}: {run.status}{before}\n"
        + cli.table(["E-MAIL", "STATUS", "REASON"], shown)
        + more
    )


def counts(summary: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in summary.items() if count) or "nothing"
