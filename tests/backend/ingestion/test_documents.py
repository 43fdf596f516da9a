"""Mapping documents whose values cannot be read end in a sentence."""

from collections.abc import Callable

import pytest

from backend.core.errors import InvalidInput
from backend.ingestion import documents

MANY = "1" * 5_000


@pytest.mark.parametrize(
    ("parse", "text", "said"),
    [
        (documents.parse_json, f'{{"a": {MANY}}}', "not JSON that can be read: Exceeds the limit"),
        (documents.parse_yaml, f"a: {MANY}", "not YAML that can be read: Exceeds the limit"),
        (documents.parse_yaml, "a: 2026-99-99", "not YAML that can be read: month must be"),
        (documents.parse_yaml, "? 2026-13-40\n: x", "not YAML that can be read: month must be"),
        (documents.parse_yaml, "a: !!int x", "not YAML that can be read: invalid literal"),
        (documents.parse_yaml, "a: !!float x", "not YAML that can be read: could not convert"),
    ],
    ids=["json number", "yaml number", "date", "date as key", "no int", "no float"],
)
def test_a_value_that_cannot_be_read_is_said(
    parse: Callable[..., object], text: str, said: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(text, "file")
    assert refused.value.message.startswith(said)
