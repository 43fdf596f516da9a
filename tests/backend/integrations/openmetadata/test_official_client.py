"""The official client and the gateway speak to the same stand-in: both are held to one wire."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from backend.sandbox.openmetadata import StandIn, seeding

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    with StandIn(seed=seeding.seed_demo) as server:
        script = Path(__file__).with_name("official_client.py")
        tokens = (server.token("admin", 600), server.token("admin", -5))
        bot = server.token("ingestion-bot", 600)
        done = subprocess.run(
            [sys.executable, str(script), server.url, *tokens, bot],
            capture_output=True,
            text=True,
            timeout=150,
            env={**os.environ, "HOME": str(tmp_path_factory.mktemp("home"))},
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        yield {**json.loads(done.stdout.splitlines()[-1]), "server": server}


def test_lists_users_and_domains_over_all_pages_with_strict_models(said):
    store = said["server"].store
    assert said["health"] is True
    assert said["users"] == sorted(u["name"] for u in store.users.values())
    assert {"Finance.Payments", '"R.D"'} <= set(said["domains"])
    assert "dana.fox" in said["inherited"]


def test_patches_with_if_match_and_is_refused_with_a_stale_version(said):
    assert said["patched"] == said["patched_parses"] == "Anna by client"
    assert said["stale"].startswith("APIError: 412")
    assert said["versions"] == 2


def test_reads_the_same_refusals(said):
    assert said["missing"] is True
    assert said["deleted"] is True
    assert "Expired token!" in said["expired"]
    assert "DisplayName-Deny" in said["bot"]


def test_asks_for_a_bulk_route_that_no_server_has(said):
    """The client swallows the 405; what counts is that the user was not touched by it."""
    assert ("PUT", "/api/v1/users/bulk") in said["server"].requests
    assert said["bulk"] in ("ok", "APIError: 405 HTTP 405 Method Not Allowed")
    assert said["server"].store.user_named("dana.fox")["version"] == 0.2


def test_does_with_put_the_damage_the_contract_describes(said):
    assert said["put"] == [None, ["Organization"]]
