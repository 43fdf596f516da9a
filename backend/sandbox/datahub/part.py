"""A DataHub stand-in with the datasets that the other parts hold."""

from pathlib import Path

from backend.sandbox import ports
from backend.sandbox.parts import Part

TOKEN = "sandbox-datahub-token"  # noqa: S105  # of a stand-in on loopback


def start(folder: Path) -> Part:
    """The stand-in on the port it had before or a free one, seeded once."""
    from backend.sandbox import catalog
    from backend.sandbox.datahub import StandIn

    state_file = folder / "state.json"
    fresh = not state_file.exists()
    gms = StandIn(port=ports.kept(folder), token=TOKEN, state_file=state_file)
    gms.start()
    ports.keep(folder, gms.url)
    if fresh:
        catalog.seed(gms)
    return Part(
        kind="datahub",
        settings={"server": gms.url, "frontend_url": gms.url, "timeout": "10"},
        secrets={"token": TOKEN},
        stop=gms.stop,
    )
