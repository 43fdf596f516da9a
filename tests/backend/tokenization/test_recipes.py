"""The recipes under the official `datahub ingest`: ingest, tag, tokenize, tags flipped.

DataHub's sources need another sqlglot than the OpenMetadata client in this environment, so the
packages that differ or are missing are laid over it for that one process.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import pytest
import yaml

from backend.connections import service as connections
from backend.core.database import Database
from backend.tokenization import inline, sources, tags, watch
from backend.tokenization.engines.databricks import engine
from backend.tokenization.schemas import RunState
from tests.backend.tokenization.test_databricks import Scripted
from tests.backend.tokenization.workspace import workspace
from tests.backend.tokenization.world import ADMIN, STEWARD, Source, customers, make_world
from tests.fixtures.processes import missing

ROOT = Path(__file__).parents[3]
RECIPES = ROOT / "data" / "recipes"
PEOPLE = "urn:li:dataset:(urn:li:dataPlatform:databricks,main.crm.people,PROD)"
# In turn: both of Databricks' packages bring databricks/__init__.py, and only the one of
# databricks-sdk lets databricks.sql be found in another folder. At once, either may win.
OVERLAY = (
    ("GeoAlchemy2<0.19", "sqlglot==30.12.0", "cachetools<6", "databricks-sqlalchemy>=2,<3"),
    ("databricks-sdk>=0.30,<1",),
)


@pytest.fixture(scope="module")
def overlay(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("overlay")
    programs = Path(sys.executable).parent
    home = os.environ.get("TEST_REAL_HOME") or os.environ["HOME"]
    install = [str(programs / "uv"), "pip", "install", "-q", "--no-deps", "--target", str(folder)]
    for packages in OVERLAY:
        done = subprocess.run(
            [*install, *packages],
            env={**os.environ, "HOME": home},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode:
            missing(
                "DataHub's PostgreSQL and Databricks sources",
                f"their packages cannot be had: {done.stderr[-300:]}",
            )
    return folder


def ingest(recipe: Path, overlay: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).parent / "datahub"), "ingest", "-c", str(recipe)],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": str(overlay),
            "DATAHUB_TELEMETRY_ENABLED": "false",
            **variables,
        },
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )


@pytest.mark.slow
def test_ingest_tag_tokenize_tags_flipped(
    database: Database, source: Source, gms: Any, overlay: Path
) -> None:
    customers(source)
    source.run("CREATE TABLE other (a text)")
    world = make_world(database, source, gms)

    done = ingest(
        RECIPES / "postgres.yml",
        overlay,
        POSTGRES_HOST_PORT=f"{source.settings['host']}:{source.settings['port']}",
        POSTGRES_DATABASE=source.database,
        POSTGRES_USERNAME=source.settings["user"],
        POSTGRES_PASSWORD=source.secrets["password"],
        TABLE_PATTERN=rf"^{source.database}\.public\.customers$",
        DATAHUB_GMS_URL=gms.url,
        DATAHUB_GMS_TOKEN=gms.token,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert world.tags() == {"tokenize/run"}
    assert gms.aspect(source.urn("other"), "globalTags") is None

    # The schema is known, but nobody has said which fields are personal: guesses do not run.
    (refused,) = watch.poll(database, STEWARD)
    assert refused.run is None
    assert "No column" in refused.note
    watch.forget(database, dataset=source.urn("customers"))
    gms.store.upsert(
        source.urn("customers"),
        "editableSchemaMetadata",
        {
            "editableSchemaFieldInfo": [
                {"fieldPath": "email", "globalTags": {"tags": [{"tag": "urn:li:tag:pii"}]}}
            ]
        },
    )

    (answer,) = watch.poll(database, STEWARD)
    assert answer.run is not None
    view = inline.complete(database, answer.run)

    assert (view.state, view.rows_updated) == (RunState.SUCCEEDED, 50)
    assert world.tags() == {"tokenize/done", "tokenize/status:SUCCESS"}


class Warehouse(Scripted):
    """The scripted SQL warehouse in the place of the connector's session."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        """Nothing to close."""


@pytest.mark.slow
def test_a_databricks_workspace_likewise(
    database: Database,
    source: Source,
    gms: Any,
    overlay: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with workspace() as url:
        done = ingest(
            RECIPES / "databricks.yml",
            overlay,
            DBX_WORKSPACE_URL=url,
            DBX_TOKEN="workspace-token",
            DBX_CATALOG="main",
            DBX_WAREHOUSE_ID="",
            TABLE_PATTERN=r"^main\.crm\.people$",
            DATAHUB_GMS_URL=gms.url,
            DATAHUB_GMS_TOKEN=gms.token,
        )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert gms.aspect(PEOPLE, "status") == {"removed": False}
    assert tags_of(gms) == {"tokenize/run"}
    assert gms.aspect(PEOPLE.replace("people", "secret"), "status") is None
    gms.store.upsert(
        PEOPLE,
        "editableSchemaMetadata",
        {
            "editableSchemaFieldInfo": [
                {"fieldPath": "email", "globalTags": {"tags": [{"tag": "urn:li:tag:pii"}]}}
            ]
        },
    )
    make_world(database, source, gms)

    (answer,) = watch.poll(database, STEWARD)
    assert answer.run is not None
    assert answer.run.state is RunState.SKIPPED
    assert answer.run.details == sources.NOT_CONFIGURED
    assert tags_of(gms) == {"tokenize/run"}

    with database.write() as session:
        connections.save(
            session,
            ADMIN,
            environment="test",
            kind="databricks",
            settings={"server_hostname": "warehouse", "http_path": "/sql", "catalog": "main"},
            secrets_in={"access_token": "workspace-token"},
        )
    warehouse = Warehouse()
    monkeypatch.setattr(engine, "DatabricksClient", lambda *_config, **_more: warehouse)
    watch.forget(database, dataset=PEOPLE)
    (answer,) = watch.poll(database, STEWARD)
    assert answer.run is not None
    view = inline.complete(database, answer.run)

    assert (view.state, view.rows_scanned, view.rows_updated) == (RunState.SUCCEEDED, 7, 3)
    assert len(warehouse.executed) == 1
    assert tags_of(gms) == {"tokenize/done", "tokenize/status:SUCCESS"}


def tags_of(gms: Any) -> set[str]:
    found = gms.aspect(PEOPLE, "globalTags") or {"tags": []}
    return {each["tag"].removeprefix("urn:li:tag:") for each in found["tags"]}


@pytest.mark.parametrize("name", ["postgres.yml", "databricks.yml"])
def test_a_recipe_holds_no_secret_and_asks_for_the_tag(name: str) -> None:
    recipe = yaml.safe_load((RECIPES / name).read_text())
    config = recipe["source"]["config"]

    for key in ("password", "token"):
        assert str(config.get(key, "${")).startswith("${")
    assert recipe["sink"]["config"]["token"].startswith("${")
    assert recipe["transformers"][0]["config"]["tag_urns"] == [tags.RUN]
