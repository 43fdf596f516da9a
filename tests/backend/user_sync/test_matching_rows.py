"""Whole rows: what stands in one whoever it is about, and what identifies a plan's changes."""

import hashlib

import pytest

from backend.user_sync.comparing import PlanRow
from backend.user_sync.matching import Matcher, change_line, changes_digest, match, refusal
from backend.user_sync.validation import MAX_EMAIL, MAX_NAME
from tests.backend.user_sync.test_matching import DOMAINS, FINANCE, MARKETING, one, said, user

REPEATED = "the directory repeats this entry; the first one counts"
DIFFERENT = "the directory names this e-mail more than once, with different values"
SHARED = "several OpenMetadata users have this e-mail"
LEAVER = "in OpenMetadata, not in the directory"


def _row(position=0, kind="invalid", reason="", email="ann@example.com", **more):
    return PlanRow(position, kind, reason, email, **more)


class TestWhoIsNotCompared:
    def test_nobody_there(self):
        item = {"email": "bob@example.com", "displayName": "Bob", "domains": ["Finance", "Ops"]}
        assert one(item) == _row(
            kind="not_found",
            reason="no such e-mail in OpenMetadata",
            email="bob@example.com",
            new_name="Bob",
            domain="Finance, Ops",
        )

    def test_nobody_there_and_somebody_who_looks_like_it(self):
        row = one(said(email="änn@example.com"))
        assert row.reason == "no such e-mail in OpenMetadata; it looks like ann@example.com"

    def test_a_reason_has_at_most_500_characters(self):
        near = "a" * 600 + "@x.io"
        matcher = Matcher([said(email="bob@example.com")], DOMAINS)
        row = matcher._not_found("bob@example.com", 0, {"bob@examplecom": near})
        assert len(row.reason) == 500
        bot = one(said(), user("b" * 600, email="ann@example.com", is_bot=True))
        assert len(bot.reason) == 500

    def test_the_bots(self):
        assert one(said(name="x"), user(is_bot=True)) == _row(
            reason="the e-mail belongs to the bot ann", new_name="x", domain="Finance"
        )

    def test_two_users_of_one_address(self):
        row = one(said(name="x"), user(), user("other", email="ANN@example.com"))
        assert row == _row(kind="duplicate", reason=SHARED, new_name="x", domain="Finance")

    @pytest.mark.parametrize(
        ("item", "row"),
        [
            ("ann", _row(reason="the entry is no user", email="")),
            (None, _row(reason="the entry is no user", email="")),
            (
                {"displayName": "Ann"},
                _row(reason="the directory gives no e-mail", email="", new_name="Ann"),
            ),
            ({"email": 7}, _row(reason="the directory gives no e-mail", email="7")),
            (
                said(email="x" * MAX_EMAIL + "@x.io", name=5),
                _row(
                    reason=f"the e-mail is longer than {MAX_EMAIL} characters",
                    email="x" * MAX_EMAIL,
                    new_name="5",
                ),
            ),
            (
                said(name="n" * (MAX_NAME + 1)),
                _row(
                    reason=f"the display name is longer than {MAX_NAME} characters",
                    new_name="n" * MAX_NAME,
                ),
            ),
            (
                said(email="a\x00@x.io", name="\x00"),
                _row(reason="the e-mail holds control characters", email="a�@x.io", new_name="�"),
            ),
        ],
        ids=lambda each: str(each)[:40],
    )  # fmt: skip
    def test_what_is_no_use(self, item, row):
        assert one(item) == row
        assert refusal(item) == row.reason

    def test_what_is_of_use_has_no_refusal(self):
        assert refusal(said()) == ""

    def test_an_address_as_long_as_one_may_be(self):
        email = "x" * (MAX_EMAIL - len("@x.io")) + "@x.io"
        assert refusal(said(email=email)) == ""
        assert refusal(said(email="x" + email)) != ""

    def test_a_character_that_cannot_be_printed_is_still_one_that_can_be_kept(self):
        assert one(said(email="a\ue000@x.io"), user(email="A\ue000@x.io")).kind == "unchanged"


