"""Initials that tell people from machines, and that no name can turn into something else."""

import base64

import pytest

from pages.shared import faces


def drawn(name: str, kind: str = "user") -> str:
    head, _, data = faces.of(name, kind).partition(",")
    assert head == "data:image/svg+xml;base64"
    return base64.b64decode(data).decode()


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("anna.kowalska@example.com", "AK"),
        ("admin", "AD"),
        ("<script>alert(1)", "SC"),
        ("x", "X"),
        ("&&", "?"),
    ],
)
def test_the_letters(name: str, letters: str) -> None:
    assert f">{letters}</text>" in drawn(name)


def test_a_machine_is_angular_and_each_name_keeps_its_colour() -> None:
    assert drawn("etl") != drawn("etl", "api_token")
    assert drawn("etl") == drawn("etl")
