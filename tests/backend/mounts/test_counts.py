"""Counts are kept for some seconds, and never those that a change has overtaken."""

from backend.mounts import explorer


def test_a_count_that_was_begun_before_a_change_is_not_kept() -> None:
    def overtaken() -> int:
        explorer.forget_counts()  # a mount ends while somebody's page counts
        return 31

    assert explorer._kept("overtaken", 3600.0, overtaken) == 31
    assert explorer._kept("overtaken", 3600.0, lambda: 32) == 32
    assert explorer._kept("overtaken", 3600.0, lambda: 33) == 32
    explorer.forget_counts()
