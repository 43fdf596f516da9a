"""What a part of the sandbox is, and the list of them."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

#: Modules of this room with `start(folder) -> Part`, in the order in which they are started.
PARTS = ("postgres", "datahub", "openmetadata", "directory", "aws", "ledger", "dms_agent")


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
    module = importlib.import_module(f"backend.sandbox.{name}")
    part: Part = module.start(home)
    return part
