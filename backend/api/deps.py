"""What every endpoint is given: the caller, sessions, and how errors look on the wire."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, Request
from fastapi._compat import field_annotation_is_sequence
from fastapi.dependencies.utils import get_flat_params
from fastapi.exceptions import RequestValidationError
from fastapi.params import Query
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, BeforeValidator, ConfigDict

from backend.api.callers import caller_of
from backend.core import reasons
from backend.core.access import Actor
from backend.core.database import Database, ReadSession, WriteSession, get_database

#: What clients send that always send JSON.
_NO_BODY = (b"", b"{}", b"null")
_bearer = HTTPBearer(auto_error=False, description="An API token made on the Accounts page.")


# Async where nothing is waited for: FastAPI hands every plain function to a thread, and the way
# there and back costs as much as a small query.
async def _caller(
    request: Request,
    _credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Actor:
    return caller_of(request.scope)  # the bearer scheme is for the OpenAPI document


def _read() -> Iterator[ReadSession]:
    with get_database().read() as session:
        yield session


def _write() -> Iterator[WriteSession]:
    with get_database().write() as session:
        yield session


async def _database() -> Database:
    return get_database()


async def only_known_parameters(
    request: Request, _actor: Annotated[Actor, Depends(_caller)]
) -> None:
    """Refuse a query parameter, or a body, that the address does not take: a filter with a slip in
    its name would be no filter, and a revert with `{"dryRun": true}` no dry run. One that takes one
    value is refused with two, of which the first would be dropped unsaid."""
    route = request.scope["route"]
    fields = [
        field for field in get_flat_params(route.dependant) if isinstance(field.field_info, Query)
    ]
    known = {field.alias for field in fields}
    several = {
        field.alias for field in fields if field_annotation_is_sequence(field.field_info.annotation)
    }
    takes = f"it takes {', '.join(sorted(known))}" if known else "it takes none"
    problems = [
        {"type": "extra_forbidden", "loc": ("query", name), "msg": f"is no parameter here; {takes}"}
        for name in dict.fromkeys(request.query_params)
        if name not in known
    ]
    problems += [
        {"type": "too_many", "loc": ("query", name), "msg": "is given more than once; give one"}
        for name in sorted(known - several)
        if len(request.query_params.getlist(name)) > 1
    ]
    if route.body_field is None and b"".join((await request.body()).split()) not in _NO_BODY:
        problems.append(
            {"type": "extra_forbidden", "loc": ("body",), "msg": "is not taken here; send none"}
        )
    if problems:
        raise RequestValidationError(problems)


async def _because(
    reason: Annotated[
        str,
        Query(max_length=reasons.MAX_TEXT, description="Why; whoever decides about it sees it."),
    ] = "",
) -> None:
    reasons.give(reason)


def _no_number(value: object) -> object:
    if isinstance(value, str) and value.replace(".", "").lstrip("+-").isdigit():
        raise ValueError("write an ISO date or time, for example 2026-08-01T14:30:00Z")
    return value


class RequestBody(BaseModel):
    """What a request brings; a key that it does not know is refused."""

    model_config = ConfigDict(extra="forbid")


#: For moments: pydantic takes a number for seconds since 1970, so that 2026 was half past midnight.
AsText = BeforeValidator(_no_number)
#: For a query's environment; None is the default one.
EnvironmentName = Annotated[str | None, Query(max_length=80)]
#: For filters that may be empty: `?active=&job=` asks for everything.
NotGiven = BeforeValidator(lambda value: None if value == "" else value)
#: For endpoints whose action a policy may put under approval (`errors.WAITS`).
REASON = [Depends(_because)]
#: The actor behind the bearer token; 401 without a good one.
Caller = Annotated[Actor, Depends(_caller)]
#: A session that never commits.
Reader = Annotated[ReadSession, Depends(_read)]
#: Committed before the answer is sent; never hold it across a call to an outside system.
Writer = Annotated[WriteSession, Depends(_write, scope="function")]
#: For endpoints that need several short units of work.
State = Annotated[Database, Depends(_database)]
