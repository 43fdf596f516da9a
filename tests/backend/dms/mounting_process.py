"""One of two processes that mount and unmount the same target at once.

usage: mounting_process.py DB_URL BROKER_URL JOBID TURNS
"""

import json
import sys
from collections import Counter

from backend.dms.client import DMSClient
from tests.fixtures.dms_responder import mount_request


def main() -> None:
    db_url, broker_url, jobid, turns = sys.argv[1:]
    outcomes: Counter[str] = Counter()
    with DMSClient(db_url, broker_url, 60) as client:
        for _ in range(int(turns)):
            for step in (client.mount, client.unmount):
                response = step(mount_request(jobid=int(jobid)))
                outcomes[f"{step.__name__}:{response['outcome']}:{response['status']}"] += 1
    sys.stdout.write(json.dumps(outcomes))


if __name__ == "__main__":
    main()
