"""The token rule in Python."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.core.errors import InvalidInput
from backend.tokenization.tokens import (
    Scheme,
    Tokenizer,
    collisions,
    fitting,
    is_token,
    parse_key,
    parse_scheme,
)
from tests.backend.tokenization.world import BASE64, KEY, SCHEMES, SHORT, SHORTEST, TOKENIZER


class TestToken:
    def test_is_the_base64_of_the_hmac_between_the_marks(self) -> None:
        digest = hmac.new(KEY, b"anna@example.org", hashlib.sha256).digest()

        assert TOKENIZER.token("anna@example.org") == f"tok_{base64.b64encode(digest).decode()}_poc"

    def test_base64_scheme_is_the_value_itself(self) -> None:
        assert BASE64.token("anna@example.org") == "tok_YW5uYUBleGFtcGxlLm9yZw==_poc"

    @pytest.mark.parametrize("value", [None, ""])
    def test_null_and_empty_stay(self, value: str | None) -> None:
        assert TOKENIZER.token(value) == value

    @given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
    def test_a_second_time_changes_nothing_whatever_the_value(self, value: str) -> None:
        for tokenizer in SCHEMES.values():
            once = tokenizer.token(value)

            assert tokenizer.token(once) == once

    @given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1))
    def test_a_token_of_one_scheme_stays_under_the_other(self, value: str) -> None:
        assert BASE64.token(TOKENIZER.token(value)) == TOKENIZER.token(value)

    @given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1))
    def test_its_length_is_known_before_it_is_made(self, value: str) -> None:
        for tokenizer in SCHEMES.values():
            token = tokenizer.token(value) or ""

            assert value == token or len(token) == tokenizer.token_length(len(value.encode()))

    def test_padded_keys_need_sha256_alone(self) -> None:
        keys = TOKENIZER.padded_keys()
        inner = hashlib.sha256(keys.inner + b"x").digest()

        assert hashlib.sha256(keys.outer + inner).digest() == hmac.digest(KEY, b"x", "sha256")

    def test_another_key_gives_another_token_and_fingerprint(self) -> None:
        other = Tokenizer(Scheme.HMAC_SHA256, bytes(32))

        assert other.token("x") != TOKENIZER.token("x")
        assert other.fingerprint() != TOKENIZER.fingerprint()

    def test_shows_its_key_nowhere(self) -> None:
        assert KEY.hex() not in repr(TOKENIZER)
        assert str(KEY) not in repr(TOKENIZER)


class TestShorterSchemes:
    def test_have_32_and_24_characters(self) -> None:
        assert [len(t.token("x") or "") for t in (TOKENIZER, SHORT, SHORTEST)] == [52, 32, 24]
        assert [t.scheme.length for t in (TOKENIZER, SHORT, SHORTEST)] == [52, 32, 24]

    @given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1))
    def test_each_shorter_body_begins_the_longer(self, value: str) -> None:
        if is_token(value):
            return
        long, short, shortest = ((t.token(value) or "")[4:-4] for t in (TOKENIZER, SHORT, SHORTEST))

        assert long.startswith(short)
        assert short.startswith(shortest)

    @pytest.mark.parametrize(
        ("length", "scheme"),
        [
            (None, Scheme.HMAC_SHA256),
            (52, Scheme.HMAC_SHA256),
            (51, Scheme.HMAC_SHA256_144),
            (32, Scheme.HMAC_SHA256_144),
            (24, Scheme.HMAC_SHA256_96),
            (23, None),
        ],
    )
    def test_the_strongest_that_fits(self, length: int | None, scheme: Scheme | None) -> None:
        assert fitting(length) is scheme

    def test_a_column_has_its_own(self) -> None:
        mixed = Tokenizer(Scheme.HMAC_SHA256, KEY, {"phone": Scheme.HMAC_SHA256_96})

        assert mixed.of("phone").token("x") == SHORTEST.token("x")
        assert mixed.of("email").token("x") == TOKENIZER.token("x")

    def test_odds_are_those_of_the_birthday_bound(self) -> None:
        assert collisions(Scheme.HMAC_SHA256_96, 1_000_000) == "about 1 in 2e17"
        assert collisions(Scheme.HMAC_SHA256_144, 1_000_000) == "about 1 in 4e31"

    @pytest.mark.parametrize(("values", "said"), [(0, "8e28"), (2, "8e28"), (3, "3e28")])
    def test_a_pair_of_values_is_the_least_that_can_collide(self, values: int, said: str) -> None:
        assert collisions(Scheme.HMAC_SHA256_96, values) == f"about 1 in {said}"


class TestIsToken:
    @pytest.mark.parametrize(
        "value",
        ["tok_YQ==_poc", "tok_YWI=_poc", "tok_YWJj_poc", "tok_" + "A" * 43 + "=_poc"],
    )
    def test_canonical_base64_between_the_marks(self, value: str) -> None:
        assert is_token(value)

    @pytest.mark.parametrize(
        "value",
        [
            "tok__poc",
            "tok_abc_poc",  # not a multiple of four
            "tok_YR==_poc",  # stray bits: no encoder writes this
            "tok_YWJ=_poc",
            "tok_Y===_poc",
            "tok_YW-j_poc",  # the URL alphabet
            "tok_YWJj_poc\n",
            "\ntok_YWJj_poc",
            "tok_YWJj\n_poc",
            " tok_YWJj_poc",
            "tok_YWJj_poc ",
            "TOK_YWJj_poc",
            "tok_not base64_poc",
            "xtok_YWJj_poc",
            "tok_ＹＷＪｊ_poc",
        ],
    )
    def test_what_only_looks_like_one_is_a_plain_value(self, value: str) -> None:
        assert not is_token(value)
        assert TOKENIZER.token(value) != value


class TestParsing:
    def test_unset_scheme_is_hmac(self) -> None:
        assert parse_scheme("") is Scheme.HMAC_SHA256
        assert parse_scheme(None) is Scheme.HMAC_SHA256

    @pytest.mark.parametrize("scheme", Scheme)
    def test_a_known_scheme_is_that_one(self, scheme: Scheme) -> None:
        assert parse_scheme(scheme.value) is scheme

    def test_an_unknown_scheme_is_refused_with_the_known_ones(self) -> None:
        with pytest.raises(
            InvalidInput,
            match=r"^'rot13' is no tokenization scheme; choose "
            r"hmac-sha256, hmac-sha256-144, hmac-sha256-96, base64\.$",
        ):
            parse_scheme("rot13")

    def test_a_key_is_base64_of_32_bytes(self) -> None:
        assert parse_key(base64.b64encode(KEY).decode()) == KEY

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("secret!", "The tokenization key is not base64. It must be the base64 of 32 random "
             "bytes."),
            ("!" + base64.b64encode(KEY).decode(), "The tokenization key is not base64. It must be "
             "the base64 of 32 random bytes."),
            (base64.b64encode(b"short").decode(), "The tokenization key must be the base64 of 32 "
             "bytes; this one decodes to 5 bytes."),
        ],
        ids=["no base64", "base64 and more", "too short"],
    )  # fmt: skip
    def test_a_wrong_key_is_refused_and_not_repeated(self, text: str, said: str) -> None:
        with pytest.raises(InvalidInput) as refused:
            parse_key(text)

        assert refused.value.message == said
        assert text not in refused.value.message
