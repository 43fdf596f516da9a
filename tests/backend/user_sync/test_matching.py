"""What the matcher makes of good and bad input; nothing here needs a server."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.integrations.openmetadata.schemas import Domain, DomainRef, StoredUser
from backend.user_sync.addresses import looks_alike
from backend.user_sync.comparing import domain_identity, mark
from backend.user_sync.matching import Matcher, match
from backend.user_sync.schemas import KINDS

FINANCE = Domain("d1", "Finance", "Finance", None)
MARKETING = Domain("d2", "Marketing", "Marketing", None)
PAYMENTS = Domain("d3", "Payments", "Finance.Payments", None)
DOTTED = Domain("d4", "R.D", '"R.D"', None)
SHARED = [
    Domain("d5", "Shared", "Finance.Shared", None),
    Domain("d6", "Shared", "Ops.Shared", None),
]
DOMAINS = [FINANCE, MARKETING, PAYMENTS, DOTTED, *SHARED]


def user(name="ann", email=None, display="Ann", domains=(FINANCE,), inherited=(), **more):
    values = {
        "id": f"id-{name}",
        "name": name,
        "email": email if email is not None else f"{name}@example.com",
        "display_name": display,
        "version": 0.1,
        "updated_at": 1,
        "updated_by": "admin",
        "is_bot": False,
        "deleted": False,
        "domains": tuple(d.ref for d in domains),
        "inherited": tuple(d.ref for d in inherited),
    }
    return StoredUser(**{**values, **more})


def said(email="ann@example.com", name="Ann", domain="Finance"):
    return {"email": email, "displayName": name, "domain": domain}


def one(item, *users, ignores=None):
    (row,) = match([item], users or [user()], DOMAINS, ignores)
    return row


def refs(*domains: Domain) -> tuple[DomainRef, ...]:
    return tuple(d.ref for d in domains)


class TestKinds:
    def test_the_same_on_both_sides_is_unchanged(self):
        assert one(said()).kind == "unchanged"

    def test_a_new_name_is_an_update_of_the_name_alone(self):
        row = one(said(name="Ann B."))
        assert (row.kind, row.sets_name, row.sets_domains) == ("update", True, False)

    def test_a_new_domain_is_an_update_of_the_domains_alone(self):
        row = one(said(domain="Marketing"))
        assert (row.kind, row.sets_name, row.new_domains) == ("update", False, refs(MARKETING))

    def test_nobody_with_that_address_is_not_found(self):
        assert one(said(email="bob@example.com")).kind == "not_found"

    def test_upper_case_addresses_match_on_either_side(self):
        assert one(said(email=" ANN@Example.COM ")).kind == "unchanged"
        assert one(said(), user(email="Ann@Example.com")).kind == "unchanged"

    @pytest.mark.parametrize(
        ("asked", "other"),
        [("hans@straße.example", "hans@strasse.example"), ("eﬀi@x.io", "effi@x.io")],
    )
    def test_addresses_of_different_letters_are_different_people(self, asked, other):
        assert one(said(email=asked), user(email=other)).kind == "not_found"

    def test_a_bot_is_never_changed(self):
        assert one(said(name="x"), user(is_bot=True)).kind == "invalid"

    def test_deleted_users_do_not_count(self):
        assert one(said(), user(deleted=True)).kind == "not_found"

    def test_two_users_with_one_address_are_a_duplicate(self):
        row = one(said(name="x"), user(), user("other", email="ANN@example.com"))
        assert (row.kind, row.sets_name, row.user) == ("duplicate", False, None)

    def test_one_user_on_two_pages_of_the_list_is_one_user(self):
        matcher = Matcher([said(name="x")], DOMAINS)
        (row,) = matcher.feed([user()]) + matcher.feed([user()])
        assert (row.kind, matcher.again()) == ("update", [])


class TestDomains:
    @pytest.mark.parametrize("text", ["finance", "FINANCE", " Finance "])
    def test_match_by_name_whatever_the_case(self, text):
        assert one(said(domain=text)).kind == "unchanged"

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("Payments", PAYMENTS),
            ("finance.payments", PAYMENTS),
            ("r.d", DOTTED),
            ('"R.D"', DOTTED),
        ],
    )
    def test_subdomains_and_names_with_a_dot_are_found(self, text, found):
        assert one(said(domain=text)).new_domains == refs(found)

    @pytest.mark.parametrize("text", [None, "", "   "])
    def test_no_opinion_keeps_what_is_there(self, text):
        row = one(said(domain=text))
        assert (row.kind, row.sets_domains) == ("unchanged", False)

    def test_an_unknown_one_keeps_the_domains_but_the_name_may_change(self):
        row = one(said(name="Ann B.", domain="Nowhere"))
        assert (row.kind, row.sets_name, row.sets_domains) == ("unknown_domain", True, False)
        assert row.new_domains == refs(FINANCE)

    def test_a_name_that_several_share_is_unknown_and_says_which(self):
        row = one(said(domain="shared"))
        assert row.kind == "unknown_domain"
        assert "Finance.Shared or Ops.Shared" in row.reason
        assert one(said(domain="Ops.Shared")).new_domains == refs(SHARED[1])

    @pytest.mark.parametrize("order", [1, -1])
    def test_names_that_differ_in_case_only_are_told_apart_by_their_spelling(self, order):
        both = [Domain("d1", "Finance", "Finance", None), Domain("d2", "finance", "finance", None)]

        def found(text):
            return match([said(domain=text)], [user(domains=())], both[::order])[0]

        assert found("Finance").new_domains == (both[0].ref,)
        assert found("finance").new_domains == (both[1].ref,)
        row = found("FINANCE")
        assert (row.kind, row.sets_domains) == ("unknown_domain", False)
        assert "write Finance or finance" in row.reason

    def test_full_names_that_differ_in_case_only_are_told_apart_by_their_spelling(self):
        both = [Domain("d1", "A", "Ops.A", None), Domain("d2", "A", "ops.a", None)]
        (row,) = match([said(domain="ops.a")], [user(domains=())], both)
        assert row.new_domains == (both[1].ref,)
        (row,) = match([said(domain="OPS.A")], [user(domains=())], both)
        assert row.kind == "unknown_domain"

    def test_other_letters_are_another_domain(self):
        (row,) = match([said(domain="Maß")], [user()], [Domain("d9", "Mass", "Mass", None)])
        assert row.kind == "unknown_domain"

    def test_the_unicode_form_of_a_name_does_not_count(self):
        composed, decomposed = "Soci\u00e9t\u00e9", "Socie\u0301te\u0301"
        known = [Domain("d9", composed, composed, None)]
        (row,) = match([said(domain=decomposed)], [user()], known)
        assert (row.kind, row.new_domains[0].id) == ("update", "d9")

    def test_a_domain_listed_twice_is_one_domain(self):
        assert match([said()], [user()], [FINANCE, FINANCE])[0].kind == "unchanged"

    def test_inherited_domains_are_left_out_of_the_comparison(self):
        row = one(said(domain="Finance"), user(domains=(), inherited=(FINANCE,)))
        assert (row.kind, row.new_domains) == ("update", refs(FINANCE))
        assert one(said(), user(inherited=(MARKETING,))).kind == "unchanged"

    def test_more_than_one_direct_domain_becomes_the_one_the_directory_names(self):
        row = one(said(), user(domains=(FINANCE, MARKETING)))
        assert row.new_domains == refs(FINANCE)


class TestNames:
    @pytest.mark.parametrize("text", [None, "", "  "])
    def test_no_opinion_keeps_the_name(self, text):
        assert one(said(name=text)).kind == "unchanged"

    def test_a_user_without_name_gets_one(self):
        row = one(said(), user(display=None))
        assert (row.kind, row.new_name) == ("update", "Ann")

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("Ann  B", "Ann B"),
            ("Ine\u0302s", "In\u00eas"),
            ("Ann", "Ann\u200e"),
            ("Ann ", "Ann"),
        ],
    )
    def test_invisible_differences_are_shown_as_such(self, old, new):
        row = one(said(name=new), user(display=old))
        assert (row.kind, row.look_alike) == ("update", True)
        assert "white space or Unicode form" in row.reason
        assert not looks_alike(old, "Somebody")

    @pytest.mark.parametrize(
        "name", ["<img src=x onerror=alert(1)>", "א" * 10_000, "\u202eevil\u202c", "=1+1", "😀 🏳️‍🌈"]
    )
    def test_odd_but_possible_names_are_taken_as_they_are(self, name):
        row = one(said(name=name))
        assert (row.kind, row.new_name) == ("update", name)


class TestInvalid:
    @pytest.mark.parametrize(
        "item",
        [
            None,
            "text",
            [],
            {},
            said(email=None),
            said(email=7),
            said(email="nobody"),
            said(email="a b@example.com"),
            said(email="x" * 321 + "@example.com"),
            said(email="a\x00@example.com"),
            said(name=["list"]),
            said(name="a\x00b"),
            said(name="\ud800"),
            said(name="x" * 10_001),
            said(domain=3),
            said(domain="a\nb"),
        ],
    )
    def test_is_shown_with_a_reason_and_never_written(self, item):
        row = one(item)
        assert (row.kind, row.user) == ("invalid", None)
        assert row.reason
        row.email.encode()
        (row.new_name or "").encode()


class TestUnfitUsers:
    @pytest.mark.parametrize(
        "more",
        [
            {"display": "A\x00B"},
            {"display": "\ud800"},
            {"name": "n\udfff"},
            {"name": "n" * 257},
            {"id": "i" * 65},
            {"name": "bot\ud800", "is_bot": True},
        ],
    )
    def test_what_no_database_stores_is_a_row_with_a_reason_and_never_written(self, more):
        row = one(said(name="x"), user(email="ann@example.com", **more))
        assert (row.kind, row.user, row.new_name) == ("invalid", None, "x")
        assert row.reason.encode()
        assert len(row.reason) <= 500

    @pytest.mark.parametrize("old", ["tab\there", "line\nbreak", "\u200e", "😀" * 9_000])
    def test_odd_but_storable_names_are_compared(self, old):
        assert one(said(name="x"), user(display=old)).kind == "update"


class TestDuplicates:
    def test_different_values_for_one_address_are_never_written(self):
        rows = match([said(name="A"), said(email="ANN@example.com", name="B")], [user()], DOMAINS)
        assert [r.kind for r in rows] == ["duplicate", "duplicate"]
        assert "different values" in rows[0].reason

    def test_the_same_values_twice_count_once(self):
        rows = match([said(name="B"), said(name="B"), said(name="B")], [user()], DOMAINS)
        assert [r.kind for r in rows] == ["update", "duplicate", "duplicate"]


class TestIgnored:
    def test_a_difference_is_left_alone_until_either_side_changes(self):
        known = mark("displayName", "Ann", "Ann B.")
        ignores = {("id-ann", "displayName"): (known, "eve: on leave")}
        row = one(said(name="Ann B."), ignores=ignores)
        assert (row.kind, row.sets_name, row.reason) == (
            "unchanged",
            False,
            "ignored: eve: on leave",
        )
        assert one(said(name="Ann C."), ignores=ignores).kind == "update"
        assert one(said(name="Ann B."), user(display="Anne"), ignores=ignores).kind == "update"

    def outdated(self, item, stored):
        ignores = {
            ("id-ann", "displayName"): (mark("displayName", "Ann", "Ann B."), "eve: x"),
            ("id-ann", "domains"): (mark("domains", refs(FINANCE), refs(MARKETING)), "eve: x"),
        }
        matcher = Matcher([item], DOMAINS, ignores)
        matcher.feed([stored])
        return [field for _, field, _ in matcher.outdated]

    def test_a_decision_is_outdated_once_a_side_says_something_else(self):
        other = user(display="Anne", domains=(PAYMENTS,))
        assert self.outdated(said(name="Ann B.", domain="Marketing"), user()) == []
        assert self.outdated(said(name="Ann C."), user()) == ["displayName", "domains"]
        both = ["displayName", "domains"]
        assert self.outdated(said(name="Ann B.", domain="Marketing"), other) == both
        there = user(display="Ann B.", domains=(MARKETING,))
        assert self.outdated(said(name="Ann B.", domain="Marketing"), there) == both

    @pytest.mark.parametrize("domain", [None, " ", "Nowhere"])
    def test_a_decision_is_not_outdated_by_a_side_that_has_no_opinion(self, domain):
        other = user(display="Anne", domains=(PAYMENTS,))
        assert self.outdated(said(name=None, domain=domain), other) == []
        assert self.outdated(said(email="bob@example.com"), other) == []

    def test_ignoring_the_domains_leaves_the_name_to_be_written(self):
        known = mark("domains", refs(FINANCE), refs(MARKETING))
        ignores = {("id-ann", "domains"): (known, "eve: x")}
        row = one(said(name="Ann B.", domain="Marketing"), ignores=ignores)
        assert (row.kind, row.sets_name, row.sets_domains) == ("update", True, False)


_text = st.one_of(st.none(), st.text(max_size=12), st.integers())
_item = st.one_of(
    st.none(),
    st.fixed_dictionaries(
        {},
        optional={
            "email": st.one_of(_text, st.sampled_from(["a@x.io", "A@x.io", "b@x.io", "c@x.io"])),
            "displayName": _text,
            "domain": st.one_of(_text, st.sampled_from(["Finance", "nope", "shared"])),
        },
    ),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(_item, max_size=8), st.integers(1, 3))
def test_any_directory_gives_one_row_per_entry_however_users_are_paged(items, size):
    users = [user("a", "a@x.io"), user("b", "B@X.io", None, ()), user("c", "c@x.io")]
    rows = match(items, users, DOMAINS)
    assert [r.position for r in rows] == list(range(len(items)))
    assert {r.kind for r in rows} <= set(KINDS)
    matcher = Matcher(items, DOMAINS)
    paged = matcher.first()
    for start in range(0, len(users), size):
        paged = paged + matcher.feed(users[start : start + size])
    assert sorted(paged + matcher.rest(), key=lambda r: r.position) == rows
    for row in rows:
        if row.sets_domains:
            assert len(row.new_domains) == 1
        elif row.user is not None:
            assert domain_identity(row.new_domains) == domain_identity(row.user.domains)
