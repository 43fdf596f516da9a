"""A steward's way with each directory of the sandbox: connect, try, map, plan, apply, revert."""

import pytest

from backend.integrations.directory.errors import TokenRefused
from backend.sandbox.directory import BESIDE_TOKEN, part
from backend.sandbox.directory.styles import STYLES
from backend.user_sync import service
from tests.backend.user_sync import journey

STYLED = ("apollo", "relay", "hasura")


def secrets(style, token=BESIDE_TOKEN):
    header = STYLES[style].header
    if header == "authorization":
        return {"token": token}
    return {"secret_headers": f"{header}: {token}"}


@pytest.fixture(params=STYLED)
def styled(request, tmp_path, world):
    """A directory of the sandbox, as its own part starts it; the name of its style."""
    running = part.start(tmp_path)
    endpoint = running.settings["endpoint"].replace("/graphql", f"/{request.param}/graphql")
    settings = {"endpoint": endpoint, **STYLES[request.param].settings}
    try:
        journey.connect(world, settings, secrets(request.param))
        yield request.param
    finally:
        running.stop()


def test_from_the_first_try_to_the_revert(styled, world):
    plan = journey.walk(world, said="Innovation", meant="Research")
    (renamed,) = world.rows(plan, kinds=("renamed",))
    assert renamed.email == "brian_smith7@example.com"
    assert "brian.smith@example.com" in renamed.reason


def test_a_wrong_secret_is_said_and_nothing_is_planned(styled, world):
    journey.connect(world, {}, secrets(styled, "wrong"))
    with pytest.raises(TokenRefused):
        service.try_it(world.database, world.steward, environment=world.env)
