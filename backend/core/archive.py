"""Files of rows that leave the state database: gzipped JSON lines, signed with the audit key.

The first line names the table and the rows' numbers, the last holds the signature over all before.
A file is complete and on the disk before its rows are deleted; its name follows from what is in it,
so that a clean-up that was cut off writes the same file again, and none ever replaces another.
"""

import gzip
import hashlib
import hmac
import io
import json
import os
import secrets
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from backend.core import clock
from backend.core.errors import InvalidInput
from backend.core.settings import get_settings

FORMAT = "steward-portal-archive/1"
#: Bytes of a file's text. A file of the portal's own has a hundredth of it; one that was made to
#: fill the memory looks small from outside.
MAX_TEXT = 256 * 1024 * 1024
#: What a file makes of unpacking and parsing that is damaged, none of ours, or nested too deep.
_BROKEN = (OSError, EOFError, zlib.error, ValueError, LookupError, TypeError, RecursionError)


@dataclass(frozen=True)
class Archive:
    """What a file says, its signature checked."""

    table: str
    first: int
    last: int
    rows: tuple[dict[str, Any], ...]


def folder() -> Path:
    """Below the data folder, which backups of the database do not hold: copy it too."""
    return get_settings().data_dir / "archive"


def write(
    key: bytes, table: str, numbers: tuple[int, int], rows: Sequence[Mapping[str, Any]]
) -> Path:
    """Write rows under the first and last of their numbers; returns the file.

    Raises InvalidInput for more than `read` takes: the rows stay where they are.
    """
    first, last = numbers
    header = {"format": FORMAT, "table": table, "first": first, "last": last, "rows": len(rows)}
    body = "".join(f"{_line(each)}\n" for each in (header, *rows)).encode()
    signature = _signature(key, body)
    text = body + f"{_line({'signature': signature})}\n".encode()
    if len(text) > MAX_TEXT:
        raise InvalidInput(f"{table} {first} to {last} are {_too_large()}")
    path = folder() / f"{table}-{first:012}-{last:012}-{signature[:8]}.jsonl.gz"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A name of its own: another process may write the same rows now.
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(gzip.compress(text, mtime=0))
        handle.flush()
        os.fsync(handle.fileno())
    part.replace(path)
    _on_the_disk(path.parent)
    return path


def _on_the_disk(directory: Path) -> None:
    """The file's name too survives a power cut: its rows are deleted next."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(key: bytes, path: Path) -> Archive:
    """Raises InvalidInput when the file cannot be read, or its signature is not this portal's."""
    try:
        with gzip.open(path) as file:
            text = file.read(MAX_TEXT + 1)
        if len(text) > MAX_TEXT:
            raise InvalidInput(
                f"{path} cannot be read as an archive: unpacked it is {_too_large()}"
            )
        lines = io.BytesIO(text).readlines()
        header, last = json.loads(lines[0]), json.loads(lines[-1])
        rows = tuple(json.loads(line) for line in lines[1:-1])
        if header["format"] != FORMAT:
            raise ValueError(header["format"])
        signature = str(last["signature"])
    except (FileNotFoundError, IsADirectoryError) as exc:
        raise InvalidInput(f"{path} cannot be read as an archive: there is no such file.") from exc
    except _BROKEN as exc:
        raise InvalidInput(
            f"{path} cannot be read as an archive ({type(exc).__name__}): it is damaged, cut off "
            "or something else."
        ) from exc
    if not hmac.compare_digest(ascii(signature)[1:-1], _signature(key, b"".join(lines[:-1]))):
        raise InvalidInput(
            f"The signature of {path} is not this portal's: the file was changed, or it belongs to "
            "another portal."
        )
    return Archive(str(header["table"]), int(header["first"]), int(header["last"]), rows)


def _too_large() -> str:
    return f"larger than {MAX_TEXT:,} bytes."


def _line(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_text)


def _text(value: Any) -> str | None:
    return clock.iso(value) if isinstance(value, datetime) else str(value)


def _signature(key: bytes, body: bytes) -> str:
    return hmac.new(key, b"archive:" + body, hashlib.sha256).hexdigest()
