"""Which columns are taken, which are suggested, and by which rules."""

from dataclasses import replace
from pathlib import Path

import pytest

from backend.core.errors import InvalidInput
from backend.integrations.datahub.schemas import Dataset, Field
from backend.tokenization import detection, patterns
from backend.tokenization.engines import columns
from backend.tokenization.patterns import Guess, Patterns, guess
from backend.tokenization.tokens import Scheme


@pytest.fixture
def rules(data_dir: Path) -> Patterns:
    return patterns.load()


def dataset(**tags: list[str]) -> Dataset:
    return Dataset(
        urn="urn:li:dataset:(urn:li:dataPlatform:postgres,a.b.c,PROD)",
        name="c",
        platform="postgres",
        origin="PROD",
        fields=tuple(
            Field(path=path, type="STRING", editable_tags=tuple(names))
            for path, names in tags.items()
        ),
    )


class TestTags:
    @pytest.mark.parametrize(
        "tag",
        [
            "tokenize/run",
            "pii",
            "PII",
            "PII.Email",
            "pii/phone",
            "gdpr:pii",
            "Personal Data",
            "Sensitive",
        ],
    )
    def test_that_mean_personal_data(self, rules: Patterns, tag: str) -> None:
        assert rules.is_personal(f"urn:li:tag:{tag}")

    @pytest.mark.parametrize(
        "tag", ["tokenize/done", "tokenize/status:FAILED", "gold", "piipeline"]
    )
    def test_that_do_not(self, rules: Patterns, tag: str) -> None:
        assert not rules.is_personal(f"urn:li:tag:{tag}")

    def test_choose_with_their_names_as_the_reason(self, rules: Patterns) -> None:
        found = detection.tagged_columns(
            dataset(email=["urn:li:tag:pii", "urn:li:tag:gold"], id=["urn:li:tag:gold"]), rules
        )

        assert found == {"email": "tagged pii in DataHub"}

    @pytest.mark.parametrize(
        ("path", "column"),
        [
            ("email", "email"),
            ("[version=2.0].[type=struct].[type=string].email", "email"),
            ("[version=2.0].[type=Person].[type=string].E-Mail (work)", "E-Mail (work)"),
            ("a.b", "a.b"),
        ],
    )
    def test_field_paths_name_columns(self, path: str, column: str) -> None:
        assert detection.column_of(path) == column


NAMES = {
    "e-mail address": [
        "email",
        "Email",
        "customerEmail",
        "E-Mail",
        "email_address",
        "work_email_2",
    ],
    "phone number": ["phone", "phoneNumber", "mobile", "home_phone_no", "MSISDN", "fax_number"],
    "personal name": ["first_name", "LastName", "customer_name", "surname", "fullName"],
    "date of birth": ["dob", "date_of_birth", "birthDate", "birthday"],
    "bank account (IBAN)": ["iban", "account_iban"],
    "payment card number": ["card_number", "creditCardNumber"],
    "national identifier": ["ssn", "passport_no", "tax_id"],
    "IP address": ["ip", "client_ip", "ip_address"],
    "postal address": ["street", "address_line1", "home_address", "zip", "zip_code"],
}


class TestNames:
    @pytest.mark.parametrize(
        ("label", "name"), [(label, name) for label, names in NAMES.items() for name in names]
    )
    def test_that_say_so(self, rules: Patterns, label: str, name: str) -> None:
        assert rules.kinds[label].names(name), patterns.normalised(name)

    @pytest.mark.parametrize(
        "name",
        [
            "scenario_code",
            "filename",
            "table_name",
            "emailed",
            "phonetic",
            "description",
            "clip",
            "ipo_date",
            "cardinality",
            "grandiban_total",
        ],
    )
    def test_that_only_contain_the_word(self, rules: Patterns, name: str) -> None:
        assert guess(rules, name, []) is None


