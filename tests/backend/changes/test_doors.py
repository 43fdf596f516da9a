"""Every action at every door: REST, command line and MCP ask for the same change, in a real portal.

Each test is an action. A viewer is refused, an admin's call waits at each door, nothing is done
until another person has approved it, and then it is done once. What a door does not offer stands
here with the reason, and is looked for. The pages' calls pass the same services (tests/pages,
tests/e2e/test_changes.py).
"""

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from backend import composition
from backend.sandbox.postgres_tables import CUSTOMERS
from tests.fixtures import warm
from tests.fixtures.dms_responder import mount_request
from tests.fixtures.portal import Portal, running_portal

#: A portal with its sandbox is started, and each call of the command line is a process.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

HOME, SHOP = "Sandbox", "shop"
EMAIL = "anna.kowalska@example.com"
ENDED = {"succeeded", "failed", "unknown", "refused"}
ATHENA = "urn:li:dataset:(urn:li:dataPlatform:athena,AwsDataCatalog.financial_data.{},PROD)"
DECIDED = "An agent may not: people decide about access, and about the rules for it."
AT_HAND = "Three questions are enough for an agent: users, tokenization, ingestion."
WHY = "DPO-81"
BY_PEOPLE = "Accounts and tokens are made by people: a token that makes tokens outlives its limits."


@dataclass(frozen=True)
class Asking:
    """How an action is asked for at each door; a sentence: why that door does not offer it.

    rest: method, path, body. cli: arguments; stdin: what it reads. mcp: tool and its arguments.
    says_why: the reason is among them, part of what is done; else each door adds one of its own.
    """

    rest: tuple[str, str, dict[str, Any] | None] | str
    cli: tuple[str, ...]
    mcp: tuple[str, dict[str, Any]] | str
    stdin: str = ""
    says_why: bool = False


