"""`python -m backend changes`: requests that wait for an approval, and the policies that ask."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from backend.changes import policy, releases, service
from backend.changes.schemas import ChangeView, PolicyView, Preview
from backend.cli import common as cli
from backend.cli.common import Json, Yes, emit, new_app
from backend.core import clock

app = new_app("Change requests: what waits for an approval, and what became of it.")
policy_app = new_app("What each action needs in an environment.")
app.add_typer(policy_app, name="policy")

ChangeId = Annotated[int, typer.Argument(metavar="CHANGE", help="The number of the change.")]
ChangeIds = Annotated[
    list[int], typer.Argument(metavar="CHANGE…", help="The numbers of the changes.")
]
Environment = Annotated[str, typer.Argument(metavar="ENV", help="The environment's name.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; others will read it.")]


@app.command("list")
def list_changes(
    which: Annotated[str, typer.Option(help="all, to_approve, mine or done.")] = "all",
    environment: Annotated[str, typer.Option(help="Only of this environment.")] = "",
    status: Annotated[list[str] | None, typer.Option(help="Only in this state.")] = None,
    text: Annotated[str, typer.Option(help="Words of what, about and by whom.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=service.MAX_PAGE, help="At most so many.")] = 50,
    cursor: Annotated[int | None, typer.Option(help="next_cursor of the page before.")] = None,
    json: Json = False,
) -> None:
    """Change requests, newest first."""
    with cli.unit_read() as (session, actor):
        page = service.list_changes(
            session,
            actor,
            which=which,  # type: ignore[arg-type]  # the service refuses others
            environment=environment or None,
            statuses=status or (),
            text=text,
            limit=limit,
            cursor=cursor,
        )
    rows = [
        [each.id, each.status, each.label, each.subject, each.requester, each.created_at]
        for each in page.items
    ]
    shown = cli.table(["Change", "State", "What", "About", "Asked by", "Asked"], rows)
    emit(page, json, (shown if rows else "No change.") + cli.more(page.next_cursor))


@app.command("show")
def show(
    change_ids: ChangeIds,
    now: Annotated[bool, typer.Option("--now", help="Say what it would do now, too.")] = False,
    json: Json = False,
) -> None:
    """Requests with what they do and their history; several one after the other."""
    found = [_shown(number, now) for number in change_ids]
    text = "\n\n".join("\n".join(lines) for _, lines in found)
    emit(_one_or_items([document for document, _ in found]), json, text)


def _shown(change_id: int, now: bool) -> tuple[dict[str, Any], list[str]]:
    view = cli.read(service.get, change_id=change_id)
    document: dict[str, Any] = view.model_dump(mode="json")
    lines = _lines(view)
    if now:
        found = cli.call(service.would_do, change_id=change_id)
        document["now"] = found.model_dump(mode="json")
        moved = found.error or f"moved since: {', '.join(found.moved)}"
        lines.append("Now: " + ("it would still do the same." if found.same else moved))
        if found.preview is not None:
            lines += _preview(found.preview)
    return document, lines


def _preview(found: Preview) -> list[str]:
    """The table that the page shows, with how much of it there is."""
    more = len(found.rows) < found.total
    return [
        found.title,
        *(f"  ! {note}" for note in found.notes),
        cli.table([*found.columns], [[*row] for row in found.rows]) if found.rows else "  no line",
        *([f"The first {len(found.rows):,} of {found.total:,} lines."] if more else []),
    ]


def _one_or_items(found: Sequence[Any]) -> Any:
    return found[0] if len(found) == 1 else {"items": list(found)}


@app.command("approve")
def approve(
    change_ids: ChangeIds,
    comment: Annotated[str, typer.Option("--comment", help="What others should know.")] = "",
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Approve somebody else's request; with the last approval a worker carries it out.

    Several of one environment are a release: approved all or none, carried out in this order, and
    stopped at the first that fails.
    """
    with cli.unit_read() as (session, actor):
        seen = [service.get(session, actor, change_id=number) for number in change_ids]
    what = "; ".join(f"change {each.id}, {each.label.lower()}: {each.subject}" for each in seen)
    cli.confirm(f"Approve {what}?", yes=yes)
    with cli.unit_write() as (session, actor):
        if len(seen) == 1:
            done = [service.approve(session, actor, change_id=change_ids[0], comment=comment)]
        else:
            done = [*releases.approve(session, actor, change_ids=change_ids, comment=comment)]
    emit(_one_or_items(done), json, "\n".join(_line(view) for view in done))


