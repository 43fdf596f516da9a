"""The document says what the page says."""

from backend.core import glossary


def test_the_document_is_what_the_code_says() -> None:
    assert glossary.DOCUMENT.read_text(encoding="utf-8") == glossary.markdown(), "run: make docs"


def test_no_meaning_would_break_the_table() -> None:
    assert not any("|" in meaning or "\n" in meaning for meaning in glossary.TERMS.values())
