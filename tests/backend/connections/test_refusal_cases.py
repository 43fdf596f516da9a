"""What the documented sentences have to say; `documented` holds them to what the servers answer."""

from pathlib import Path

import pytest
import yaml

from tests.backend.connections.refusals import DOCS

CASES = yaml.safe_load(Path(__file__).with_name("refusal_cases.yaml").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['kind']}, {case['case']}")
def test_a_cause_is_the_servers_own(case: dict[str, str]) -> None:
    text = DOCS.read_text(encoding="utf-8")
    table = text.split(f"<!-- refusals of {case['kind']} -->")[1].split("<!-- end of")[0]
    [said] = [
        line.split(" | ", 1)[1]
        for line in table.splitlines()
        if line.startswith(f"| {case['case']} | ")
    ]
    assert case["says"] in said
    assert "not" not in case or case["not"] not in said
