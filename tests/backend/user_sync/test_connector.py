"""The official `metadata ingest` runs the connector against the stand-ins: exit status and counts.

A run that changes everybody and one that fails for some are `python -m metadata ingest` itself. Its
import costs 8 s, so all other cases are forks of one process that has imported it (forked_ingest).
"""

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from backend.sandbox import directory as directory_standin
from backend.sandbox.directory import seeding as people
from backend.sandbox.openmetadata import StandIn, seeding

pytestmark = pytest.mark.slow

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
    return file, {
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT),
        "PORTAL_GRAPHQL_URL": case.directory.url,
        "OM_JWT_TOKEN": case.token,
    }


def run(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=170,
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
        "put": servers(recipe=RECIPE.replace('update_mode: "patch"', 'update_mode: "put"')),
        "short": servers(recipe=RECIPE.replace('min_users: "1"', 'min_users: "1000"')),
        "old": servers(recipe=OLD),
    }
    found["directory_down"].directory.close()
    found["server_down"].om.close()
    anna = found["put"].om.store.user_named("aaron_johnson0")
    anna.update(isAdmin=True, timezone="Europe/Warsaw", description="keeps the books")
    anna["roles"] = []
    folder = tmp_path_factory.mktemp("ingest")
    alone = ("changed", "failed")
    rest = {name: case for name, case in found.items() if name not in alone}
    with ThreadPoolExecutor() as pool:
        work = [pool.submit(ingest, found[name], folder / name) for name in alone]
        work.append(pool.submit(ingest_all, rest, folder))
        for future in work:
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


def test_the_older_connectors_record_loses_nothing_of_the_user(cases):
    case = cases["put"]
    assert case.status == 0, case.said[-3000:]
    user = case.om.store.user_named("aaron_johnson0")
    assert user["displayName"] == "Aaron Johnson"
    assert [d["name"] for d in user["domains"]] == ["Marketing"]
    assert (user["isAdmin"], user["timezone"]) == (True, "Europe/Warsaw")
    assert user["description"] == "keeps the books"
    assert [t["name"] for t in user["teams"]] == ["Organization"]
    assert "image" in user["profile"]["images"]


def test_the_older_connectors_record_keeps_what_was_edited_after_the_comparison(world):
    from backend.user_sync.connector import Options, UserUpdaterSource

    world.directory.users = [
        {"email": "carla.chen@example.com", "displayName": None, "domain": "Research"},
        {"email": "dana.fox@example.com", "displayName": "Dana F.", "domain": None},
    ]
    options = {"graphql_endpoint": world.directory.url, "update_mode": "put"}
    source = UserUpdaterSource(Options.of(options), world.om.url, world.om.token("portal-admin"))
    source.prepare()
    world.om.store.edit_user("carla.chen", by="eve", display_name="Carla Married")
    world.om.store.edit_user("dana.fox", by="eve", domains=("Marketing",))
    records = {each.right.user.name.root: each.right.user for each in source._iter()}
    source.close()
    assert records["carla.chen"].displayName == "Carla Married"
    assert [str(d.root) for d in records["carla.chen"].domains] == ["Research"]
    assert records["dana.fox"].displayName == "Dana F."
    assert [str(d.root) for d in records["dana.fox"].domains] == ["Marketing"]


def test_the_old_configuration_is_refused(cases):
    case = cases["old"]
    assert case.status == 1
    assert "Processed records" not in case.said


def test_no_token_is_printed(cases):
    for case in cases.values():
        assert case.token
        assert case.token not in case.said
