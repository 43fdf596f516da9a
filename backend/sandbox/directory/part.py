"""A GraphQL directory to compare OpenMetadata with."""

from contextlib import ExitStack
from pathlib import Path

from backend.sandbox import ports
from backend.sandbox.parts import Part


def start(folder: Path) -> Part:
    """The demo directory on the port it had before or a free one, seeded once."""
    from backend.sandbox.directory import StandIn, seeding

    running = ExitStack()
    server = running.enter_context(
        StandIn(
            port=ports.kept(folder),
            state_file=folder / "state.json",
            seed=seeding.seed_demo,
            beside=("apollo", "relay", "hasura"),
        )
    )
    ports.keep(folder, server.url)
    return Part(kind="directory", settings={"endpoint": server.url}, stop=running.close)
