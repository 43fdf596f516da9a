"""What can go wrong between a dataset and its run."""

from collections.abc import Sequence

from backend.core.errors import Conflict, InvalidInput, InvalidPayload, NotFound, PortalError
from backend.ingestion.schemas import RunView


class NoMapping(NotFound):
    """No rule answers for this dataset or job."""

    def __init__(self, urn: str, notes: Sequence[str] = ()) -> None:
        self.urn = urn
        said = " ".join(["", *notes]) if notes else ""
        super().__init__(
            f"No mapping rule names a Lambda function or state machine for {urn}.{said} "
            "Add a rule on the Ingestion page, or set DATAHUB_INGESTION_LAMBDA_MAPPING, "
            "…_MAPPING_FILE or …_DEFAULT."
        )


class MappingBroken(PortalError):
    """The mapping in the environment or in the file cannot be read; nothing is guessed."""

    status = 500


class UnknownDataset(InvalidInput):
    """DataHub does not know this dataset or job."""

    def __init__(self, urn: str) -> None:
        self.urn = urn
        super().__init__(f"DataHub does not know {urn}. Check the name; URNs differ by case.")


class RuleNotFound(NotFound):
    def __init__(self, rule_id: int) -> None:
        super().__init__(f"There is no mapping rule {rule_id}; it may have been removed.")


class PayloadTooLarge(InvalidPayload):
    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            f"The payload has {size:,} bytes; AWS takes {limit:,} here. Shorten the reason or the "
            "metadata."
        )


class AlreadyRunning(Conflict):
    """The same dataset has a run that may still be going."""

    def __init__(self, run: RunView) -> None:
        self.run = run
        release = (
            ", or release the dataset on the Ingestion page when you know that it has ended"
            if run.status in ("unknown", "failed")
            else ""
        )
        super().__init__(
            f"This dataset has a run that may still be going: {run.run_id} ({run.status}), asked "
            f"for by {run.actor_name} on {run.created_at:%Y-%m-%d at %H:%M:%S} UTC. Nothing was "
            f"started now. Wait for it{release}."
        )


class MappingChanged(Conflict):
    """The mapping names another target or rule than the asker saw."""

    def __init__(self) -> None:
        super().__init__(
            "The mapping of this dataset has changed since you looked at it. Nothing was started. "
            "Review it again."
        )


class KeyReused(Conflict):
    def __init__(self, run: RunView) -> None:
        self.run = run
        super().__init__(
            f"This idempotency key was used for run {run.run_id}, whose dataset, job, reason or "
            "metadata is not the same. Send a new key for a new request."
        )


class StartFailed(PortalError):
    """The run was recorded and could not be started; `run` says how it stands."""

    def __init__(self, run: RunView, status: int, message: str) -> None:
        self.run = run
        super().__init__(message, status=status)


class RunNotFound(NotFound):
    def __init__(self, run_id: str) -> None:
        super().__init__(f"There is no ingestion run {run_id}.")


class CannotStop(Conflict):
    """Lambda calls and EXPRESS executions cannot be stopped, and ended runs need not be."""


class CannotRedrive(Conflict):
    """Only a STANDARD execution that failed within the last 14 days can be redriven."""

    def __init__(self, run_id: str) -> None:
        super().__init__(
            f"Run {run_id} cannot be redriven: only a STANDARD Step Functions execution that has "
            "failed within the last 14 days can."
        )


class RecipeNotFound(NotFound):
    def __init__(self, name: str) -> None:
        super().__init__(f"There is no recipe {name} under data/recipes.")
