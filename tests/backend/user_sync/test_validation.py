"""How two texts that differ are shown side by side."""

import pytest

from backend.user_sync.validation import segments, written_out


class TestWrittenOut:
    @pytest.mark.parametrize("long", [0, 1_500])
    def test_what_differs_is_written_out_where_it_differs(self, long: int) -> None:
        head, tail = "Müller " + "x" * long, "y" * long + " GmbH"
        found = written_out(f"{head}a b{tail}", f"{head}a\u00a0b{tail}")
        assert found == (f"{head}a␣b{tail}", f"{head}a⟨U+00A0⟩b{tail}")

    def test_the_longest_names_are_not_compared_letter_by_letter(self) -> None:
        # It took the cube of the length, hours for these; the suite's limit for a test ends it.
        old, new = "a b" * 3_333, "a\u200b b" * 3_333
        shown = written_out(old, new)
        assert shown[0].startswith("a")
        assert shown[1].startswith("a⟨U+200B⟩")

    @pytest.mark.parametrize(
        ("old", "new", "parts"),
        [
            ("Anna Kowalska", "Anna Maria Kowalska", ["Anna", "+␣Maria", " Kowalska"]),
            ("Anna Maria Kowalska", "Anna Kowalska", ["Anna", "-␣Maria", " Kowalska"]),
            ("Anna Fox", "Anna Maria Fox", ["Anna ", "+Maria␣", "Fox"]),
            ("Aaron Jonson", "Aaron Johnson", ["Aaron Jo", "+h", "nson"]),
            ("aaa", "aaaa", ["aaa", "+a"]),
        ],
    )
    def test_a_word_that_only_one_side_has_is_marked_whole(
        self, old: str, new: str, parts: list[str]
    ) -> None:
        found = segments(old, new)
        assert [
            before if same else f"-{before}" if before else f"+{after}"
            for same, before, after in found
        ] == parts
