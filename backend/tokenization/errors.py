"""How a tokenization is refused."""

from backend.core.errors import Conflict, InvalidInput, NotFound


class RunNotFound(NotFound):
    def __init__(self, run_id: int) -> None:
        super().__init__(f"There is no tokenization run {run_id}.")
        self.run_id = run_id


class TableBusy(Conflict):
    """One run per table at a time."""

    def __init__(self, table: str, run_id: int | None) -> None:
        which = f"run {run_id}" if run_id else "another run"
        super().__init__(
            f"A tokenization of {table} is already under way ({which}); wait for it to end."
        )
        self.run_id = run_id


class NothingChosen(InvalidInput):
    """No column was named and no tag speaks for one; guesses alone change nothing."""

    def __init__(self, dataset: str, note: str) -> None:
        super().__init__(
            f"No column of {dataset} was named, and no field of it carries a tag for personal "
            f"data. {note} Name the columns, or tag the fields in DataHub."
        )


class NotConfirmed(InvalidInput):
    """A large or production table needs its name typed."""

    def __init__(self, table: str) -> None:
        super().__init__(f"Type the table's name, {table}, to confirm this run.")


class AnotherTable(Conflict):
    """What a person saw and what bears the name now are not the same."""

    def __init__(self, table: str) -> None:
        super().__init__(
            f"Nothing was started: {table} is not what was previewed; it was made anew or altered, "
            "or a column's name was given to another one. Preview it again."
        )


class ChangedSinceAsked(Conflict):
    """A queued run does what was asked for, or nothing."""

    def __init__(self, what: str, environment: str) -> None:
        super().__init__(
            f"Nothing was changed: {what} of the environment {environment} was changed after this "
            "run was asked for. Preview the dataset again and start a new run."
        )
