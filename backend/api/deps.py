"""What every endpoint is given: the caller, sessions, and how errors look on the wire."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from backend.api.callers import caller_of
from backend.core.access import Actor
from backend.core.database import Database, ReadSession, WriteSession, get_database

_bearer = HTTPBearer(auto_error=False, description="An API token made on the Accounts page.")


def _caller(
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


def _database() -> Database:
    return get_database()


#: The actor behind the bearer token; 401 without a good one.
Caller = Annotated[Actor, Depends(_caller)]
#: A session that never commits.
Reader = Annotated[ReadSession, Depends(_read)]
#: Committed before the answer is sent; never hold it across a call to an outside system.
Writer = Annotated[WriteSession, Depends(_write, scope="function")]
#: For endpoints that need several short units of work.
State = Annotated[Database, Depends(_database)]
