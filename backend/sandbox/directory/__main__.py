"""`python -m backend.sandbox.directory --users 100000`: a process of its own."""

import argparse
import json
import sys
from functools import partial

from backend.sandbox.directory import StandIn, seeding
from backend.sandbox.directory.styles import STYLES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--users", type=int, default=0, help="0: the demo's people")
    parser.add_argument("--changed-every", type=int, default=10)
    parser.add_argument("--latency-ms", type=float, default=0.0)
    parser.add_argument("--style", choices=sorted(STYLES), default="plain")
    parser.add_argument("--token", default="", help="what requests must carry")
    chosen = parser.parse_args()
    many = partial(seeding.seed_many, chosen.users, chosen.changed_every)
    stand_in = StandIn(
        chosen.port,
        seed=many if chosen.users else seeding.seed_demo,
        latency=chosen.latency_ms / 1000,
        style=chosen.style,
        token=chosen.token,
    )
    sys.stdout.write(json.dumps({"url": stand_in.url}) + "\n")
    sys.stdout.flush()
    stand_in.server.serve_forever()


if __name__ == "__main__":
    main()
