"""What can go wrong with environments and connections, said by what happened."""

import shlex
from collections.abc import Iterable
from datetime import datetime

from backend.core.errors import Conflict, FieldInvalid, NotFound, UnknownChoice


def set_command(environment: str, kind: str) -> str:
    """The command that sets a connection, fit to be copied into a shell."""
    return f"connections set {shlex.quote(environment)} {kind}"


class EnvironmentNotFound(NotFound):
    def __init__(self, name: str, known: Iterable[str]) -> None:
        names = ", ".join(known)
        advice = f"Known environments: {names}." if names else "Add one on the Connections page."
        super().__init__(f"There is no environment named '{name}'. {advice}")
        self.name = name


class EnvironmentDeleted(NotFound):
    def __init__(self) -> None:
        super().__init__("The environment was deleted meanwhile. Choose another one.")


class NoDefaultEnvironment(NotFound):
    def __init__(self) -> None:
        super().__init__(
            "No default environment found. Mark one as default on the Connections page, "
            "or name the environment."
        )


class ConnectionNotConfigured(NotFound):
    def __init__(self, environment: str, label: str, kind: str) -> None:
        super().__init__(
            f"Environment '{environment}' has no {label} connection ({kind}). An admin can set it "
            f"on the Connections page or with: {set_command(environment, kind)}"
        )
        self.kind = kind


class SecretsAskedAgain(FieldInvalid):
    """A stored secret never follows its connection to another address by itself."""

    def __init__(self, label: str, changed: Iterable[str], secrets: Iterable[str]) -> None:
        asked = sorted(secrets)
        names = " and ".join(asked)
        message = (
            f"{label}: with another {' and '.join(changed)} the stored {names} would be sent to "
            f"somebody else. Enter {names} again (on the command line: --secret), or forget it "
            "first. Nothing was saved or sent."
        )
        again = "Enter it again: it would be sent to another address."
        super().__init__(dict.fromkeys(asked, again), message)
        self.secrets = tuple(asked)


class UnknownKind(UnknownChoice):
    def __init__(self, kind: str, known: Iterable[str]) -> None:
        super().__init__(f"'{kind[:80]}' is no kind of connection; choose {', '.join(known)}.")


class NameTaken(Conflict):
    def __init__(self, name: str) -> None:
        super().__init__(
            f"An environment named '{name}' exists already (upper and lower case do not differ)."
        )


class ChangedMeanwhile(Conflict):
    """Somebody else saved first; the second one is told who and when."""

    def __init__(self, what: str, by: str, at: datetime) -> None:
        super().__init__(
            f"{what} was changed by {by} at {at:%Y-%m-%d %H:%M:%S} UTC while you were editing. "
            "Nothing of yours was saved: reload the page and make your change again."
        )


class NoClientInfo(NotFound):
    def __init__(self, environment: str) -> None:
        super().__init__(
            f"Environment '{environment}' has no client info. It is fetched after the first "
            "successful test of its DataHub connection."
        )