@dataclass
class Place:
    """A portal in which every action asks for an approval. known: what was made before."""

    portal: Portal
    api: httpx.Client
    viewer: dict[str, str]
    approver: dict[str, str]
    folder: Path
    known: dict[str, Any] = field(default_factory=dict)

    def file(self, name: str, document: Any) -> str:
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(document))
        return str(path)

    def newest(self) -> int:
        """The audit log's last number."""
        return int(self.get("/audit?limit=1")["items"][0]["number"])

    def since(self, number: int) -> list[dict[str, Any]]:
        """What the audit log says after this number, but for what runs by itself."""
        found = self.get("/audit?limit=100")["items"]
        return [
            each for each in found if each["number"] > number and each["actor_kind"] != "system"
        ]

    def get(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api.get(path).raise_for_status().json()
        return found

    def until(self, path: str, ends: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + 240
        while not ends(found := self.get(path)):
            assert time.monotonic() < deadline, found
            time.sleep(0.5)
        return found

    def mcp(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        async def call() -> Any:
            headers = dict(self.api.headers)
            async with (
                create_mcp_http_client(headers={"Authorization": headers["authorization"]}) as http,
                Client(
                    streamable_http_client(f"{self.portal.url}/mcp", http_client=http)
                ) as client,
            ):
                return await client.call_tool(tool, arguments)

        found: dict[str, Any] = json.loads(asyncio.run(call()).content[0].text)
        return found


def _token(portal: Portal, name: str, role: str, login: str = "asker") -> dict[str, str]:
    """login: who makes it; what one login's token asks for, another one's has to approve."""
    environ = {**portal.environ, "LOGNAME": login}
    made = warm.run(["backend", "tokens", "add", name, "--role", role], environ, "")
    assert made.returncode == 0, made.stderr
    raw = made.stdout.split()[-1]
    return {"Authorization": f"Bearer {raw}"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("doors")
    with running_portal(folder, PORTAL_SANDBOX="on") as portal:
        portal.wait_for_sandbox()
        viewer = _token(portal, "looks-on", "viewer")
        approver = _token(portal, "approves", "admin", login="approver")
        headers = _token(portal, "asks", "admin")
        with httpx.Client(base_url=f"{portal.url}/api", headers=headers, timeout=240) as api:
            found = Place(portal, api, viewer, approver, folder)
            _prepare(found)
            for action in composition._actions():
                for environment in (HOME, SHOP):
                    path = f"/environments/{environment}/policies/{action}"
                    # Last, because it decides about the others.
                    if action != "changes.policy":
                        api.put(path, json={"mode": "approve"}).raise_for_status()
            yield found


def _prepare(place: Place) -> None:
    """What the questions are about: a plan, an applied run, a failed execution, an environment."""
    place.portal.cli("environments", "add", SHOP)
    place.portal.cli("environments", "default", HOME)
    place.portal.cli("accounts", "add", "fay", "--role", "viewer", stdin="seven red bicycles\n")
    post = place.api.post
    first = post("/user-sync/plans", json={"environment": HOME}).raise_for_status().json()
    applied = post(f"/user-sync/plans/{first['plan_id']}/apply", json={"emails": [EMAIL]})
    place.known["run"] = applied.raise_for_status().json()["run_id"]
    place.until(f"/user-sync/runs/{place.known['run']}", lambda run: run["status"] == "succeeded")
    second = post("/user-sync/plans", json={"environment": HOME}).raise_for_status().json()
    place.known["plan"] = second["plan_id"]
    inverse = post(f"/user-sync/runs/{place.known['run']}/revert").raise_for_status().json()
    place.known["inverse"] = inverse["plan_id"]
    started = post("/ingestion/run", json={"datasetUrn": CUSTOMERS.urn}).raise_for_status().json()
    place.known["execution"] = started["runId"]
    post(f"/ingestion/runs/{started['runId']}/stop").raise_for_status()
    place.until(f"/ingestion/runs/{started['runId']}", lambda run: run["status"] == "failed")
    place.known["source"] = place.get("/ingestion/sources")["items"][0]["urn"]


def _mount(place: Place, kind: str, job: int) -> Asking:
    request = mount_request(jobid=job, target="s3-prod-eu", host="compute-01")
    request["action"] = kind
    return Asking(
        ("POST", f"/mounts/{kind}", request),
        ("mounts", kind, place.file(kind, request)),
        AT_HAND,
    )


def _host(place: Place, verb: str, host: str) -> Asking:
    digest = place.get(f"/mounts/hosts/{host}/{verb}")["digest"]
    command = {"verify": "verify-host", "release": "release"}[verb]
    body = {"digest": digest}
    cli: tuple[str, ...] = ("mounts", command, host, "--yes")
    stdin = ""
    if verb == "verify":
        body["keystone_token"] = stdin = "gAAAAABtoken-of-the-test"
        cli += ("--keystone-token-file", "-")
    return Asking(("POST", f"/mounts/hosts/{host}/{verb}", body), cli, AT_HAND, stdin)


def _connection(settings: dict[str, str], secrets: dict[str, str]) -> Asking:
    words = tuple(f"{name}={value}" for name, value in settings.items())
    for name in secrets:
        words += ("--secret", name)
    return Asking(
        (
            "PUT",
            f"/environments/{SHOP}/connections/datahub",
            {"settings": settings, "secrets": secrets},
        ),
        ("connections", "set", SHOP, "datahub", *words),
        DECIDED,
        stdin="".join(f"{value}\n" for value in secrets.values()),
    )


def _asking(place: Place, action: str) -> Asking:
    """Made when it is used: plans of hosts have a digest of what is there then."""
    known = place.known
    phones = {"dataset": CUSTOMERS.urn, "columns": ["phone"]}
    earnings = ATHENA.format("us_stocks_sip_v2")
    made: dict[str, Callable[[], Asking]] = {
        "user_sync.apply": lambda: Asking(
            ("POST", f"/user-sync/plans/{known['plan']}/apply", {"wait": 0}),
            ("users", "apply", str(known["plan"]), "--yes"),
            ("ask_to_apply_user_plan", {"plan_id": known["plan"]}),
        ),
        "user_sync.revert": lambda: Asking(
            ("POST", f"/user-sync/plans/{known['inverse']}/apply", {"wait": 0}),
            ("users", "apply", str(known["inverse"]), "--yes"),
            ("ask_to_apply_user_plan", {"plan_id": known["inverse"]}),
        ),
        "tokenization.run": lambda: Asking(
            ("POST", "/tokenization/runs", {"dataset": CUSTOMERS.urn, "columns": ["email"]}),
            ("tokenize", "run", CUSTOMERS.urn, "--columns", "email"),
            ("ask_to_tokenize", {"dataset": CUSTOMERS.urn, "columns": ["email"]}),
        ),
        "tokenization.rewrite": lambda: Asking(
            ("POST", "/tokenization/runs", {**phones, "method": "rewrite"}),
            ("tokenize", "run", CUSTOMERS.urn, "--columns", "phone", "--method", "rewrite"),
            ("ask_to_tokenize", {**phones, "method": "rewrite"}),
        ),
        "ingestion.run": lambda: Asking(
            ("POST", "/ingestion/run", {"datasetUrn": earnings, "reason": WHY}),
            ("ingest", "run", "--dataset-urn", earnings, "--reason", WHY),
            ("ask_to_ingest", {"dataset_urn": earnings, "reason": WHY}),
            says_why=True,
        ),
        "ingestion.redrive": lambda: Asking(
            ("POST", f"/ingestion/runs/{known['execution']}/redrive", None),
            ("ingest", "redrive", known["execution"]),
            AT_HAND,
        ),
        "ingestion.recipe": lambda: Asking(
            ("POST", "/ingestion/recipes/sample_file.yml/run", {}),
            ("ingest", "recipes", "run", "sample_file.yml"),
            AT_HAND,
        ),
        "ingestion.source": lambda: Asking(
            ("POST", "/ingestion/sources/run", {"sourceUrn": known["source"]}),
            ("ingest", "sources", "run", known["source"]),
            AT_HAND,
        ),
        "mounts.mount": lambda: _mount(place, "mount", 20100),
        "mounts.unmount": lambda: _mount(place, "unmount", 20100),
        "mounts.verify": lambda: Asking(
            (
                "POST",
                "/mounts/20006/s3-prod-us/verify",
                request := mount_request(jobid=20006, target="s3-prod-us", host="compute-01"),
            ),
            ("mounts", "verify", "20006", "s3-prod-us", "--request", place.file("ask", request)),
            AT_HAND,
        ),
        "mounts.verify_host": lambda: _host(place, "verify", "compute-02"),
        "mounts.release": lambda: _host(place, "release", "compute-10"),
        "mounts.delete": lambda: Asking(
            ("DELETE", "/mounts/11319/s3-prod-us", None),
            ("mounts", "delete", "11319", "s3-prod-us"),
            AT_HAND,
        ),
        "mounts.target": lambda: Asking(
            (
                "PUT",
                "/mounts/templates/nfs-new",
                {"type": "nfs", "mount_path": "/mnt/new", "filesystem_export": "nas:/new"},
            ),
            (
                *("mounts", "targets", "set", "nfs-new", "--type", "nfs"),
                *("--mount-path", "/mnt/new", "--export", "nas:/new"),
            ),
            AT_HAND,
        ),
        "connections.change": lambda: _connection({"server": "http://localhost:9"}, {}),
        "connections.secret": lambda: _connection(
            {"server": "http://localhost:9"}, {"token": "not-for-everybody"}
        ),
        "accounts.role": lambda: Asking(BY_PEOPLE, ("accounts", "role", "fay", "steward"), DECIDED),
        "accounts.token": lambda: Asking(
            BY_PEOPLE,
            ("tokens", "add", "etl", "--role", "viewer"),
            DECIDED,
        ),
        "changes.policy": lambda: Asking(
            ("PUT", f"/environments/{SHOP}/policies/mounts.mount", {"mode": "direct"}),
            ("changes", "policy", "set", SHOP, "mounts.mount", "direct"),
            DECIDED,
        ),
    }
    return made[action]()


@pytest.mark.parametrize("action", sorted(composition._actions()))
def test_every_door_asks_for_the_same_change(place: Place, action: str) -> None:
    asking = _asking(place, action)
    before = place.newest()
    answers = dict(_asked(place, asking))
    assert {each["status"] for each in answers.values()} == {"waiting"}, answers
    numbers = {door: each["change_id"] for door, each in answers.items()}
    assert len(set(numbers.values())) == 1, numbers
    assert {event["action"] for event in place.since(before)} == {"changes:request:ask"}
    number = numbers["cli"]
    view = place.get(f"/changes/{number}")
    assert (view["action"], view["status"]) == (action, "waiting")
    first, *others = [WHY] if asking.says_why else [f"{WHY} by {door}" for door in answers]
    assert view["reason"] == first
    assert [each["text"] for each in view["steps"]] == [first, *others]
    now = place.get(f"/changes/{number}/now")
    assert (now["same"], now["error"]) == (True, ""), now

    approved = place.api.post(f"/changes/{number}/approve", headers=place.approver, json={})
    approved.raise_for_status()
    ended = place.until(f"/changes/{number}", lambda each: each["status"] in ENDED)
    assert ended["status"] == "succeeded", ended
    assert [each for each in place.since(before) if not each["action"].startswith("changes:req")]
    again = place.api.post(f"/changes/{number}/approve", headers=place.approver, json={})
    assert (again.status_code, again.json()["error"]) == (409, "Conflict"), again.text


def _asked(place: Place, asking: Asking) -> Iterator[tuple[str, dict[str, Any]]]:
    """(door, its answer) of each that offers it; who only looks on is refused."""
    if not isinstance(asking.rest, str):
        method, path, body = asking.rest
        why = {} if asking.says_why else {"reason": f"{WHY} by rest"}
        refused = place.api.request(method, path, json=body, headers=place.viewer, params=why)
        assert (refused.status_code, refused.json()["error"]) == (403, "NotPermitted")
        answer = place.api.request(method, path, json=body, params=why)
        assert answer.status_code == 202, answer.text
        assert answer.headers["Location"] == f"/api/changes/{answer.json()['change_id']}"
        assert answer.json()["runId"]
        yield "rest", answer.json()
    words = () if asking.says_why else ("--reason", f"{WHY} by cli")
    said = place.portal.cli(*asking.cli, *words, *_json(asking), stdin=asking.stdin)
    yield "cli", json.loads(said.stdout) if _json(asking) else _printed(said.stdout)
    if not isinstance(asking.mcp, str):
        tool, arguments = asking.mcp
        why = {} if asking.says_why else {"reason": f"{WHY} by mcp"}
        yield "mcp", place.mcp(tool, {**arguments, **why})


def _json(asking: Asking) -> tuple[str, ...]:
    """A new token is printed alone: that command has no JSON."""
    return () if asking.cli[0] == "tokens" else ("--json",)


def _printed(out: str) -> dict[str, Any]:
    number = re.search(r"Nothing was done yet: .* Change (\d+) waits at", out)
    assert number, out
    return {"status": "waiting", "change_id": int(number[1])}


def test_what_a_door_does_not_offer_is_not_there(place: Place) -> None:
    document = place.get("/openapi.json")
    waits = {
        path
        for path, operations in document["paths"].items()
        for operation in operations.values()
        if "Waits" in json.dumps(operation["responses"].get("202", ""))
    }
    assert not [path for path in waits if path.startswith(("/api/accounts", "/api/tokens"))]

    async def tools() -> set[str]:
        headers = {"Authorization": place.api.headers["authorization"]}
        async with (
            create_mcp_http_client(headers=headers) as http,
            Client(streamable_http_client(f"{place.portal.url}/mcp", http_client=http)) as client,
        ):
            return {tool.name for tool in (await client.list_tools()).tools}

    asks = {name for name in asyncio.run(tools()) if name.startswith("ask_")}
    assert asks == {"ask_to_apply_user_plan", "ask_to_tokenize", "ask_to_ingest"}
