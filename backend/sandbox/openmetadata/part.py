"""An OpenMetadata stand-in with users that differ from the directory in every possible way."""

from contextlib import ExitStack
from pathlib import Path

from backend.sandbox import ports
from backend.sandbox.parts import Part

TOKEN_SECONDS = 90 * 24 * 3600


def start(folder: Path) -> Part:
    """The stand-in on the port it had before or a free one, seeded once, with an admin's token."""
    from backend.sandbox.openmetadata import StandIn, seeding

    running = ExitStack()
    server = running.enter_context(
        StandIn(port=ports.kept(folder), state_file=folder / "state.json", seed=seeding.seed_demo)
    )
    ports.keep(folder, server.url)
    return Part(
        kind="openmetadata",
        settings={"host_port": server.url},
        secrets={"jwt_token": server.token("admin", expires_in=TOKEN_SECONDS)},
        stop=running.close,
    )
