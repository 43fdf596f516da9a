"""AWS on loopback: moto's server, plus what moto leaves out, plus faults on demand.

moto accepts a call to a function that does not exist, writes no log lines without Docker and never
finishes an execution; here such a call is refused as AWS refuses it, asynchronous calls write the
lines Lambda writes, and executions end after a while.

    with AwsStandIn() as aws:
        aws.add_function("earnings-lambda", seconds=1.0)
        aws.add_machine("nightly", seconds=2.0)      -> its ARN
        aws.settings(), aws.secrets()                the values of an aws connection
        aws.starts()                                 what was really started
        with aws.faults.inject(operation="Invoke", drop="after"): …
"""

from backend.sandbox.aws.server import AwsStandIn, Start
from backend.sandbox.faults import Faults

__all__ = ["AwsStandIn", "Faults", "Start"]
