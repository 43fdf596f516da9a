"""Each run of a page's script is counted under the page and how it ended."""

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from backend.core.errors import InvalidInput
from backend.core.metrics import REGISTRY
from pages.shell import measured, registry


def counted(page: str, outcome: str) -> float:
    labels = {"page": page, "outcome": outcome}
    return REGISTRY.get_sample_value("portal_page_runs_total", labels) or 0


def test_a_page_that_is_shown(sign_in_as: Callable[[str | None], None]) -> None:
    sign_in_as("admin")
    before = counted("overview", "shown")
    app = AppTest.from_file(str(registry.FOLDER / "portal.py"), default_timeout=60).run()
    assert not app.exception
    assert counted("overview", "shown") == before + 1


@pytest.mark.parametrize(
    ("raised", "outcome"), [(InvalidInput("no"), "refused"), (KeyError("bug"), "failed")]
)
def test_a_page_that_fails(raised: Exception, outcome: str) -> None:
    before = counted("test", outcome)
    with pytest.raises(type(raised)), measured.run("test"):
        raise raised
    assert counted("test", outcome) == before + 1
