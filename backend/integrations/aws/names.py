"""What AWS takes as a name and how much it takes: read from botocore's own service models.

Lambda's patterns are in the model of `Invoke`; Step Functions' names have rules in words only (the
documentation of `StartExecution`'s `name`), their lengths are in the model.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

#: Bytes of an asynchronous and of a synchronous call: in the model's documentation of `Payload`.
ASYNC_PAYLOAD = 1_048_576
SYNC_PAYLOAD = 6 * 1_048_576
#: A function's name alone, without an ARN around it (the documentation of `FunctionName`).
_NAME_ALONE = 64
_MACHINE = re.compile(
    r"arn:aws[\w-]*:states:[a-z0-9-]+:\d+:stateMachine:"
    r"(?P<name>[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]+)(:(?P<qualifier>[\w.-]+))?",
    re.ASCII,
)
_FUNCTION = re.compile(
    r"(?P<place>arn:[^:]*:lambda:[^:]*:\d{12}:function:|\d{12}:function:)?"
    r"(?P<name>[^:]+)(:(?P<qualifier>[^:]+))?",
    re.ASCII,
)


@dataclass(frozen=True)
class _Limits:
    function: re.Pattern[str]
    function_length: int
    machine_arn_length: int
    machine_name_length: int
    input_bytes: int


@lru_cache(maxsize=1)
def _limits() -> _Limits:
    from botocore.session import get_session

    session = get_session()

    def members(service: str, operation: str) -> Any:
        return session.get_service_model(service).operation_model(operation).input_shape.members

    function = members("lambda", "Invoke")["FunctionName"].metadata
    execution = members("stepfunctions", "StartExecution")
    machine = session.get_service_model("stepfunctions").shape_for("Name")
    return _Limits(
        re.compile(function["pattern"], re.ASCII),
        int(function["max"]),
        int(execution["stateMachineArn"].metadata["max"]),
        int(machine.metadata["max"]),
        int(execution["input"].metadata["max"]),
    )


def is_function(text: str) -> bool:
    """A function's name, partial ARN (account:function:name) or ARN, each with a qualifier or not.

    A qualifier may hold dots, which the model's pattern leaves out.
    """
    found = _FUNCTION.fullmatch(text)
    limits = _limits()
    if found is None or len(text) > limits.function_length:
        return False
    qualifier = found["qualifier"] or ""
    if re.fullmatch(r"[\w-]+(\.[\w-]+)+", qualifier, re.ASCII):
        text = text.removesuffix(qualifier) + qualifier.replace(".", "-")
    if not limits.function.fullmatch(text):
        return False
    # "function:f" fits the pattern twice, as the alias f of a function "function", too.
    twice = found["name"] == "function" and qualifier
    return bool(found["place"]) or (not twice and len(found["name"]) <= _NAME_ALONE)


def is_machine(text: str) -> bool:
    """The ARN of a state machine, of a version or of an alias of it."""
    found, limits = _MACHINE.fullmatch(text), _limits()
    return (
        found is not None
        and len(text) <= limits.machine_arn_length
        and len(found["name"]) <= limits.machine_name_length
    )


def payload_limit(kind: str, *, waits: bool = False) -> int:
    """Bytes that a start may carry. kind: lambda or stepfunctions. waits: a synchronous call."""
    if kind == "stepfunctions":
        return _limits().input_bytes
    return SYNC_PAYLOAD if waits else ASYNC_PAYLOAD