class TestRepeated:
    def test_alike_the_first_counts(self):
        rows = match([said(), said(), said()], [user()], DOMAINS)
        assert [row.kind for row in rows] == ["unchanged", "duplicate", "duplicate"]
        assert rows[2] == _row(2, "duplicate", REPEATED, new_name="Ann", domain="Finance")

    def test_with_other_values_none_counts(self):
        rows = match([said(), said(name="x"), said(name="x")], [user()], DOMAINS)
        assert rows[0] == _row(0, "duplicate", DIFFERENT, new_name="Ann", domain="Finance")
        assert [row.reason for row in rows] == [DIFFERENT] * 3

    def test_each_is_judged_for_itself_whoever_stands_between(self):
        bob = said(email="bob@example.com")
        items = [None, said(email="cid@example.com"), said(), bob, said(), {**bob, "domain": "x"}]
        users = [user(), user("bob"), user("cid")]
        rows = match(items, users, DOMAINS)
        assert [row.kind for row in rows] == [
            "invalid",
            "unchanged",
            "unchanged",
            "duplicate",
            "duplicate",
            "duplicate",
        ]
        assert [row.reason for row in rows[3:]] == [DIFFERENT, REPEATED, DIFFERENT]


class TestFeeding:
    def test_all_pages_count_and_a_stranger_ends_none(self):
        matcher = Matcher([said(), said(email="bob@example.com")], DOMAINS)
        assert matcher.matched == 0
        first = matcher.feed([user("eve"), user(), user()])
        second = matcher.feed([user("dan"), user("bob")])
        assert [row.position for row in first + second] == [0, 1]
        assert matcher.matched == 2
        assert [each.name for each in matcher.alone] == ["eve", "dan"]


class TestObservations:
    def test_whole_rows_behind_the_directorys(self):
        items = [said(), said(email="robert@example.com", name="Bob")]
        bob, eve = user("bob", display="BOB"), user("eve", display=None)
        matcher = Matcher(items, DOMAINS)
        matcher.feed([user(), bob, eve])
        rows, counts = matcher.observations(10)
        assert rows == [
            _row(
                2,
                "renamed",
                "probably renamed: the directory has robert@example.com with the same name and "
                "domain",
                "bob@example.com",
                user=bob,
            ),
            _row(3, "leaver", LEAVER, "eve@example.com", user=eve),
        ]
        assert counts == {"renamed": 1, "leaver": 1}
        assert matcher.observations(1)[0] == rows[:1]

    @pytest.mark.parametrize("domain", ["Finance", None])
    def test_people_without_a_name_are_nobodys_new_address(self, domain):
        matcher = Matcher([said(email="new@example.com", name=None, domain=domain)], DOMAINS)
        matcher.feed([user("old", display=None, domains=(FINANCE,) if domain else ())])
        (row,), _ = matcher.observations(1)
        assert row.kind == "leaver"

    def test_a_name_without_a_domain_says_enough(self):
        matcher = Matcher([said(email="new@example.com", name="Bob", domain=None)], DOMAINS)
        matcher.feed([user("old", display="Bob", domains=())])
        (row,), _ = matcher.observations(1)
        assert row.kind == "renamed"


class TestDigest:
    """Kept with requests that wait for approval: another digest, and all of those are stale."""

    def test_a_line(self):
        ids = {MARKETING.id, FINANCE.id}
        assert change_line("u1", 0.1, "Zoë", ids, None) == "u1|0.1|'Zoë'|['d1', 'd2']"
        assert change_line("u1", None, None, set(), {}) == "u1|None|None|[]"
        texts = {"b": ("old", "new"), "a": (None, "x")}
        assert change_line("u1", 0.1, None, set(), texts) == (
            "u1|0.1|None|[]|[('a', 'x'), ('b', 'new')]"
        )

    def test_of_all_lines_in_their_order(self):
        said = b"one\nt\xed\xa0\x80\n"
        assert changes_digest(["one", "t\ud800"]) == hashlib.sha256(said).hexdigest()
        assert changes_digest(["t\ud800", "one"]) != changes_digest(["one", "t\ud800"])
