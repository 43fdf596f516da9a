"""What a part of the sandbox is, and the list of them."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

#: Name → module with `start(folder) -> Part`, in the order in which they are started.
PARTS = {
    "postgres": "backend.sandbox.postgres",
    "datahub": "backend.sandbox.datahub.part",
    "openmetadata": "backend.sandbox.openmetadata.part",
    "directory": "backend.sandbox.directory.part",
    "aws": "backend.sandbox.aws.part",
    "ledger": "backend.sandbox.ledger",
    "dms_agent": "backend.sandbox.dms_agent",
}


def _nothing() -> None:
    """A part that has nothing to stop."""


@dataclass(frozen=True)
class Part:
    """kind: the connection kind it answers for. settings, secrets: that connection's values."""

    kind: str
    settings: Mapping[str, str]
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    stop: Callable[[], None] = _nothing


def start(name: str, folder: Path) -> Part:
    """Start one part in its own folder."""
    home = folder / name
    home.mkdir(parents=True, exist_ok=True)
    module = importlib.import_module(PARTS[name])
    part: Part = module.start(home)
    return part
