"""The official `metadata ingest` runs the connector against the stand-ins: exit status and counts.

A run that fails for some, whose exit status is not that of a run without a fault, is `python -m
metadata ingest` itself. Its import costs 8 s, so all other cases are forks of one process that has
imported it (forked_ingest).
"""

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from backend.sandbox import directory as directory_standin
from backend.sandbox.directory import seeding as people
from backend.sandbox.openmetadata import StandIn, seeding

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[3]
RECIPE = (ROOT / "data" / "user_updater.yaml").read_text()
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Case:
    """One run: its servers, its recipe, and how it ended."""

    om: StandIn
    directory: directory_standin.StandIn
    recipe: str = RECIPE
    account: str = "portal-admin"
    token: str = ""
    status: int = -1
    said: str = ""
    seen: list[Any] = field(default_factory=list)

    def watch(self) -> None:
        """Keep every request with its headers."""
        answer = self.om.server._answer
        self.om.server._answer = lambda request: (self.seen.append(request), answer(request))[1]

    def count(self, label: str) -> int:
        """A number of the source's summary."""
        return int(re.findall(rf"{label}: (\d+)", self.said)[0])

    def display_name(self, name: str) -> str | None:
        return self.om.store.user_named(name).get("displayName")


def prepare(case: Case, folder: Path) -> tuple[Path, dict[str, str]]:
    """The recipe's file, and what its process finds in its environment."""
    folder.mkdir()
    file = folder / "recipe.yaml"
    file.write_text(case.recipe.replace("http://localhost:8585/api", case.om.url))
    case.token = case.om.token(case.account, 900)
    (folder / "token.txt").write_text(case.token + "\n")
    return file, {
        "OM_JWT_FILE": str(folder / "token.txt"),
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT),
        "PORTAL_GRAPHQL_URL": case.directory.url,
        "OM_JWT_TOKEN": case.token,
    }


def run(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=540,
        check=False, env={**os.environ, **env},
    )  # fmt: skip


def ingest(case: Case, folder: Path) -> None:
    """As a person runs it."""
    file, env = prepare(case, folder)
    done = run("-m", "metadata", "ingest", "-c", str(file), env=env)
    case.status, case.said = done.returncode, COLOURS.sub("", done.stdout + done.stderr)


def ingest_all(cases: dict[str, Case], folder: Path) -> None:
    """The same, for several cases at once and one import."""
    plan = {}
    for name, case in cases.items():
        file, env = prepare(case, folder / name)
        plan[name] = {"recipe": str(file), "out": str(folder / f"{name}.out"), "env": env}
    (folder / "cases.json").write_text(json.dumps(plan))
    script = Path(__file__).with_name("forked_ingest.py")
    done = run(str(script), str(folder / "cases.json"), env={"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr[-3000:]
    for name, status in json.loads(done.stdout.splitlines()[-1]).items():
        cases[name].status = status
        cases[name].said = COLOURS.sub("", (folder / f"{name}.out").read_text())


def in_step() -> list[dict]:
    """A directory that says what OpenMetadata's demo already holds."""
    return [
        {"email": "brian_smith7@example.com", "displayName": "Brian Smith", "domain": "Finance"},
        {"email": "mei.tanaka@example.com", "displayName": None, "domain": "r.d"},
    ]


PROXIED = RECIPE.replace("${OM_JWT_TOKEN}", "${OM_JWT_FILE}").replace(
    "    authProvider:", "    extraHeaders: {x-proxy: let me in}\n    authProvider:"
)

OLD = """
source:
  type: connector.user_updater.UserUpdaterSource
  serviceName: user_updater_service
  serviceConnection:
    config:
      type: Custom
      sourcePythonClass: connector.user_updater.UserUpdaterSource
  sourceConfig:
    config:
      graphql_endpoint: "http://localhost:4000"
workflowConfig:
  loggerLevel: INFO
  openMetadataServerConfig:
    hostPort: http://localhost:8585/api
    authProvider: openmetadata
    securityConfig:
      jwtToken: ${OM_JWT_TOKEN}
"""


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    def servers(seed=people.seed_demo, **more):
        om = StandIn(seed=seeding.seed_demo).start()
        return Case(om, directory_standin.StandIn(seed=seed).start(), **more)

    found = {
        "nothing": servers(in_step),
        "changed": servers(),
        "failed": servers(account="ingestion-bot"),
        "directory_down": servers(),
        "server_down": servers(),
        "put": servers(
            recipe=RECIPE.replace("min_users:", 'update_mode: "put"\n        min_users:')
        ),
        "dry": servers(recipe=RECIPE.replace('dry_run: "false"', 'dry_run: "true"')),
        "masked": servers(account="dana.fox"),
        "proxied": servers(recipe=PROXIED),
        "away": servers(),
        "expired_midway": servers(),
        "old_server": Case(
            StandIn(seed=seeding.seed_demo, version="1.2.0").start(),
            directory_standin.StandIn(seed=people.seed_demo).start(),
        ),
        "short": servers(recipe=RECIPE.replace('min_users: "1"', 'min_users: "1000"')),
        "old": servers(recipe=OLD),
    }
    found["directory_down"].directory.close()
    found["server_down"].om.close()
    found["proxied"].watch()
    busy = b'{"message": "busy"}'
    found["away"].om.faults.add(method="PATCH", after=3, times=1, status=503, body=busy)
    no = b'{"message": "Invalid Token"}'
    found["expired_midway"].om.faults.add(method="PATCH", after=3, status=401, body=no)
    folder = tmp_path_factory.mktemp("ingest")
    rest = {name: case for name, case in found.items() if name != "failed"}
    with ThreadPoolExecutor() as pool:
        alone = pool.submit(ingest, found["failed"], folder / "failed")
        for future in (alone, pool.submit(ingest_all, rest, folder)):
            future.result()
    yield found
    for name, case in found.items():
        if name != "server_down":
            case.om.close()
        if name != "directory_down":
            case.directory.close()


def test_nothing_to_do_ends_with_0_and_writes_nothing(cases):
    case = cases["nothing"]
    assert (case.status, case.count("Processed records"), case.count("Errors")) == (0, 0, 0)
    assert {m for m, _ in case.om.requests} == {"GET"}


def test_some_changed_ends_with_0_and_counts_them(cases):
    case = cases["changed"]
    assert case.status == 0, case.said[-3000:]
    assert (case.count("Processed records"), case.count("Errors")) == (10, 0)
    assert case.count("Warnings") == 6
    assert case.display_name("aaron_johnson0") == "Aaron Johnson"
    assert "PUT" not in {m for m, _ in case.om.requests}
    roles = case.om.store.user_named("aaron_johnson0")["roles"]
    assert [role["name"] for role in roles] == ["DataConsumer"]


def test_some_failed_ends_with_1_and_says_which_and_why(cases):
    case = cases["failed"]
    assert case.status == 1
    assert case.count("Errors") == 6
    assert case.count("Processed records") == 4
    assert "DefaultBotPolicy" in case.said
    assert case.display_name("lena.novak") == "Lena Novak"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("directory_down", "Directory: http"),
        ("server_down", "cannot be reached|Connection refused|connect"),
        ("short", "fewer than min_users"),
    ],
)
def test_what_cannot_begin_ends_with_1_and_changes_nothing(cases, name, said):
    case = cases[name]
    assert case.status == 1
    assert re.search(said, case.said), case.said[-2000:]
    assert case.display_name("aaron_johnson0") == "Aaron Jonson"


