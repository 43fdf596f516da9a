"""What a mapping may point at: a Lambda function or a Step Functions state machine."""

from dataclasses import dataclass
from typing import Any, Literal

from backend.core.errors import InvalidInput
from backend.ingestion.answers import TargetAnswer
from backend.integrations.aws import names

TargetKind = Literal["lambda", "stepfunctions"]


class BadTarget(InvalidInput):
    def __init__(self, target: str, why: str) -> None:
        self.target, self.why = target, why
        super().__init__(
            f"{target!r} {why}. A target is a Lambda function's name or ARN, or a state machine's "
            "ARN (arn:aws:states:…:stateMachine:…)."
        )


@dataclass(frozen=True)
class Target:
    """kind and name; name is a function's name or ARN, or a state machine's ARN."""

    kind: TargetKind
    name: str

    def document(self) -> TargetAnswer:
        return {"kind": self.kind, "name": self.name}


def parse(text: str) -> Target:
    """The target that a name or ARN means. Raises BadTarget."""
    name = text.strip()
    if names.is_machine(name):
        return Target("stepfunctions", name)
    if names.is_function(name):
        return Target("lambda", name)
    if name.startswith("arn:") and ":execution:" in name:
        raise BadTarget(name, "is the ARN of one execution, not of a state machine")
    raise BadTarget(name, "is neither a Lambda function nor a state machine")


def of_job(text: str) -> Target:
    """The target that a job's property names. Raises BadTarget for anything that is no ARN.

    Other properties hold words, and a word would be taken for a function's name.
    """
    if not text.strip().startswith("arn:"):
        raise BadTarget(text.strip(), "is no ARN")
    return parse(text)


def read(value: Any) -> Target:
    """A target as mapping files write it: a text, or {"kind": …, "name": …}. Raises BadTarget."""
    if isinstance(value, str):
        return parse(value)
    if isinstance(value, dict) and isinstance(value.get("name"), str):
        target = parse(value["name"])
        kind = value.get("kind", target.kind)
        if kind != target.kind:
            raise BadTarget(value["name"], f"is not of the kind {kind!r}")
        return target
    raise BadTarget(str(value)[:80], "is not a name")
