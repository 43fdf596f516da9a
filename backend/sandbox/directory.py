"""A GraphQL directory to compare OpenMetadata with."""

from contextlib import ExitStack
from pathlib import Path

from backend.sandbox.parts import Part


def start(folder: Path) -> Part:
    """The demo directory on a free port, seeded once."""
    from backend.integrations.directory.standin import StandIn, seeding

    running = ExitStack()
    server = running.enter_context(
        StandIn(port=0, state_file=folder / "state.json", seed=seeding.seed_demo)
    )
    return Part(kind="directory", settings={"endpoint": server.url}, stop=running.close)
