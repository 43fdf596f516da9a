"""`python -m backend alerts`: what the Overview says, and who has seen it."""

from typing import Annotated

import typer

from backend.cli import common as cli
from backend.cli.common import Json, Watch, emit, new_app
from backend.notifications import seen_alerts
from backend.notifications.schemas import AlertList

app = new_app("What needs somebody to act, the worst first.")
app.info.no_args_is_help = False

Account = Annotated[str, typer.Option("--account", help="Whose marks: what this account has seen.")]


@app.callback(invoke_without_command=True)
def alerts(
    context: typer.Context, account: Account = "", watch: Watch = False, json: Json = False
) -> None:
    """What needs somebody to act, the worst first."""
    if context.invoked_subcommand is not None:
        return

    def found() -> AlertList:
        return cli.read(seen_alerts.list_alerts, account=account)

    if json:
        emit(found(), json)
    else:
        emit(None, json, cli.watched(lambda: _text(found()), watch))


@app.command("seen")
def mark(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Of `alerts --json`.")],
    account: Account,
    again: Annotated[bool, typer.Option("--again", help="Take the mark back.")] = False,
    json: Json = False,
) -> None:
    """Put an alert aside for an account, as its person does on the Overview."""
    view = cli.write(seen_alerts.mark, alert=key, is_seen=not again, account=account)
    emit(view, json, f"{'Seen' if view.seen else 'New again'}: {view.text}")


def _text(found: AlertList) -> str:
    lines = [
        f"{item.severity}: {item.text}{' (seen)' if item.seen else ''}" for item in found.items
    ]
    return "\n".join(filter(None, [*lines, found.rest])) or "Nothing needs attention."
