"""Which words of a test's result an actor may see: names of AWS are for those who read the mapping.

An AWS test names the account, the region and every mapped function; DESIGN 6.5 keeps these from
roles without `ingestion:mapping:read`.
"""

from dataclasses import replace

from backend.connections.schemas import TestResult
from backend.core.access import Actor, Permission

CAUSE = "AWS or something that is mapped there cannot be used"
ADVICE = "Operators and admins see what it is."


def may_name(actor: Actor, kind: str) -> bool:
    return kind != "aws" or actor.may(Permission.INGESTION_MAPPING_READ)


def shown_to(actor: Actor, result: TestResult) -> TestResult:
    """The result as this actor may see it."""
    if may_name(actor, result.kind):
        return result
    return replace(
        result,
        server_version="",
        cause="" if result.ok else CAUSE,
        advice="" if result.ok else ADVICE,
        warnings=(),
        tls=None,
        ends={},
    )
