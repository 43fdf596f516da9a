"""Passwords: what is accepted, and that a hash fits its own password only."""

import bcrypt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.accounts import passwords
from backend.core.errors import InvalidInput

TEXT = st.text(min_size=0, max_size=140)


class TestCheckNew:
    @pytest.mark.parametrize(
        "password",
        ["aaaaaaaz", "        x", "zzzz zzzz", "äöüäöüäö", "12345679801", "x" * 128, "🦊" * 8],
    )
    def test_takes_any_characters_from_8_to_128(self, password: str) -> None:
        assert passwords.check_new(password, name="ann") == password

    @pytest.mark.parametrize("password", ["", "seven77", "x" * 129])
    def test_refuses_what_is_too_short_or_too_long(self, password: str) -> None:
        with pytest.raises(InvalidInput, match="characters"):
            passwords.check_new(password, name="ann")

    @pytest.mark.parametrize("password", ["12345678", "PassWord1", "qwertyuiop", "Iloveyou"])
    def test_refuses_what_everybody_tries_first_in_any_case(self, password: str) -> None:
        with pytest.raises(InvalidInput, match="first that anybody tries"):
            passwords.check_new(password, name="ann")

    def test_knows_at_least_the_three_thousand_commonest(self) -> None:
        assert len(passwords._common()) >= 3_000

    def test_refuses_the_name_itself(self) -> None:
        assert passwords.check_new("Ann.Example", name="ben"), "it is on no list"
        with pytest.raises(InvalidInput, match="first that anybody tries"):
            passwords.check_new("Ann.Example", name="ann.example")


class TestHash:
    @settings(max_examples=60, deadline=None)
    @given(TEXT, TEXT)
    def test_fits_its_own_password_and_no_other(self, mine: str, other: str) -> None:
        stored = passwords.hash_password(mine)
        assert passwords.verify(mine, stored)
        assert passwords.verify(other, stored) == (
            passwords._prehash(other, b"s") == passwords._prehash(mine, b"s")
        )

    def test_reads_beyond_bcrypts_72_bytes(self) -> None:
        stored = passwords.hash_password("x" * 100 + "a")
        assert not passwords.verify("x" * 100 + "b", stored)
        assert not passwords.verify("x" * 72, stored)

    def test_is_not_ended_by_a_zero_byte(self) -> None:
        assert not passwords.verify("abc\0def", passwords.hash_password("abc\0xyz"))

    def test_one_password_gives_two_different_hashes(self) -> None:
        assert passwords.hash_password("same") != passwords.hash_password("same")

    def test_takes_composed_and_decomposed_letters_for_the_same(self) -> None:
        assert passwords.verify("cafe\u0301 au lait", passwords.hash_password("caf\u00e9 au lait"))

    def test_costs_what_is_advised_today(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.undo()
        assert passwords.ROUNDS >= 12
        assert passwords.hash_password("some password").startswith("bcrypt-sha256$2b$12$")


class TestVerify:
    def test_hashes_also_when_there_is_nothing_to_compare_with(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        looked = []
        real = bcrypt.checkpw
        monkeypatch.setattr(bcrypt, "checkpw", lambda p, h: looked.append(h) or real(p, h))
        assert not passwords.verify("anything", None)
        assert not passwords.verify("anything", passwords.hash_password("another"))
        costs = [stored[:7] for stored in looked]
        assert len(costs) == 2
        assert costs[0] == costs[1]

    def test_a_foreign_scheme_never_fits(self) -> None:
        stored = passwords.hash_password("a password")
        assert not passwords.verify("a password", stored.replace("bcrypt-sha256", "plain"))

    def test_random_passwords_are_strong_and_never_twice_the_same(self) -> None:
        made = {passwords.random_password() for _ in range(200)}
        assert len(made) == 200
        assert all(len(p) == 23 and passwords.check_new(p, name="x") for p in made)
