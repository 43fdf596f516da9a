"""The MCP server: every tool reads, or files a change request that a person decides about.

Its actor is `ask_only`: whatever the policy says, nothing that a tool asks for happens without an
approval, and services that do not end in a request refuse it. Answers are bounded and say how to
get more; they hold no secrets and no unmasked personal values.
"""

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from mcp.server import MCPServer

from backend.changes import service as changes
from backend.connections import health
from backend.core import reasons
from backend.core.access import Actor, Role
from backend.core.database import Database
from backend.core.errors import PortalError, Waiting
from backend.core.log import get_logger, log_unexpected, mask_text
from backend.ingestion import resolve, runs
from backend.ingestion.schemas import Request
from backend.jobs import service as jobs
from backend.mounts import explorer, orphans
from backend.mounts.schemas import Filters
from backend.notifications import seen_alerts
from backend.tokenization import catalog, preview
from backend.tokenization import service as tokenization
from backend.tokenization.schemas import Trigger
from backend.user_sync import service as user_sync
from backend.user_sync.schemas import RowFilter

T = TypeVar("T")

log = get_logger(__name__)
MAX_ITEMS = 50
_ABOUT = (
    "Steward Portal. Tools whose name begins with ask_ file a change request: a person approves it "
    "in the portal, and only then something happens. Follow it with show_change."
)


def actor(who: Actor, role: Role) -> Actor:
    """The actor of a server that `who` started: an API token with its own role and limits, a login
    with this role. It may ask, and decide nothing."""
    if who.kind == "api_token":
        return replace(who, ask_only=True)
    return Actor(0, f"mcp:{who.name.removeprefix('cli:')}", role, "cli", ask_only=True)


def build(database: Database, who: Actor) -> MCPServer:
    """A server with every tool, acting as `who`."""
    server = MCPServer("steward-portal", instructions=_ABOUT, log_level="ERROR")
    tools = _Tools(database, who)
    for name in sorted(vars(_Tools)):
        if not name.startswith("_"):
            server.tool(structured_output=False)(_safe(getattr(tools, name)))
    return server


def _safe(tool: Callable[..., Any]) -> Callable[..., Any]:
    """Refusals and requests that wait as documents; a bug as its reference only."""

    @functools.wraps(tool)
    def call(*arguments: Any, **named: Any) -> dict[str, Any]:
        try:
            found: dict[str, Any] = tool(*arguments, **named)
        except Waiting as exc:
            return {**exc.document, "detail": exc.message}
        except PortalError as exc:
            return {"error": type(exc).__name__, "detail": mask_text(exc.message)}
        except Exception as exc:
            reference = log_unexpected(log, "An MCP tool failed.", exc, tool=tool.__name__)
            return {"error": "InternalError", "detail": f"Something went wrong. ({reference})"}
        return found

    return call


