"""AWS for the sandbox: moto's server with four functions and a state machine.

They do nothing but take their time and say so in their logs; one of them fails, so that a failure
can be looked at, too.
"""

import json
from pathlib import Path

from backend.sandbox import ports
from backend.sandbox.parts import Part

REGION = "us-east-1"

_ATHENA = "urn:li:dataset:(urn:li:dataPlatform:athena,AwsDataCatalog.{},PROD)"

#: The mapping that the sandbox environment starts with; names match `catalog`.
RULES = json.dumps(
    {
        "exact": {
            _ATHENA.format("financial_data.us_stocks_sip_v2"): "earnings-lambda",
            _ATHENA.format("financial_data.polygon_prices"): "polygon-lambda",
        },
        "tags": {"layer/source": "source-lambda"},
        "prefixes": {
            "AwsDataCatalog.marketing.": "campaigns-lambda",
            "urn:li:dataset:(urn:li:dataPlatform:postgres,": (
                f"arn:aws:states:{REGION}:123456789012:stateMachine:nightly-refresh"
            ),
        },
    }
)


def start(folder: Path) -> Part:
    """The server on the port it had before or a free one; it remembers nothing else."""
    from backend.sandbox.aws import AwsStandIn

    server = AwsStandIn(ports.kept(folder), region=REGION)
    server.start()
    ports.keep(folder, server.url)
    server.add_function("earnings-lambda", seconds=6)
    server.add_function("polygon-lambda", seconds=3)
    server.add_function("source-lambda", seconds=3)
    server.add_function("campaigns-lambda", seconds=4, outcome="fail")
    server.add_machine("nightly-refresh", seconds=20)
    return Part("aws", server.settings(), server.secrets(), server.stop)
