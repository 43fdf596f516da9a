"""What a mapping may point at: a Lambda function or a Step Functions state machine."""

import re
from dataclasses import dataclass
from typing import Any, Literal

from backend.core.errors import InvalidInput

TargetKind = Literal["lambda", "stepfunctions"]

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}(:(\$LATEST|[A-Za-z0-9_-]{1,128}))?")
_LAMBDA_ARN = re.compile(
    r"arn:aws[\w-]*:lambda:[a-z0-9-]+:\d{12}:function:[A-Za-z0-9_-]{1,64}"
    r"(:(\$LATEST|[A-Za-z0-9_-]{1,128}))?"
)
_MACHINE_ARN = re.compile(
    r"arn:aws[\w-]*:states:[a-z0-9-]+:\d{12}:stateMachine:[A-Za-z0-9_.-]{1,80}(:[A-Za-z0-9_-]+)?"
)


class BadTarget(InvalidInput):
    def __init__(self, target: str, why: str) -> None:
        self.target = target
        super().__init__(
            f"{target!r} {why}. A target is a Lambda function's name or ARN, or a state machine's "
            "ARN (arn:aws:states:…:stateMachine:…)."
        )


@dataclass(frozen=True)
class Target:
    """kind and name; name is a function's name or ARN, or a state machine's ARN."""

    kind: TargetKind
    name: str

    def document(self) -> dict[str, str]:
        return {"kind": self.kind, "name": self.name}


def parse(text: str) -> Target:
    """The target that a name or ARN means. Raises BadTarget."""
    name = text.strip()
    if _MACHINE_ARN.fullmatch(name):
        return Target("stepfunctions", name)
    if _LAMBDA_ARN.fullmatch(name) or _NAME.fullmatch(name):
        return Target("lambda", name)
    if name.startswith("arn:") and ":execution:" in name:
        raise BadTarget(name, "is the ARN of one execution, not of a state machine")
    raise BadTarget(name, "is neither a Lambda function nor a state machine")


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
