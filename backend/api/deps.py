"""What every endpoint is given: the caller, sessions, and how errors look on the wire."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from backend.core.access import Actor
from backend.core.database import Database, ReadSession, WriteSession, get_database
from backend.core.errors import NotAuthenticated
from backend.core.words import COMMAND

_bearer = HTTPBearer(auto_error=False, description="An API token made on the Accounts page.")


def _caller(
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Actor:
    from backend.accounts import api_tokens

    if credentials is None:
        raise NotAuthenticated(
            "Send the header Authorization with the word Bearer, a space and an API token. An "
            "admin makes one on the Accounts page or with: "
            f"{COMMAND} tokens add NAME --role ROLE."
        )
    with get_database().read() as session:
        return api_tokens.authenticate(session, credentials.credentials)


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