class TestGuess:
    def test_name_and_values_agree(self, rules: Patterns) -> None:
        values = ["a@example.org", "b@example.org", "c@example.org", "n/a"]

        assert guess(rules, "email", values) == Guess(
            "its name says: e-mail address; 75% of 4 values agree", True
        )

    def test_values_that_disagree_drop_it(self, rules: Patterns) -> None:
        found = guess(rules, "email", ["yes", "no"] * 10)

        assert found is not None
        assert not found.convincing
        assert "only 0% of 20 values agree" in found.reason

    def test_values_alone_can_say_so(self, rules: Patterns) -> None:
        found = guess(rules, "contact", ["a@example.org"] * 9 + ["-"])

        assert found == Guess("90% of 10 sampled values look like: e-mail address", True)

    def test_one_address_among_many_texts_says_nothing(self, rules: Patterns) -> None:
        assert guess(rules, "note", ["a@example.org"] + ["text"] * 9) is None

    @pytest.mark.parametrize(
        ("column", "good", "bad"),
        [
            ("iban", "DE89 3704 0044 0532 0130 00", "DE89 3704 0044 0532 0130 01"),
            ("card_number", "4539 1488 0343 6467", "4539 1488 0343 6468"),
        ],
    )
    def test_wrong_check_digits_need_a_name_that_says_so(
        self, rules: Patterns, column: str, good: str, bad: str
    ) -> None:
        yes, some, none = (
            guess(rules, column, values) for values in ([good], [bad, bad, good], [bad])
        )

        assert yes is not None
        assert some is not None
        assert none is not None
        assert (yes.convincing, some.convincing, none.convincing) == (True, True, False)
        assert some.reason.endswith("; 100% of 3 values have its form, 33% its check digits")
        assert none.reason.endswith("; 100% of 1 values have its form, none its check digits")
        assert guess(rules, "reference", [good]) is not None
        assert guess(rules, "reference", [bad]) is None

    def test_checks_beyond_the_form(self, rules: Patterns) -> None:
        yes, no = guess(rules, "ip", ["2001:db8::1"]), guess(rules, "ip", ["999.1.1.1"])

        assert yes is not None
        assert no is not None
        assert (yes.convincing, no.convincing) == (True, False)

    @pytest.mark.parametrize(
        ("values", "people"),
        [
            (["Anna Kowalska", "Braund, Mr. Owen Harris", "Mills, Cheryl D"], True),
            (["Hurricane Felix", "Tropical Storm Anna", "Typhoon Maria"], False),
            # One name in a table of events is one of many, however often it stands there.
            (["Anna Kowalska"] * 30 + ["Night train", "Late bus", "Fast boat", "Slow car"], False),
        ],
    )
    def test_people_begin_with_their_given_name(
        self, rules: Patterns, values: list[str], people: bool
    ) -> None:
        assert (guess(rules, "label", values) is not None) is people

    def test_amounts_are_no_addresses(self, rules: Patterns) -> None:
        found = guess(rules, "income by zip code", ["$29278", "$163145"])

        assert found is not None
        assert not found.convincing


LIKELY = {
    "emailaddress": ["anna@example.org"],
    "email2": ["anna@example.org"],
    "phonenumber": ["608-271-9000x11", "1 (11) 500 555-0162"],
    "HomePhone1": ["608-271-9000x11"],
    "middlename": ["J.", "R"],
    "middle_initial": ["J.", "R"],
    "LName": ["Abel", "Brandt"],
    "billto_name": ["Anna B."],
    "username": ["anna.b"],
    "display_name": ["Anna B."],
    "nationalidnumber": ["295847284"],
    "loginid": ["adventure-works\\ken0"],
    "ship_name": ["Anna B."],
    "postal_code": ["98011"],
    "billing_zip": ["98011"],
    "patient_nhs_number": ["943 476 5919"],
    "address_of_origin": ["2001:db8::1", "2001:db8::2"],
    "Source Address": ["2001:db8::1", "2001:db8::2"],
    "client_ip": ["fe80::1%eth0", "::1"],
    "name": ["Anna Abel", "Bruno Brandt", "Xiu Q. Y"],
    "assigned_to": ["Brandt, Mr. Bruno", "Carla Cole"],
    "reviewer_name": ["David", "Jill"],
    "DL num Illinois": ["D592-8353-0187"],
    "frame": ["1HGCM82633A004352"],
    "cust_gender": ["F", "M"],
    "Age Group": ["22-23", "65 and older"],
}

SILENT = {
    "name": ["Mountain Bike", "Road Bike", "Anna Bike Shop", "Helmet"],
    "title": ["ACADEMY DINOSAUR", "john is here"],
    "serial": ["1HGCM82633A004353"],
    "message": ["F", "M"],
    "pathname": ["report", "archive"],
}


class TestTiers:
    @pytest.mark.parametrize(("column", "values"), LIKELY.items())
    def test_likely(self, rules: Patterns, column: str, values: list[str]) -> None:
        found = detection.detect(None, None, rules, {column: values})

        assert list(found.suggested) == [column], found
        assert found.possible == {}

    @pytest.mark.parametrize(
        ("table", "whose"),
        {
            "customers": True,
            "Persons": True,
            "dimEmployee": True,
            "crm_contacts": True,
            "people": True,
            "products": False,
            "customer_segments": False,
            "": False,
        }.items(),
    )
    def test_a_bare_name_is_possibly_that_of_whom_the_table_holds(
        self, rules: Patterns, table: str, whose: bool
    ) -> None:
        found = guess(rules, "Name", ["Xiu", "Q. Abel"], table)

        assert found == (
            Guess("its table's name says whose: personal name", False) if whose else None
        )

    @pytest.mark.parametrize(("column", "values"), SILENT.items())
    def test_nothing(self, rules: Patterns, column: str, values: list[str]) -> None:
        assert guess(rules, column, values) is None

    @pytest.mark.parametrize(
        ("column", "values"),
        [
            ("web_address", ["http://www.example.org", "https://example.com/about"]),
            ("Card_Number", ["visa", "4539 1488"]),
            ("email_verified_by", ["anna"]),
            ("email", ["yes", "no"]),
        ],
    )
    def test_possible_is_shown_with_its_reason_and_never_dropped(
        self, rules: Patterns, column: str, values: list[str]
    ) -> None:
        found = detection.detect(None, None, rules, {column: values})

        assert found.suggested == {}
        assert list(found.possible) == [column]
        assert found.possible[column].startswith("its name ")

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("EmailAddress", ["email", "address"]),
            ("nationalIDNumber", ["national", "id", "number"]),
            ("PHONENUMBER", ["phone", "number"]),
            ("filename", ["filename"]),
            ("emailed", ["emailed"]),
        ],
    )
    def test_words_of_every_spelling(self, name: str, words: list[str]) -> None:
        assert patterns.words_of(name) == words


