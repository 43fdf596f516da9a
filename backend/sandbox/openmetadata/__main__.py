"""`python -m backend.sandbox.openmetadata --users 100000`: a process of its own."""

import argparse
import json
import sys
from functools import partial

from backend.sandbox.openmetadata import StandIn, seeding


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--users", type=int, default=0, help="0: the demo's users")
    parser.add_argument("--latency-ms", type=float, default=0.0)
    parser.add_argument("--version", default="2.0.6")
    chosen = parser.parse_args()
    seed = partial(seeding.seed_many, count=chosen.users) if chosen.users else seeding.seed_demo
    stand_in = StandIn(
        chosen.port, seed=seed, version=chosen.version, latency=chosen.latency_ms / 1000
    )
    sys.stdout.write(
        json.dumps({"url": stand_in.url, "token": stand_in.token("portal-admin")}) + "\n"
    )
    sys.stdout.flush()
    stand_in.server.serve_forever()


if __name__ == "__main__":
    main()
