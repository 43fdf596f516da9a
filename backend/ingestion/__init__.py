"""Ingestion: from a dataset or job URN to a Lambda function or state machine, honestly reported.

Importing the room tells the connection test of AWS which targets are mapped.
"""

from collections.abc import Sequence

from backend.connections.probes.aws import provide_targets


def _mapped(environment: str) -> Sequence[tuple[str, str]]:
    from backend.core.database import get_database
    from backend.ingestion import mapping

    targets = get_database().ask(mapping.mapped_targets, environment=environment)
    return [(target.kind, target.name) for target in targets]


provide_targets(_mapped)
