"""`metadata ingest` several times for one import: each case is a fork with its own environment.

Run as `python forked_ingest.py CASES.json`; CASES is {name: {"recipe", "out", "env"}}. What a case
prints goes to its file `out`; {name: exit status} is printed at the end.
"""

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

from metadata.cmd import metadata


def main() -> None:
    cases = json.loads(Path(sys.argv[1]).read_text())
    sys.stdout.flush()
    running: dict[int, str] = {}
    for name, case in cases.items():
        child = os.fork()
        if child == 0:
            _be(case)
        running[child] = name
    ended = {}
    while running:
        child, status = os.wait()
        ended[running.pop(child)] = os.waitstatus_to_exitcode(status)
    sys.stdout.write(json.dumps(ended) + "\n")


def _be(case: dict[str, Any]) -> NoReturn:
    """What `python -m metadata ingest -c RECIPE` does from here on."""
    out = os.open(case["out"], os.O_WRONLY | os.O_CREAT, 0o600)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.environ.update(case["env"])
    sys.argv = ["metadata", "ingest", "-c", case["recipe"]]
    status = 0
    try:
        metadata()
    except SystemExit as exc:
        status = exc.code if isinstance(exc.code, int) else int(exc.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
