"""A run's users are counted by how each ended, and the calls to OpenMetadata with them."""

from backend.core.metrics import SHARED


def counted(name: str, **labels: str) -> float:
    return SHARED.get_sample_value(name, labels) or 0


def test_users_and_calls_are_counted(world):
    plan = world.plan()
    rows = counted("portal_sync_rows_total", outcome="applied")
    calls = counted("portal_outside_calls_total", system="openmetadata", outcome="succeeded")
    asked = counted("portal_outside_calls_total", system="directory", outcome="succeeded")
    run = world.apply(plan)
    assert counted("portal_sync_rows_total", outcome="applied") == rows + run.counts["applied"]
    after = counted("portal_outside_calls_total", system="openmetadata", outcome="succeeded")
    assert after >= calls + run.counts["applied"]
    world.plan()
    now = counted("portal_outside_calls_total", system="directory", outcome="succeeded")
    assert now > asked
    for state in ("pending", "sending"):
        assert counted("portal_sync_rows_total", outcome=state) == 0
