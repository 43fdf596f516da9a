"""One honest probe per kind: `probe(config, *, deadline) -> Finding`.

A probe raises the errors of backend.core.errors; `backend.connections.probing` runs it under a
hard deadline, measures, and turns what happened into a TestResult. `load()`, where a module has
one, imports the vendor's SDK before the clock starts.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What a probe saw. cause and advice are "" when all is there; warnings are sentences.

    refused: the server answered that it does not accept the credentials.
    """

    ok: bool = True
    server_version: str = ""
    cause: str = ""
    advice: str = ""
    warnings: tuple[str, ...] = ()
    refused: bool = False
