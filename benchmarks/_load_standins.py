"""The combined load's DataHub, AWS and DMS servers, in one process that answers what it saw.

The first line of its input is a document with the broker's URL, the hosts and the datasets. It
prints one with the addresses of what it started. Any later line is answered with `Seen`.
"""

import json
import sys

from backend.sandbox.aws import AwsStandIn
from backend.sandbox.datahub import StandIn
from tests.fixtures.dms_responder import RabbitResponder

FUNCTION = "load-lambda"
#: Datasets to ingest, numbered.
TO_INGEST = "urn:li:dataset:(urn:li:dataPlatform:athena,load.t{},PROD)"
TOKEN = "load-datahub-token"


def main() -> None:
    wanted = json.loads(sys.stdin.readline())
    aws = AwsStandIn()
    aws.start()
    aws.add_function(FUNCTION, seconds=2)
    gms = StandIn(port=0, token=TOKEN)
    gms.start()
    for urn in wanted["datasets"]:
        gms.seed_dataset(urn, fields={"id": "bigint", "email": "text", "phone": "text"})
    for number in range(wanted["to_ingest"]):
        gms.seed_dataset(TO_INGEST.format(number))
    agents = [RabbitResponder(wanted["broker"], host) for host in wanted["hosts"]]
    addresses = {
        "datahub": gms.url,
        "aws_settings": aws.settings(),
        "aws_secrets": aws.secrets(),
    }
    print(json.dumps(addresses), flush=True)
    for _ in sys.stdin:
        starts = [start.payload.get("runId", "") for start in aws.starts("Invoke")]
        messages = [
            [request["action"], request["job"]["jobid"], request["backup_target"]["id"]]
            for agent in agents
            for request in agent.requests
        ]
        described = {urn: gms.aspect(urn, "datasetProperties") for urn in wanted["datasets"]}
        print(
            json.dumps({"starts": starts, "messages": messages, "datasets": described}), flush=True
        )


if __name__ == "__main__":
    main()
