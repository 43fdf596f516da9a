"""Exactly once, and in order, on each database the portal's state may be kept in."""

import pytest

from backend.core.database import Database
from tests.backend.changes.test_lifecycle import TestOnce as _Once
from tests.backend.changes.test_releases import test_the_first_that_fails_stops_the_rest as _stops
from tests.backend.changes.test_releases import three  # noqa: F401 - a fixture


@pytest.fixture
def database(any_database: Database) -> Database:
    """The world of change requests, on each of them."""
    return any_database


class TestOnceOnEach(_Once):
    """Two workers, two approvers, a process killed: the database's own locks decide."""


test_a_release_stops_on_each = _stops
