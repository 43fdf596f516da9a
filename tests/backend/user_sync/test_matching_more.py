"""Addresses in two spellings, several domains, leavers and probable renames, invisible marks."""

import pytest

from backend.integrations.openmetadata.schemas import Domain
from backend.user_sync.domain_names import Rules
from backend.user_sync.matching import Matcher, match
from tests.backend.user_sync.test_matching import (
    DOMAINS,
    FINANCE,
    MARKETING,
    PAYMENTS,
    one,
    refs,
    said,
    user,
)


class TestAddresses:
    @pytest.mark.parametrize(
        ("asked", "stored"),
        [
            ("müller@müller.de", "müller@xn--mller-kva.de"),
            ("a@💩.example", "a@xn--ls8h.example"),
            ("a@my_host.müller.de", "a@my_host.XN--MLLER-KVA.de"),
            ("zo\u00eb@x.io", "zoe\u0308@x.io"),
            ("a@x.io", "a@x.io\u00a0"),
            ("a@x.io\u200b", "a@x.io"),
        ],
    )
    def test_one_address_in_two_spellings_is_one_person(self, asked, stored):
        assert one(said(email=asked), user(email=stored)).kind == "unchanged"
        row = one(said(email=stored), user(email=asked))
        assert row.kind == "unchanged"
        assert "invisible characters" in row.reason or f"written {asked} there" in row.reason

    def test_what_nobody_sees_in_an_address_is_named(self):
        row = one(said(email="ann\u200b@example.com"))
        assert "the directory's e-mail holds invisible characters (U+200B)" in row.reason

    def test_a_near_miss_says_whom_it_looks_like(self):
        row = one(said(email="jose@example.com"), user(email="jos\u00e9@example.com"))
        assert (row.kind, "looks like jos\u00e9@example.com" in row.reason) == ("not_found", True)


class TestSeveralDomains:
    def rows(self, item, stored, **rules):
        return match([item], [stored], DOMAINS, None, Rules(**rules))[0]

    def test_all_of_them_are_wanted(self):
        item = {"email": "ann@example.com", "domains": ["Marketing", "finance.payments"]}
        assert self.rows(item, user()).new_domains == refs(MARKETING, PAYMENTS)

    def test_one_unknown_keeps_what_is_there(self):
        item = {"email": "ann@example.com", "domains": ["Marketing", "Nowhere"]}
        row = self.rows(item, user())
        assert (row.kind, row.sets_domains) == ("unknown_domain", False)
        assert "Nowhere: no such domain" in row.reason

    @pytest.mark.parametrize(
        ("mode", "before", "after"),
        [
            ("replace", (FINANCE,), (MARKETING,)),
            ("add", (FINANCE,), (FINANCE, MARKETING)),
            ("add", (MARKETING,), (MARKETING,)),
            ("only_when_empty", (FINANCE,), (FINANCE,)),
            ("only_when_empty", (), (MARKETING,)),
        ],
    )
    def test_modes(self, mode, before, after):
        row = self.rows(said(domain="Marketing"), user(domains=before), domain_mode=mode)
        assert (row.new_domains, row.sets_domains) == (refs(*after), before != after)

    def test_a_mapped_department_is_its_domain(self):
        row = self.rows(
            said(domain=" DEPT 4711"), user(), mapping={"dept 4711": "Finance.Payments"}
        )
        assert row.new_domains == refs(PAYMENTS)

    def test_a_mapping_to_a_domain_that_is_gone_says_so(self):
        row = self.rows(said(domain="Dept"), user(), mapping={"dept": "Gone"})
        assert (row.kind, row.reason) == (
            "unknown_domain",
            "mapped to Gone, which OpenMetadata does not have",
        )

    def test_a_display_name_is_the_last_word(self):
        domains = [*DOMAINS, Domain("d9", "fin-pay", "fin-pay", "Payments and more")]
        (row,) = match([said(domain="payments AND more")], [user()], domains)
        assert [ref.id for ref in row.new_domains] == ["d9"]

    @pytest.mark.parametrize(
        ("asked", "rules", "words"),
        [
            ("marketing", {}, ""),
            ("DEPT 1", {"mapping": {"dept 1": "Marketing"}}, "“DEPT 1” is mapped to Marketing"),
            ("Finance.Payments", {}, "“Finance.Payments” is a domain's full name"),
            (
                "Marketing",
                {"domain_mode": "only_when_empty"},
                "the domains stay: only users without any are given some",
            ),
        ],
    )
    def test_the_rule_that_decided_is_named_unless_it_is_the_usual_one(self, asked, rules, words):
        assert self.rows(said(domain=asked), user(), **rules).reason == words


class TestObservations:
    def test_leavers_and_probable_renames_are_told_apart(self):
        items = [said(), said(email="eva.new@example.com", name="Eva", domain="Marketing")]
        stored = [
            user(),
            user("eva.old", display="Eva", domains=(MARKETING,)),
            user("gone", display="Gone"),
            user("robot", is_bot=True),
        ]
        matcher = Matcher(items, DOMAINS)
        matcher.feed(stored)
        rows, counts = matcher.observations(10)
        assert {row.email: row.kind for row in rows} == {
            "eva.old@example.com": "renamed",
            "gone@example.com": "leaver",
        }
        assert dict(counts) == {"renamed": 1, "leaver": 1}
        assert "the directory has eva.new@example.com" in rows[0].reason
        assert not any(row.sets_name or row.sets_domains for row in rows)

    def test_a_name_that_two_people_have_suggests_nothing(self):
        items = [said(email="e1@x.io", name="Eva"), said(email="e2@x.io", name="Eva")]
        matcher = Matcher(items, DOMAINS)
        matcher.feed([user("eva.old", display="Eva")])
        assert matcher.observations(10)[0][0].kind == "leaver"

    def test_somebody_on_two_pages_of_a_list_that_moves_is_one_leaver(self):
        matcher = Matcher([said(email="x@x.io")], DOMAINS)
        matcher.feed([user("gone", display="Gone")])
        matcher.feed([user("gone", display="Gone")])
        rows, counts = matcher.observations(10)
        assert (len(rows), dict(counts)) == (1, {"leaver": 1})

    def test_no_more_rows_than_asked_for_but_all_are_counted(self):
        matcher = Matcher([said(email="x@x.io")], DOMAINS)
        matcher.feed([user(f"u{n}", display=None) for n in range(5)])
        rows, counts = matcher.observations(2)
        assert (len(rows), counts["leaver"]) == (2, 5)


class TestInvisible:
    def test_names_are_trimmed(self):
        assert one(said(name=" Ann\u00a0")).kind == "unchanged"

    @pytest.mark.parametrize("mark", ["\u202e", "\ufeff", "\u200b"])
    def test_what_would_be_written_unseen_is_remarked(self, mark):
        row = one(said(name=f"An{mark}n B."))
        assert f"the new name holds invisible characters (U+{ord(mark):04X})" in row.reason
