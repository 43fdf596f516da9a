"""Each test runs at the stand-in, and at the server where there is one."""

from collections.abc import Iterator

import pytest

from tests.openmetadata_server import target as targets
from tests.openmetadata_server.target import URL, Target


@pytest.fixture(scope="session", params=["standin", "server"])
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    """The server under test; its name prefix is this run's own."""
    if request.param == "standin":
        yield from targets.simulated()
    elif not targets.configured():
        pytest.skip(f"{URL} is not set: there is no OpenMetadata server to run the journey at")
    else:
        yield from targets.real()


def needs(target: Target, identity: str) -> None:
    """Skip a test whose identity has no token."""
    if identity not in target.tokens:
        pytest.skip(f"TEST_OPENMETADATA_{identity.upper()}_JWT_FILE is not set")
