"""A stand-in for DataHub's metadata service, held to what the real one says on the wire.

The official SDK, the official `datahub` command and the portal's adapter run against it in the
suite. Its limits: one process, no Kafka, no authorization policies beyond a token's grant, a
GraphQL schema reduced to what these clients ask for, and an executor that only pretends to run.
"""

from backend.sandbox.datahub.http import Grant
from backend.sandbox.datahub.standin import StandIn

__all__ = ["Grant", "StandIn"]
