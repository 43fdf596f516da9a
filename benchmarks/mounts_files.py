"""How many files a reader of one mount enters, from the client's call to the wire and back.

A file is entered when code of another one calls into it; it is entered again when it was left for
a third one in between. Counted over the second mount of a client, in the caller's thread, with
the in-memory broker in RabbitMQ's place and a ledger in SQLite. Promised: at most 8 files.

    python -m benchmarks.mounts_files
"""

import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Any

import backend.sandbox.dms_broker
from backend.dms.client import DMSClient
from tests.fixtures.dms_responder import mount_request

LIBRARY = str(Path(sys.modules[DMSClient.__module__].__file__ or "").parent)
WIRE = str(Path(backend.sandbox.dms_broker.__file__))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = "memory://files?hosts=compute-01"
        with DMSClient(f"sqlite:///{folder}/ledger.sqlite", url, 30) as client:
            client.mount(mount_request(1, "t-1", "compute-01"))
            client.mount(mount_request(1, "t-2", "compute-01"))
            entered = _entered(client, mount_request(1, "t-3", "compute-01"))
    names = [Path(name).name for name in entered]
    first = list(dict.fromkeys(names))
    print(f"files entered: {len(first)} (promised: at most 8): {' '.join(first)}")
    print(f"entered again after another one: {len(names) - len(first)}")
    print(" → ".join(names))


def _entered(client: DMSClient, request: dict[str, Any]) -> list[str]:
    """Files in the order in which calls reach them, one after the other."""
    found: list[str] = []

    def profile(frame: FrameType, event: str, _argument: object) -> None:
        name = frame.f_code.co_filename
        if event != "call" or not (name.startswith(LIBRARY) or name == WIRE):
            return
        if not found or found[-1] != name:
            found.append(name)

    sys.setprofile(profile)
    try:
        client.mount(request)
    finally:
        sys.setprofile(None)
    return found


if __name__ == "__main__":
    main()