class TestTerms:
    @pytest.mark.parametrize(
        "term", ["PII", "Classification.PII", "Email_Address", "Phone Number", "IP_Address_v6"]
    )
    def test_count_as_tags_do(self, rules: Patterns, term: str) -> None:
        field = Field(path="mail", type="STRING", terms=(f"urn:li:glossaryTerm:{term}",))
        found = detection.choose(None, replace(dataset(), fields=(field,)), rules)

        assert list(found) == ["mail"]
        assert found["mail"].startswith("glossary term ")

    def test_others_do_not(self, rules: Patterns) -> None:
        assert not rules.is_personal_term("urn:li:glossaryTerm:Gold")
        assert not rules.is_personal_term("urn:li:glossaryTerm:Revenue.Emailing")


class TestDetect:
    def test_named_columns_win_and_the_rest_is_suggested(self, rules: Patterns) -> None:
        found = detection.detect(
            ["name"], dataset(email=["urn:li:tag:pii"]), rules, {"phone": ["+49 170 1234567"]}
        )

        assert found.chosen == {"name": "chosen by name"}
        assert list(found.suggested) == ["email", "phone"]

    def test_an_empty_choice_is_a_choice(self, rules: Patterns) -> None:
        assert detection.detect([], dataset(email=["urn:li:tag:pii"]), rules, {}).chosen == {}

    def test_guesses_are_never_chosen(self, rules: Patterns) -> None:
        found = detection.detect(None, dataset(), rules, {"email": ["a@example.org"]})

        assert found.chosen == {}
        assert list(found.suggested) == ["email"]


class TestFile:
    def test_a_copy_in_the_data_folder_replaces_the_shipped_one(self, data_dir: Path) -> None:
        (data_dir / "pii_patterns.yaml").write_text(
            "field_tags: [secret]\nkinds:\n  badge: {columns: ['badge_no']}\n"
        )

        rules = patterns.load()

        assert rules.is_personal("urn:li:tag:secret")
        assert not rules.is_personal("urn:li:tag:pii")
        assert guess(rules, "badgeNo", []) == Guess("its name says: badge", True)

    def test_a_change_counts_without_a_restart(self, data_dir: Path) -> None:
        import os

        path = data_dir / "pii_patterns.yaml"
        path.write_text("field_tags: [one]\nkinds: {}\n")
        assert patterns.load().is_personal("urn:li:tag:one")
        path.write_text("field_tags: [two]\nkinds: {}\n")
        os.utime(path, ns=(1, 1))

        assert patterns.load().is_personal("urn:li:tag:two")

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("field_tags: [", "is not valid YAML"),
            ("field_tags: [pii]\nkinds:\n  x: {columns: ['(']}", "is not a regular expression"),
            ("field_tags: [pii]\nkinds: {}\nsurprise: 1", "surprise"),
            ("kinds: {}", "field_tags: Field required"),
        ],
    )
    def test_what_cannot_be_used_is_said(self, data_dir: Path, text: str, words: str) -> None:
        (data_dir / "pii_patterns.yaml").write_text(text)

        with pytest.raises(InvalidInput, match=r"pii_patterns\.yaml") as refused:
            patterns.load()
        assert words in refused.value.message


class TestMasking:
    @pytest.mark.parametrize(
        ("value", "masked"),
        [
            ("anna@example.org", "a•••@•••••••.•••"),
            ("+49 170 1234567", "+4• ••• •••••••"),
            ("Bo", "••"),
            ("x\ny", "•••"),
            ("日本語テキスト", "日••••••"),
            ("", ""),
        ],
    )
    def test_shows_the_kind_and_not_the_value(self, value: str, masked: str) -> None:
        assert columns.mask_value(value) == masked

    def test_long_values_are_cut(self) -> None:
        assert len(columns.mask_value("y" * 1000)) == 33

    def test_a_reversible_token_says_only_how_long_it_is(self) -> None:
        assert "YW5u" not in columns.mask_token("tok_YW5uYQ==_poc", Scheme.BASE64)