@app.command("reject")
def reject(change_id: ChangeId, reason: Reason, json: Json = False) -> None:
    """End a waiting request with a reason."""
    view = cli.write(service.reject, change_id=change_id, reason=reason)
    emit(view, json, _line(view))


@app.command("withdraw")
def withdraw(change_id: ChangeId, reason: Reason = "", json: Json = False) -> None:
    """Take a waiting request back."""
    view = cli.write(service.withdraw, change_id=change_id, reason=reason)
    emit(view, json, _line(view))


@app.command("comment")
def comment(
    change_id: ChangeId,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What others will read.")],
    json: Json = False,
) -> None:
    """Say something about an open request, for example why it is needed."""
    view = cli.write(service.comment, change_id=change_id, text=text)
    emit(view, json, _line(view))


@policy_app.command("list")
def list_policies(environment: Environment, json: Json = False) -> None:
    """What each action needs in an environment."""
    found = cli.read(policy.list_policies, environment=environment)
    rows = [[each.action, each.label, each.words] for each in found]
    emit({"items": found}, json, cli.table(["Action", "What", "Needs"], rows))


@policy_app.command("set")
@cli.may_wait
def set_policy(
    environment: Environment,
    action: Annotated[str, typer.Argument(metavar="ACTION", help="As `policy list` names it.")],
    mode: Annotated[str, typer.Argument(metavar="MODE", help="direct, confirm or approve.")],
    approvers: Annotated[int, typer.Option(help="How many others, 1 or 2.")] = 1,
    above: Annotated[int | None, typer.Option(help="Only above so many users or rows.")] = None,
    window: Annotated[str, typer.Option(help="Only then, UTC: mon-fri 18:00-08:00.")] = "",
    by_token: Annotated[bool, typer.Option("--by-token", help="Only for API tokens.")] = False,
    json: Json = False,
) -> None:
    """Set the rule of an action; a weaker one waits for the approvals of the one in force."""
    rule = policy.checked(
        {
            "mode": mode,
            "approvers": approvers,
            "above": above,
            "window": window,
            "by_token": by_token,
        }
    )
    view = cli.write(policy.save, environment=environment, action=action, rule=rule)
    emit(view, json, _rule_line(view))


def _rule_line(view: PolicyView) -> str:
    return f"{view.label} in {view.environment}: {view.words}."


def _line(view: ChangeView) -> str:
    given = f"{len(view.approvals)} of {view.needed} approvals" if view.is_open else view.outcome
    turn = f" Begins after change {view.after}." if view.after and view.is_open else ""
    return f"Change {view.id} is {view.status}. {given}".strip() + turn


def _lines(view: ChangeView) -> list[str]:
    size = f", {view.size_words}" if view.size_words else ""
    lines = [
        f"Change {view.id}: {view.label}, {view.subject} ({view.environment}{size})",
        _line(view),
        *[f"  {name}: {value}" for name, value in view.facts],
        *([f"Why: {view.reason}"] if view.reason else []),
        f"Needs {view.rule}; expires {clock.to_the_second(view.expires_at)}. {view.change}",
    ]
    for step in view.steps:
        said = f": {step.text}" if step.text else ""
        lines.append(f"{clock.to_the_second(step.at)} {step.actor_name} {step.what}{said}")
    return lines
