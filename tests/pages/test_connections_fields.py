"""Every field of every kind, typed wrong on the page: each problem stands below its field."""

import pytest
from streamlit.testing.v1 import AppTest

from backend.connections import environments, kinds
from backend.connections.fields import Kind
from backend.core.access import SYSTEM
from backend.core.database import Database
from tests.backend.connections.wrong_values import wrong
from tests.fixtures.pages import OpenPage


def below(app: AppTest, key: str) -> str:
    """The first text after a field, in the order in which the page draws."""
    drawn = list(app.main)
    place = next(i for i, each in enumerate(drawn) if getattr(each, "key", None) == key)
    return str(getattr(drawn[place + 1], "value", ""))


@pytest.mark.parametrize("kind", kinds.KINDS.values(), ids=lambda kind: kind.name)
@pytest.mark.parametrize("button", ["save", "test"])
def test_each_wrong_value_is_told_below_its_field(
    open_page: OpenPage, database: Database, kind: Kind, button: str
) -> None:
    with database.write() as session:
        environments.add(session, SYSTEM, name="Prod")
    app = open_page("connections/page.py", kind=kind.name)
    base = f"connections.Prod.{kind.name}.0"
    typed = [field for field in (*kind.settings, *kind.secrets) if not field.choices]
    for field in typed:
        app.text_input(key=f"{base}.{field.name}").input(wrong(field))
    app.button(key=f"{base}.{button}").click().run()
    assert not app.exception
    for field in typed:
        said = below(app, f"{base}.{field.name}")
        assert said.startswith(":red["), (field.name, said)
        assert kind.label in said, (field.name, said)
        # What was typed is still there to be corrected.
        assert app.text_input(key=f"{base}.{field.name}").value == wrong(field)
