"""Every setting can be found: in the README's table, in .env.example, and with a description."""

import re

import pytest

from backend.core import settings_table
from backend.core.settings import Settings, variable_names
from tests.architecture.source import ROOT, tracked_files

NAMES = sorted({name for field in Settings.model_fields for name in variable_names(field)})


def test_the_readme_table_is_what_the_code_says():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert settings_table.with_table(readme) == readme, "run: make docs"


def test_the_example_file_is_what_the_code_says():
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert settings_table.env_example() == example, "run: make docs"


@pytest.mark.parametrize("name", NAMES)
def test_a_variable_has_a_row(name):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.partition(settings_table.START)[2].partition(settings_table.END)[0]
    assert f"`{name}`" in section


def test_every_setting_says_what_it_does():
    silent = [name for name, info in Settings.model_fields.items() if not info.description]
    assert not silent


def test_no_other_place_reads_the_environment_for_a_setting():
    pattern = re.compile(r"(?:environ(?:\.get)?[\[(]|getenv\()\s*[\"']((?:PORTAL|DMS|DBX)_\w+)")
    wrong = [
        f"{path.relative_to(ROOT)}: {found}"
        for path in tracked_files()
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in ("backend", "pages", "auth")
        for found in pattern.findall(path.read_text(encoding="utf-8"))
    ]
    assert not wrong, "read these through backend.core.settings:\n" + "\n".join(wrong)
