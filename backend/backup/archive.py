"""The backup's file: a zip with a manifest, the database, and files the operator put beside it."""

import contextlib
import json
import lzma
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from backend.backup.errors import NotABackup
from backend.backup.schemas import FORMAT, Manifest
from backend.core import private

MANIFEST = "manifest.json"
DATABASE = "portal.sqlite"
MAX_MANIFEST = 100_000
#: What an operator may have put into the data folder. The keys are not among them, on purpose;
#: the sandbox builds itself anew, and the audit checkpoint follows from the database.
OWN_FILES = ("pii_patterns.yaml",)
#: A zip that asks for a password or an unknown method is a RuntimeError.
_BROKEN = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, KeyError, ValueError, RuntimeError,
)  # fmt: skip


@contextlib.contextmanager
def staged(folder: Path, prefix: str, *, alone: Exception | None = None) -> Iterator[Path]:
    """A folder in `folder` until the block ends; those that killed processes left there, whole
    states, are removed first. alone: raised when another process has one. Raises OSError, too."""
    with (
        tempfile.TemporaryDirectory(prefix=prefix, dir=folder) as name,
        private.held(Path(name), wait=True),
    ):
        for other in set(folder.glob(f"{prefix}*")) - {Path(name)}:
            # One that was only just made is empty: its process locks it next, and then looks here.
            with contextlib.suppress(OSError), private.held(other) as abandoned:
                if abandoned and any(other.iterdir()):
                    shutil.rmtree(other)
                if not abandoned and alone is not None:
                    raise alone
        yield Path(name)


def pack(folder: Path, manifest: Manifest, target: Path) -> None:
    """Write the folder's files into `target`, readable by its owner alone and complete or absent.

    Raises OSError.
    """
    part = folder / "packed"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as handle:
        with zipfile.ZipFile(handle, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as zipped:
            zipped.writestr(MANIFEST, json.dumps(asdict(manifest), indent=2))
            for name in (DATABASE, *manifest.files):
                zipped.write(folder / name, name)
        handle.flush()
        os.fsync(handle.fileno())
    part.rename(target)


def unpack(source: Path, folder: Path) -> Manifest:
    """Put the backup's files into `folder`; the checksums of all are looked at.

    Raises NotABackup, and OSError when there is no room.
    """
    try:
        with zipfile.ZipFile(source) as zipped:
            manifest = _manifest(zipped)
            _check_room(zipped, (DATABASE, *manifest.files), folder)
            for name in (DATABASE, *manifest.files):
                with zipped.open(name) as member, (folder / name).open("xb") as target:
                    shutil.copyfileobj(member, target)
    except FileNotFoundError as exc:
        raise NotABackup(source, "there is no such file") from exc
    except _BROKEN as exc:
        raise NotABackup(source, str(exc).strip("'") or type(exc).__name__) from exc
    return manifest


def _check_room(zipped: zipfile.ZipFile, names: Sequence[str], folder: Path) -> None:
    """Raise OSError unless the files, which are never longer than the zip says, have room: a
    small one can be made that fills any disk."""
    needed = sum(zipped.getinfo(name).file_size for name in names)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(f"unpacked it has {needed:,} bytes, and {free:,} are free")


def _manifest(zipped: zipfile.ZipFile) -> Manifest:
    with zipped.open(MANIFEST) as member:
        text = member.read(MAX_MANIFEST + 1)
    if len(text) > MAX_MANIFEST:
        raise ValueError(f"its {MANIFEST} is larger than {MAX_MANIFEST // 1_000} kB")
    try:
        found = TypeAdapter(Manifest).validate_json(text)
    except ValidationError as exc:
        wrong = exc.errors()[0]
        where = ".".join(map(str, wrong["loc"]))
        raise ValueError(f"its {MANIFEST} says {where or 'nothing'}: {wrong['msg']}") from exc
    if found.format != FORMAT:
        raise ValueError(f"its format is {found.format}, this version reads {FORMAT}")
    return replace(found, files=tuple(name for name in OWN_FILES if name in found.files))
