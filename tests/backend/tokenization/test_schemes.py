"""A scheme by column: what the preview says about it, and what a run leaves."""

import pytest

from backend.core.errors import InvalidInput
from backend.integrations.postgres.connection import connect
from backend.tokenization import preview
from backend.tokenization.engines.postgres import rewrite
from backend.tokenization.schemas import Preview, RunState
from backend.tokenization.tokens import Scheme, Tokenizer
from tests.backend.tokenization.world import (
    ADMIN,
    KEY,
    SHORT,
    SHORTEST,
    TOKENIZER,
    Recorder,
    Source,
    World,
    choices,
)

TABLE = "CREATE TABLE people (id int, a varchar(24), b varchar(32), c varchar(52), d varchar(20))"
ROW = "INSERT INTO people VALUES (1, 'anna', 'anna', 'anna', 'anna')"
SCHEMES = {"a": "hmac-sha256-96", "b": "hmac-sha256-144"}


@pytest.fixture
def people(source: Source) -> Source:
    source.run(TABLE, ROW)
    return source


def shown(world: World, *columns: str, schemes: dict[str, str] | None = None) -> Preview:
    return preview.preview(
        world.database,
        ADMIN,
        dataset=world.source.urn("people"),
        columns=columns,
        schemes=schemes,
    )


def test_a_column_that_is_too_short_says_which_scheme_fits(world: World, people: Source) -> None:
    found = shown(world, "a", "b", "c", "d")

    by_name = {column.name: column for column in found.report.columns}
    assert [by_name[name].fits for name in "abcd"] == [
        "hmac-sha256-96",
        "hmac-sha256-144",
        "hmac-sha256",
        "",
    ]
    assert "the scheme hmac-sha256-96 (24 characters) fits" in by_name["a"].blockers[0]
    assert "the scheme hmac-sha256-144 (32 characters) fits" in by_name["b"].blockers[0]
    assert by_name["c"].blockers == ()
    assert by_name["d"].blockers == (
        "a token has 52 characters and character varying(20) holds only 20; widen the column first",
    )


def test_the_preview_of_a_choice_is_free_of_blockers_and_says_what_it_costs(
    world: World, people: Source
) -> None:
    found = shown(world, "a", "b", "c", schemes=SCHEMES)

    assert found.report.all_blockers == ()
    assert [column.scheme for column in found.choices] == [*SCHEMES.values(), "hmac-sha256"]
    assert any("join on left(…, 20)" in warning for warning in found.report.warnings)
    by_name = {column.name: column for column in found.report.columns}
    assert "odds of about 1 in 2e17" in " ".join(by_name["a"].warnings)
    assert "odds" not in " ".join(by_name["c"].warnings)


def test_a_run_writes_each_column_in_its_scheme(world: World, people: Source) -> None:
    view = world.work(world.start("people", "a", "b", "c", schemes=SCHEMES))

    assert view.state is RunState.SUCCEEDED, view.details
    assert people.rows("SELECT a, b, c, d FROM people") == [
        (SHORTEST.token("anna"), SHORT.token("anna"), TOKENIZER.token("anna"), "anna")
    ]
    assert view.document()["schemes"] == {**SCHEMES, "c": "hmac-sha256"}


def test_a_run_with_code_on_the_table_does_too(people: Source) -> None:
    people.run(
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "CREATE TRIGGER t BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION f()",
    )
    mixed = Tokenizer(Scheme.HMAC_SHA256, KEY, {k: Scheme(v) for k, v in SCHEMES.items()})

    with connect(people.settings, people.secrets) as connection:
        table = people.table("people")
        rewrite.rewrite(connection, table, choices("a", "b", "c"), mixed, Recorder())

    assert people.rows("SELECT a, b, c FROM people") == [
        (SHORTEST.token("anna"), SHORT.token("anna"), TOKENIZER.token("anna"))
    ]


def test_the_preview_warns_where_earlier_tokens_have_another_length(
    world: World, people: Source
) -> None:
    people.run("CREATE TABLE others (id int, a text)", "INSERT INTO others VALUES (1, 'anna')")
    world.work(world.start("others", "a"))
    first = world.work(world.start("people", "b", schemes={"b": "hmac-sha256-96"}))

    found = shown(world, "a", "b", schemes=SCHEMES)

    by_name = {column.name: " ".join(column.warnings) for column in found.report.columns}
    assert f"run {first.id} gave this column hmac-sha256-96 tokens" in by_name["b"]
    assert f"{people.database}.public.others.a holds hmac-sha256 tokens" in by_name["a"]


class TestRefusals:
    def test_a_scheme_for_a_column_that_is_not_in_the_run(
        self, world: World, people: Source
    ) -> None:
        with pytest.raises(InvalidInput, match="named for b, which is no column of this run"):
            world.start("people", "a", schemes={"b": "hmac-sha256-96"})

    def test_a_reversible_scheme_for_one_column(self, world: World, people: Source) -> None:
        with pytest.raises(InvalidInput, match="among the keyed ones"):
            world.start("people", "a", schemes={"a": "base64"})

    def test_a_scheme_that_there_is_not(self, world: World, people: Source) -> None:
        with pytest.raises(InvalidInput, match="'rot13' is no tokenization scheme"):
            world.start("people", "a", schemes={"a": "rot13"})
