"""Where each action is asked for by a click on a page."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backend.accounts import service as accounts
from backend.connections import environments
from backend.connections import service as connections
from backend.core.access import SYSTEM
from backend.ingestion import runs, tracker
from backend.ingestion.schemas import Request
from backend.mounts import explorer, orphans
from backend.mounts.schemas import Filters
from backend.sandbox.aws.outcome_simulator import Behaviour
from backend.sandbox.dms_agent import GONE_HOST
from tests.backend.ingestion import conftest as ingestion
from tests.backend.user_sync import conftest as user_sync
from tests.fixtures.dms_responder import mount_request
from tests.fixtures.pages import OpenPage, choose, unfold

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest

Get = Callable[[str], Any]
#: What whoever asks gives as the reason.
WHY = "DPO-81: before the audit"


@dataclass
class Button:
    """Where an action is asked for by a click. environment: whose rule counts. page, role, query:
    what is opened. offered: the widget that only those see who may. lead: all before the last
    click. outside: what of other systems would change."""

    environment: str
    page: str
    role: str
    offered: str
    last: str
    lead: Callable[["AppTest"], object] = lambda _app: None
    query: dict[str, str] = field(default_factory=dict)
    outside: Callable[[], Any] = lambda: None
    #: Whether the page names what waits for it in its own list of requests.
    notes: bool = True
    #: What it is in is folded up at first.
    fold: str = ""

    def opened(self, open_page: OpenPage, role: str = "") -> "AppTest":
        """The page that it is on, for the role that may or for another one."""
        app = open_page(self.page, role=role or self.role, **self.query)
        return unfold(app, self.fold) if self.fold else app


def clicks(*keys: str) -> Callable[["AppTest"], object]:
    def click(app: "AppTest") -> None:
        for key in keys:
            app.button(key=key).click().run()

    return click


def user_plan(get: Get, *lead: str, **query: str) -> Button:
    world = get("people")
    plan = world.plan()
    if lead:
        query |= {"view": "history", "run": str(world.apply(plan).id)}
    ticks = ("user_sync.tick_all", "user_sync.apply_open")
    return Button(
        world.env, "user_sync/page.py", "steward", (lead or ticks)[-1], "user_sync.apply.confirm",
        clicks(*lead, *ticks), query or {"plan": str(plan.id)}, lambda: user_sync.sent(world),
    )  # fmt: skip


def tokenize(get: Get, method: str = "in-place") -> Button:
    world = get("customers")

    def lead(app: "AppTest") -> None:
        app.segmented_control(key="tokenization.method").set_value(method).run()
        app.button(key="tokenization.run").click().run()

    return Button(
        "test", "tokenization/page.py", "steward", "tokenization.run",
        "tokenization.confirm.confirm", lead,
        {"dataset": world.source.urn("customers")},
        lambda: world.source.rows("SELECT * FROM customers ORDER BY id"),
    )  # fmt: skip


INGESTION = "ingestion/page.py"


def ingest(get: Get) -> Button:
    aws = get("aws")
    get("mapped")

    def lead(app: "AppTest") -> None:
        app.text_input(key="ingestion.reason").set_value(WHY)
        app.button(key="ingestion.review").click().run()

    return Button(
        "dev", INGESTION, "operator", "ingestion.review", "ingestion.confirm.confirm",
        lead, {"dataset_urn": ingestion.URN}, lambda: aws.starts(),
    )  # fmt: skip


def redrive(get: Get) -> Button:
    aws, database = get("aws"), get("database")
    get("add_rule")("exact", ingestion.URN, aws.add_machine("nightly", seconds=600, outcome="fail"))
    run = runs.start(database, SYSTEM, Request(ingestion.URN))
    aws._simulator._finish("us-east-1", run.execution_arn or "", Behaviour(1, "fail"))
    tracker.check(database, run.run_id)
    return Button(
        "dev", INGESTION, "operator", "ingestion.redrive", "ingestion.redrive",
        query={"view": "runs", "run": run.run_id}, outside=lambda: aws.starts(),
    )  # fmt: skip


def recipe(get: Get) -> Button:
    get("datahub")

    def lead(app: "AppTest") -> None:
        app.selectbox(key="ingestion.recipe").select("sample_file.yml").run()
        app.button(key="ingestion.recipe.run").click().run()

    return Button(
        "dev", INGESTION, "operator", "ingestion.recipe.run", "ingestion.recipe.confirm.confirm",
        lead, {"view": "datahub"},
    )  # fmt: skip


def managed_source(get: Get) -> Button:
    key = f"ingestion.managed.{get('datahub').seed_ingestion_source('Athena hourly', 'athena')}"
    return Button("dev", INGESTION, "operator", key, key, query={"view": "datahub"})


def on_mounts(
    get: Get, offered: str, last: str, lead: Callable[["AppTest"], object], **query: str
) -> Button:
    database = get("database")

    def ledger() -> Any:
        explorer.forget_counts()
        with database.read() as session:
            found = explorer.list_mounts(session, SYSTEM, filters=Filters(), limit=200).items
        return [(entry.id, entry.mounted, entry.deleted) for entry in found]

    name = get("lab").name
    return Button(name, "mounts/page.py", "operator", offered, last, lead, query, ledger)


def entry(get: Get, **wanted: bool) -> str:
    get("lab")
    with get("database").read() as session:
        filters = Filters(deleted=False, **wanted)
        return str(explorer.list_mounts(session, SYSTEM, filters=filters).items[0].id)


def mount(get: Get) -> Button:
    def lead(app: "AppTest") -> None:
        app.button(key="mounts.open.mount").click().run()
        app.button_group(key="mounts.mount.way").set_value("As JSON").run()
        request = mount_request(jobid=9001, target="s3-prod-eu", host="compute-01")
        app.text_area(key="mounts.mount.json").input(json.dumps(request)).run()

    return on_mounts(get, "mounts.open.mount", "mounts.mount.confirm", lead)


def on_entry(get: Get, verb: str, **wanted: bool) -> Button:
    opened = f"mounts.open.{verb}"
    query = {"entry": entry(get, **wanted), "view": "history"}
    return on_mounts(get, opened, f"mounts.{verb}.confirm", clicks(opened), **query)


def release(get: Get) -> Button:
    get("lab")
    orphans.scan(get("database"), SYSTEM)
    opened = f"mounts.release.{GONE_HOST}"

    def lead(app: "AppTest") -> None:
        app.button(key=opened).click().run()
        app.text_input(key="mounts.release.typed").set_value(GONE_HOST).run()

    return on_mounts(get, opened, "mounts.release.confirm", lead, view="orphans")


def verify_host(get: Get) -> Button:
    opened = "mounts.open.verify_host"

    def lead(app: "AppTest") -> None:
        app.button(key=opened).click().run()
        app.text_input(key="mounts.verify_host.token").input("sandbox").run()

    return on_mounts(
        get, opened, "mounts.verify_host.confirm", lead, view="hosts", host="compute-01"
    )


def template(get: Get) -> Button:
    def lead(app: "AppTest") -> None:
        app.menu_button(key="mounts.more").click("New template …").run()
        app.text_input(key="mounts.template.id").input("s3-new")
        app.text_input(key="mounts.template.path").input("/mnt/s3-new")
        app.text_input(key="mounts.template.secret").input("http://barbican/secret").run()

    return on_mounts(get, "mounts.more", "mounts.template.confirm", lead)


def connection(get: Get, name: str, value: str) -> Button:
    with get("database").write() as session:
        environments.add(session, SYSTEM, name="prod")
        connections.save(
            session, SYSTEM, environment="prod", kind="datahub",
            settings={"server": "http://localhost:9"}, secrets_in={"token": "not-for-everybody"},
        )  # fmt: skip
    mark = "connections.prod.datahub.1"

    def lead(app: "AppTest") -> None:
        app.text_input(key=f"{mark}.{name}").input(value)

    return Button(
        "prod", "connections/page.py", "admin", f"{mark}.save", f"{mark}.save", lead,
        {"environment": "prod", "kind": "datahub"},
    )  # fmt: skip


def role(get: Get) -> Button:
    with get("database").write() as session:
        environments.add(session, SYSTEM, name="prod")
        made = accounts.create(session, SYSTEM, name="ann", role="steward", password="seven bikes")

    def lead(app: "AppTest") -> None:
        choose(app, "accounts.table", 0)
        app.selectbox(key=f"accounts.role.{made.id}.1").set_value("viewer").run()

    return Button(
        "prod", "accounts/page.py", "admin", "accounts.create.submit", "accounts.save_role", lead,
        fold="accounts.create.form",
    )  # fmt: skip


def token(get: Get) -> Button:
    with get("database").write() as session:
        environments.add(session, SYSTEM, name="prod")

    def lead(app: "AppTest") -> None:
        app.text_input(key="tokens.create.name").set_value("nightly")
        app.selectbox(key="tokens.create.role").set_value("operator")

    last = "tokens.create.submit"
    return Button(
        "prod", "accounts/page.py", "admin", last, last, lead, {"view": "tokens"},
        fold="tokens.create.form",
    )  # fmt: skip


def rule(get: Get) -> Button:
    with get("database").write() as session:
        environments.add(session, SYSTEM, name="prod")

    def lead(app: "AppTest") -> None:
        app.selectbox(key="changes.action").set_value("Mount a target").run()
        app.button_group(key="changes.prod.mounts.mount.mode").set_value("approve").run()

    return Button(
        "prod", "changes/page.py", "admin", "changes.save", "changes.save", lead,
        {"view": "policy", "environment": "prod"}, notes=False,
    )  # fmt: skip


BUTTONS: dict[str, Callable[[Get], Button]] = {
    "user_sync.apply": user_plan,
    "user_sync.revert": lambda get: user_plan(get, "user_sync.revert"),
    "tokenization.run": tokenize,
    "tokenization.rewrite": lambda get: tokenize(get, "rewrite"),
    "ingestion.run": ingest,
    "ingestion.redrive": redrive,
    "ingestion.recipe": recipe,
    "ingestion.source": managed_source,
    "mounts.mount": mount,
    "mounts.unmount": lambda get: on_entry(get, "unmount", mounted=True),
    "mounts.verify": lambda get: on_entry(get, "verify", mounted=True),
    "mounts.delete": lambda get: on_entry(get, "delete", mounted=False),
    "mounts.release": release,
    "mounts.verify_host": verify_host,
    "mounts.target": template,
    "connections.change": lambda get: connection(get, "timeout", "7"),
    "connections.secret": lambda get: connection(get, "token", "another-one"),
    "accounts.role": role,
    "accounts.token": token,
    "changes.policy": rule,
}
#: Their dialog has nothing to fill in: where the rule is direct, there is none.
ASKS_ONLY = {
    "user_sync.apply",
    "user_sync.revert",
    "tokenization.run",
    "tokenization.rewrite",
    "ingestion.run",
    "ingestion.recipe",
    "mounts.delete",
}