class _Tools:
    """Every tool by its name; what begins with ask_ ends in a change request."""

    def __init__(self, database: Database, who: Actor) -> None:
        self._database = database
        self._who = who

    def _read(self, service: Callable[..., T], **asked: Any) -> T:
        return self._database.ask(service, self._who, **asked)

    def list_environments(self) -> dict[str, Any]:
        """The environments with the health of their connections, as they were last tested."""
        items = [
            {
                "name": each.environment.name,
                "production": each.environment.is_production,
                "default": each.environment.is_default,
                "connections": {item.kind: item.state for item in each.connections},
            }
            for each in self._read(health.overview)
        ]
        return {"items": items}

    def alerts(self) -> dict[str, Any]:
        """What needs somebody to act, the worst first."""
        found = self._read(seen_alerts.list_alerts)
        items = [{"severity": each.severity, "text": each.text} for each in found.items]
        return {"items": items, "rest": found.rest}

    def list_runs(self, cursor: int | None = None, limit: int = 20) -> dict[str, Any]:
        """The portal's background runs, newest first; pass next_cursor as cursor for more."""
        page = self._read(jobs.list_jobs, limit=_bounded(limit), before=cursor)
        items = [
            {"id": each.id, "title": each.title, "subject": each.subject, "status": each.state}
            for each in page.items
        ]
        return {"items": items, "next_cursor": page.next_cursor}

    def list_changes(self, which: str = "all", cursor: int | None = None) -> dict[str, Any]:
        """Change requests, newest first. which: all, mine or done."""
        kind: changes.Which = "mine" if which == "mine" else "done" if which == "done" else "all"
        page = self._read(changes.list_changes, which=kind, cursor=cursor, limit=MAX_ITEMS)
        return page.model_dump(mode="json")

    def show_change(self, change_id: int) -> dict[str, Any]:
        """One change request with its history."""
        return self._read(changes.get, change_id=change_id).model_dump(mode="json")

    def make_user_plan(self, environment: str = "") -> dict[str, Any]:
        """Compare the directory's people with OpenMetadata's and store a plan; changes nothing."""
        plan = user_sync.plan_now(
            self._database, self._who, environment=environment or None, origin="mcp"
        )
        said = {"summary": plan.kinds, "counts": plan.counts}
        return {"plan_id": plan.id, "status": plan.state, **said}

    def read_user_plan(self, plan_id: int, cursor: int = 0, limit: int = 20) -> dict[str, Any]:
        """What a plan would change, by user id; people's names and addresses are left out."""
        plan = self._read(user_sync.get_plan, plan_id=plan_id)
        page = self._read(
            user_sync.list_rows,
            plan_id=plan_id,
            wanted=RowFilter(only_applicable=True),
            offset=cursor,
            limit=_bounded(limit),
        )
        rows = [
            {"user_id": row.user_id, "status": row.kind, "sets": list(row.changes)}
            for row in page.items
        ]
        end = cursor + len(rows)
        more = end if end < page.total else None
        return {
            "plan_id": plan.id,
            "summary": plan.kinds,
            "counts": plan.counts,
            "rows": rows,
            "next_cursor": more,
        }

    def preview_tokenization(
        self, dataset: str, columns: list[str] | None = None, environment: str = ""
    ) -> dict[str, Any]:
        """Which columns of a dataset hold personal data, and what a run would change; masked."""
        found = preview.preview(
            self._database,
            self._who,
            dataset=dataset,
            columns=columns,
            environment=environment or None,
        )
        return dict(found.document())

    def list_mounts(
        self, environment: str = "", host: str = "", cursor: str = ""
    ) -> dict[str, Any]:
        """Active mounts of the ledger; pass next_cursor as cursor for more."""
        page = self._read(
            explorer.list_mounts,
            environment=environment or None,
            filters=Filters(host=host, mounted=True, deleted=False),
            cursor=cursor,
            limit=MAX_ITEMS,
        )
        return page.model_dump(mode="json")

    def list_orphans(
        self, environment: str = "", host: str = "", cursor: str = ""
    ) -> dict[str, Any]:
        """Mounts that the last scan found evidence against; next_cursor as cursor for more."""
        page = self._read(
            orphans.list_found,
            environment=environment or None,
            filters=Filters(host=host),
            cursor=cursor,
            limit=MAX_ITEMS,
        )
        return page.model_dump(mode="json")

    def find_datasets(
        self, text: str = "", tagged: bool = False, environment: str = ""
    ) -> dict[str, Any]:
        """Datasets that can be tokenized, at most 50; tagged: those marked for it. For their
        columns with personal data see preview_tokenization."""
        found = catalog.find_datasets(
            self._database, self._who, environment=environment or None, text=text, tagged=tagged
        )
        return {
            "items": [
                {"dataset": each.urn, "name": each.name, "platform": each.platform}
                for each in found
            ]
        }

    def resolve_ingestion(self, dataset_urn: str, environment: str = "") -> dict[str, Any]:
        """Which target would ingest a dataset, and by which rule."""
        found = resolve.resolve(
            self._database, self._who, dataset_urn=dataset_urn, environment=environment or None
        )
        return dict(found.document())

    def ask_to_apply_user_plan(
        self,
        plan_id: int,
        user_ids: list[str] | None = None,
        confirm: str = "",
        reason: str = "",
    ) -> dict[str, Any]:
        """Ask for a plan, or some of its users, to be applied. A person approves."""
        with reasons.given(reason), self._database.write() as session:
            run = user_sync.apply(
                session, self._who, plan_id=plan_id, user_ids=user_ids, confirm=confirm
            )
        return {"run_id": run.id, "status": run.state, "detail": "It was applied before."}

    def ask_to_tokenize(
        self,
        dataset: str,
        columns: list[str] | None = None,
        environment: str = "",
        method: str = "in-place",
        reason: str = "",
    ) -> dict[str, Any]:
        """Ask for columns of a dataset to be tokenized. A person approves. method: in-place;
        rewrite: the table anew, readers wait; re-key: base64 tokens, too."""
        with reasons.given(reason):
            view = tokenization.start(
                self._database,
                self._who,
                dataset=dataset,
                columns=columns,
                environment=environment or None,
                trigger=Trigger.API,
                method=method,
            )
        return dict(view.document())

    def ask_to_ingest(
        self, dataset_urn: str, reason: str = "", environment: str = ""
    ) -> dict[str, Any]:
        """Ask for a dataset's ingestion to be started. A person approves."""
        wanted = Request(dataset_urn=dataset_urn, reason=reason, environment=environment or None)
        view = runs.start(self._database, self._who, wanted)
        return {"runId": view.run_id, "status": view.status}

    def withdraw_change(self, change_id: int, reason: str = "") -> dict[str, Any]:
        """Take back a request that this server filed."""
        view = self._database.change(
            changes.withdraw, self._who, change_id=change_id, reason=reason
        )
        return view.model_dump(mode="json")


def _bounded(limit: int) -> int:
    return max(1, min(limit, MAX_ITEMS))
