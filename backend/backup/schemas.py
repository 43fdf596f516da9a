"""What a backup says about itself, and what making and restoring one hand out."""

from dataclasses import dataclass
from pathlib import Path

from backend.core.audit import Verification

FORMAT = 1


@dataclass(frozen=True)
class Manifest:
    """made_at: ISO, UTC. revision: of the schema. key_id: names the key, tells nothing about it."""

    format: int
    made_at: str
    revision: str
    key_id: str
    audit_events: int
    files: tuple[str, ...]


@dataclass(frozen=True)
class Made:
    """keys: where the keys went, None when they were not asked for."""

    path: Path
    size_bytes: int
    manifest: Manifest
    keys: Path | None


@dataclass(frozen=True)
class Settled:
    """What was put right after a restore. chain: the audit log, looked at afterwards."""

    sessions_ended: int
    jobs_interrupted: int
    changes_ended: int
    chain: Verification


@dataclass(frozen=True)
class Restored:
    """kept: the folder with what was replaced, None when there was nothing."""

    manifest: Manifest
    kept: Path | None
    settled: Settled
