"""What may be refused or fail."""

from pathlib import Path

from backend.core.errors import Conflict, InvalidInput, PortalError
from backend.core.words import COMMAND


class NotSqlite(InvalidInput):
    """The state database is a server's, which has a tool of its own."""

    def __init__(self, kind: str) -> None:
        tool = "pg_dump and pg_restore" if kind == "postgresql" else "mariadb-dump and mariadb"
        super().__init__(
            f"PORTAL_DATABASE_URL names a server: back it up and put it back with {tool}, as the "
            "README says under 'Back up and restore', and after putting it back run: "
            f"{COMMAND} restore --done"
        )


class FileExists(Conflict):
    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} exists already. Nothing was written; choose another name.")


class StateExists(Conflict):
    def __init__(self, path: Path) -> None:
        super().__init__(
            f"There is a state database already: {path}. Nothing was changed. Add --replace to put "
            "the backup in its place; what is there now is kept beside it."
        )


class PortalRuns(Conflict):
    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} Nothing was changed. Stop the portal and its workers, then try again."
        )


class RestoreRuns(Conflict):
    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"Another restore puts a backup into {folder} right now. Nothing was changed; wait "
            "until it has ended."
        )


class NotABackup(InvalidInput):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path} is not a whole backup of the portal ({reason}). Nothing was changed."
        )


class NewerBackup(InvalidInput):
    def __init__(self, path: Path, revision: str) -> None:
        super().__init__(
            f"{path} was made by a newer version of the portal: this version does not know its "
            f"schema {revision}. Nothing was changed. Restore it with that version or a newer one."
        )


class WrongKey(InvalidInput):
    def __init__(self, key_id: str) -> None:
        super().__init__(
            f"The backup's secrets are under key {key_id}, which is not among the given keys. "
            "Nothing was changed. Name the file with that key after --keys, or put the key into "
            "PORTAL_SECRET_KEYS."
        )


class BackupFailed(PortalError):
    """The backup could not be made, or not be put back."""

    status = 500