def test_put_is_refused_with_the_reason(cases):
    case = cases["put"]
    assert case.status == 1
    assert "takes a user's password" in case.said
    assert {m for m, _ in case.om.requests} <= {"GET"}


def test_a_dry_run_says_what_would_change_and_writes_nothing(cases):
    case = cases["dry"]
    assert (case.status, case.count("Processed records"), case.count("Filtered")) == (0, 0, 10)
    assert {m for m, _ in case.om.requests} == {"GET"}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("masked", "may not see e-mail addresses"),
        ("old_server", r"version is 1\.2\.0, and 1\.9 or newer is needed"),
    ],
)
def test_who_may_not_see_or_is_too_old_is_named(cases, name, said):
    case = cases[name]
    assert case.status == 1
    assert re.search(said, case.said), case.said[-2000:]
    assert {m for m, _ in case.om.requests} == {"GET"}


def test_the_workflows_own_client_says_how_to_connect(cases):
    """A token in a file and extra headers, as people behind proxies have them."""
    case = cases["proxied"]
    assert case.status == 0, case.said[-3000:]
    patched = [request for request in case.seen if request.method == "PATCH"]
    assert len(patched) >= 10
    assert all(request.headers["x-proxy"] == "let me in" for request in patched)


def test_one_503_is_no_failed_user(cases):
    case = cases["away"]
    assert (case.status, case.count("Processed records")) == (0, 10), case.said[-3000:]


def test_a_refused_token_ends_the_run(cases):
    case = cases["expired_midway"]
    assert case.status == 1
    # Three PATCHes got through: the empty one that asks for If-Match, and two users.
    assert "7 users were not tried" in case.said
    assert case.count("Processed records") == 2


def test_more_changes_than_the_limit_change_nothing(many):
    from backend.core.errors import PortalError
    from backend.integrations.openmetadata.gateway import OpenMetadataGateway
    from backend.user_sync.connector import Options, UserUpdaterSource

    world = many(120)
    gateway = OpenMetadataGateway(world.om.url, world.om.token("portal-admin"))
    source = UserUpdaterSource(Options.of({"graphql_endpoint": world.directory.url}), gateway)
    with pytest.raises(PortalError, match=r"120 of 120 users, more than max_changes_percent"):
        source.prepare()
    source.close()


def test_the_old_configuration_is_refused(cases):
    case = cases["old"]
    assert case.status == 1
    assert "Processed records" not in case.said


def test_no_token_is_printed(cases):
    for case in cases.values():
        assert case.token
        assert case.token not in case.said
