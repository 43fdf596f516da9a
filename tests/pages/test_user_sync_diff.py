"""Old and new side by side: what differs is marked, and nothing from outside is markup."""

import re

import pytest

from pages.user_sync import diff_table
from tests.backend.user_sync import conftest as rooms

directory, om, world = rooms.directory, rooms.om, rooms.world


class TestDiff:
    def test_marks_only_what_differs(self):
        text = diff_table.name_html("Aaron Jonson", "Aaron Johnson")
        assert re.sub(r"<ins[^>]*>(.*?)</ins>", r"[\1]", text).count("[h]") == 1
        assert "Aaron Jo" in text

    @pytest.mark.parametrize(
        ("old", "new", "seen"),
        [
            ("A  B", "A B", "␣"),
            ("Ann", "Ann\u200e", "⟨U+200E⟩"),
            ("Ine\u0302s", "Inês", "⟨U+0302⟩"),
            ("x", "\u202egnp.exe", "⟨U+202E⟩"),
        ],
    )
    def test_writes_invisible_characters_out(self, old, new, seen):
        assert seen in diff_table.name_html(old, new)

    def test_long_names_are_cut_with_their_length(self):
        text = diff_table.name_html("a" * 10_000, "b" * 10_000)
        assert len(text) < 3_000
        assert "10,000 characters" in text

    def test_markup_is_text_and_right_to_left_stays_inside(self):
        text = diff_table.name_html("<b>x</b>", "שלום <script>")
        assert "<b>" not in text
        assert "<script" not in text
        assert text.count("<bdi>") == 2

    def test_words_beside_it_say_only_what_it_does_not_show(self, open_page, world):
        world.plan()
        app = open_page("user_sync/page.py", role="steward")
        said = "\n".join(str(each.proto.body) for each in app.get("html"))
        assert "matched by e-mail with" in said
        assert "the names differ only in white space" in said
        assert "display name differs" not in said
