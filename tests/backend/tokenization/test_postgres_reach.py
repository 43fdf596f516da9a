"""Where values go beyond the table, and names as ingestion spells them, each on a real server."""

import pytest

from backend.core.errors import InvalidInput
from backend.tokenization import preview
from backend.tokenization.schemas import Preview, RunState
from tests.backend.tokenization.world import ADMIN, TOKENIZER, World

TABLE = "CREATE TABLE t (id int PRIMARY KEY, email text, note text)"
ROW = "INSERT INTO t VALUES (1, 'anna@example.org', 'n'), (2, 'anna@example.com', 'n')"


def previewed(world: World, table: str, *columns: str) -> Preview:
    return preview.preview(world.database, ADMIN, dataset=world.source.urn(table), columns=columns)


@pytest.fixture
def table(world: World) -> World:
    world.source.run(TABLE, ROW)
    return world


def server_version(world: World) -> int:
    return int(world.source.column("SHOW server_version_num")[0])


class TestPublications:
    @pytest.fixture(autouse=True)
    def of_15(self, table: World) -> None:
        if server_version(table) < 150_000:
            pytest.skip("row filters and column lists came with PostgreSQL 15")

    def test_a_row_filter_outside_the_identity_is_a_blocker_by_name(self, table: World) -> None:
        table.source.run("CREATE PUBLICATION p FOR TABLE t (id) WHERE (email <> '')")

        (blocker,) = previewed(table, "t", "email").report.blockers

        assert blocker.startswith("The publication p of this table has a row filter on email,")
        ended = table.work(table.start("t", "email"))
        assert (ended.state, blocker in ended.details) == (RunState.FAILED, True)

    def test_a_column_list_without_the_identity_is_one_too(self, table: World) -> None:
        table.source.run(
            "ALTER TABLE t REPLICA IDENTITY FULL", "CREATE PUBLICATION p FOR TABLE t (id, note)"
        )

        (blocker,) = previewed(table, "t", "email").report.blockers

        assert blocker.startswith("The publication p of this table has a column list,")

    def test_a_row_filter_on_the_column_would_delete_rows_elsewhere(self, table: World) -> None:
        # An UPDATE whose old row fits and whose new row does not is sent as a DELETE:
        # postgresql.org/docs/current/logical-replication-row-filter.html
        table.source.run(
            "ALTER TABLE t REPLICA IDENTITY FULL",
            "CREATE PUBLICATION p FOR TABLE t WHERE (email LIKE '%@%')",
        )

        found = previewed(table, "t", "email", "note").report

        (blocker,) = found.all_blockers
        assert "the publication p has a row filter on it" in blocker
        ended = table.work(table.start("t", "email"))
        assert (ended.state, "row filter on it" in ended.details) == (RunState.FAILED, True)
        assert table.work(table.start("t", "note")).state is RunState.SUCCEEDED

    def test_one_that_goes_with_the_identity_is_only_named(self, table: World) -> None:
        table.source.run("CREATE PUBLICATION p FOR TABLE t (id, note) WHERE (id > 0)")

        found = previewed(table, "t", "email").report

        assert found.all_blockers == ()
        assert any("The publication p sends changes on" in each for each in found.warnings)
        assert table.work(table.start("t", "email")).state is RunState.SUCCEEDED

    def test_one_without_updates_leaves_its_subscribers_the_plain_values(
        self, table: World
    ) -> None:
        table.source.run("CREATE PUBLICATION p FOR TABLE t WITH (publish = 'insert, delete')")

        found = previewed(table, "t", "email").report

        assert found.all_blockers == ()
        (warned,) = [each for each in found.warnings if "The publication p" in each]
        assert "never get the tokens" in warned
        assert "publication p does not send a rewrite" in "".join(found.rewrite_blockers)


def test_a_materialized_view_over_views_is_named(table: World) -> None:
    table.source.run(
        "CREATE VIEW one AS SELECT id, email AS mail FROM t",
        "CREATE VIEW two AS SELECT mail FROM one",
        "CREATE MATERIALIZED VIEW three AS SELECT mail FROM two",
        "CREATE MATERIALIZED VIEW four AS SELECT upper(mail) AS mail FROM three",
        "CREATE MATERIALIZED VIEW other AS SELECT note FROM t",
    )

    (email,) = [c for c in previewed(table, "t", "email").report.columns if c.name == "email"]

    named = [w.split()[3] for w in email.warnings if w.startswith("the materialized view")]
    assert named == ["three", "four"]


def test_a_foreign_table_of_the_name_is_named(table: World) -> None:
    table.source.run(
        "CREATE FOREIGN DATA WRAPPER dummy",
        "CREATE SERVER elsewhere FOREIGN DATA WRAPPER dummy",
        "CREATE FOREIGN TABLE far (email text) SERVER elsewhere "
        "OPTIONS (schema_name 'public', table_name 't')",
    )

    warnings = previewed(table, "t", "email").report.warnings

    assert any("The foreign table far reads a table of this name" in each for each in warnings)


def test_a_unique_index_on_an_expression_is_said_by_name(table: World) -> None:
    table.source.run(
        "UPDATE t SET email = id || email", 'CREATE UNIQUE INDEX start ON t ("left"(email, 4))'
    )

    ended = table.work(table.start("t", "email"))

    assert ended.state is RunState.FAILED
    assert 'the unique index start is on the expression "left"(email, 4)' in ended.details
    assert "all tokens begin with tok_" in ended.details


class TestLowerCasedNames:
    def test_the_only_table_that_differs_in_case_is_meant(self, world: World) -> None:
        world.source.run(
            'CREATE TABLE "MixedCase" (email text)', "INSERT INTO \"MixedCase\" VALUES ('a')"
        )

        assert previewed(world, "mixedcase", "email").report.rows_to_update == 1
        ended = world.work(world.start("mixedcase", "email"))

        assert ended.state is RunState.SUCCEEDED, ended.details
        assert world.source.column('SELECT email FROM "MixedCase"') == [TOKENIZER.token("a")]

    def test_of_two_none_is(self, world: World) -> None:
        world.source.run('CREATE TABLE "Mixed" (email text)', 'CREATE TABLE "MIXED" (email text)')

        with pytest.raises(InvalidInput, match=r"has no table public\.mixed"):
            world.start("mixed", "email")


@pytest.mark.parametrize(
    ("type_", "advice"),
    [
        ("jsonb", "inside a document"),
        ("text[]", "rows of a table of their own"),
        ("inet", "USING host(…)"),
        ("cidr", "USING host(…)"),
    ],
)
def test_a_type_that_is_not_text_says_what_could_be_done(
    world: World, type_: str, advice: str
) -> None:
    world.source.run(f"CREATE TABLE t (a {type_})")

    (column,) = previewed(world, "t", "a").report.columns

    assert f"its type {type_} is not text; " in column.blockers[0]
    assert advice in column.blockers[0]


def test_more_than_200_columns(world: World) -> None:
    names = [f"c{n}" for n in range(300)]
    world.source.run(
        f"CREATE TABLE wide ({', '.join(f'{name} text' for name in names)})",
        "INSERT INTO wide (c0, c299) VALUES ('a', 'b')",
    )

    ended = world.work(world.start("wide", *names))

    assert ended.state is RunState.SUCCEEDED, ended.details
    assert world.source.rows("SELECT c0, c299 FROM wide") == [
        (TOKENIZER.token("a"), TOKENIZER.token("b"))
    ]
