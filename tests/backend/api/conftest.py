"""What tests of the REST interface share."""

from collections.abc import Callable

import pytest

from backend.accounts import api_tokens
from backend.core.access import SYSTEM, Role
from backend.core.database import Database


@pytest.fixture
def bearer(database: Database) -> Callable[[str], dict[str, str]]:
    """bearer("viewer") → the headers of a fresh API token of that role."""

    def make(role: str) -> dict[str, str]:
        with database.write() as session:
            made = api_tokens.add(session, SYSTEM, name=f"t-{role}", role=Role(role))
        return {"Authorization": f"Bearer {made.raw}"}

    return make
