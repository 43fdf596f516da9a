"""What a preview says about unique columns and computed things, and what the run does then."""

import pytest

from backend.tokenization import preview
from backend.tokenization.engines.postgres import engine as engines
from backend.tokenization.schemas import RunState, TableReport
from tests.backend.tokenization import world as worlds
from tests.backend.tokenization.world import STEWARD, World, customers


def previewed(world: World, table: str, *columns: str) -> TableReport:
    return preview.preview(
        world.database, STEWARD, dataset=world.source.urn(table), columns=list(columns)
    ).report


def warnings(report: TableReport) -> str:
    return " ".join(warning for column in report.columns for warning in column.warnings)


def ran(world: World, table: str, *columns: str) -> str:
    """What a failed run says."""
    ended = world.work(world.start(table, *columns))
    assert (ended.state, ended.rows_updated) == (RunState.FAILED, 0)
    return ended.details


class TestUnique:
    @pytest.mark.parametrize("scheme", ["hmac-sha256", "base64"])
    def test_a_customer_who_registered_again_is_seen_before_the_run(
        self, database: object, source: worlds.Source, scheme: str
    ) -> None:
        world = worlds.make_world(database, source, scheme=scheme)  # type: ignore[arg-type]
        customers(source)
        source.run("ALTER TABLE customers ADD UNIQUE (email)")
        assert previewed(world, "customers", "email").rows_to_update == 50
        assert world.work(world.start("customers", "email")).state is RunState.SUCCEEDED
        source.run("INSERT INTO customers VALUES (51, '', 'new@example.org', '')")
        assert previewed(world, "customers", "email").rows_to_update == 1
        source.run("INSERT INTO customers VALUES (52, '', 'person1@example.org', '')")

        found = previewed(world, "customers", "email")

        assert found.rows_to_update is None
        assert found.all_blockers == (
            "email: 1 values were tokenized before and entered again, and the unique index "
            "customers_email_key holds their tokens already; merge or remove these rows first",
        )
        assert "tokenized before and entered again" in ran(world, "customers", "email")

    def test_looking_for_them_writes_nothing(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        customers(world.source)
        world.source.run("ALTER TABLE customers ADD UNIQUE (email)")
        seen = []
        original = engines.measure.count_entered_again

        def look(cursor: object, *rest: object) -> int:
            cursor.execute("SHOW transaction_read_only")  # type: ignore[attr-defined]
            seen.append(cursor.fetchone()[0])  # type: ignore[attr-defined]
            return original(cursor, *rest)  # type: ignore[arg-type]

        monkeypatch.setattr(engines.measure, "count_entered_again", look)

        assert previewed(world, "customers", "email").rows_to_update == 50
        assert seen == ["on"]

    def test_an_index_of_more_than_the_column_is_promised_nothing(self, world: World) -> None:
        customers(world.source)
        world.source.run(
            "CREATE UNIQUE INDEX of_two ON customers (name, email)",
            "CREATE UNIQUE INDEX of_some ON customers (email) WHERE id < 10",
            "CREATE UNIQUE INDEX of_start ON customers (left(email, 12))",
        )

        text = warnings(previewed(world, "customers", "email"))

        assert "of_two stays valid unless a value in it was tokenized before" in text
        assert "of_some stays valid unless a value in it was tokenized before" in text
        assert "the unique index of_start is rewritten; it is computed from this column" in text
        assert "of_start stays valid" not in text


class TestComputed:
    """`phone::bigint` takes a number and no token."""

    TABLES = (
        (
            "the index by_number",
            "CREATE TABLE t (phone text)",
            "CREATE INDEX by_number ON t ((phone::bigint))",
        ),
        (
            "the index of_long",
            "CREATE TABLE t (phone text, id int)",
            "CREATE INDEX of_long ON t (id) WHERE phone::bigint > 9",
        ),
        (
            "the generated column number",
            "CREATE TABLE t (phone text, number bigint GENERATED ALWAYS AS (phone::bigint) STORED)",
        ),
        (
            "the generated column short",
            "CREATE TABLE t (phone text, "
            "short varchar(9) GENERATED ALWAYS AS (upper(phone)) STORED)",
        ),
    )

    @pytest.mark.parametrize(("what", "statements"), [(t[0], t[1:]) for t in TABLES])
    def test_is_warned_about_and_named_when_it_fails(
        self, world: World, what: str, statements: tuple[str, ...]
    ) -> None:
        world.source.run(*statements, "INSERT INTO t (phone) VALUES ('12'), ('34')")

        text = warnings(previewed(world, "t", "phone"))

        assert f"{what} is" in text
        assert "the run fails and nothing is changed" in text
        details = ran(world, "t", "phone")
        assert f"a token does not fit {what}" in details
        assert "tok_" not in details
        assert world.source.column("SELECT phone FROM t ORDER BY 1") == ["12", "34"]


class TestPublications:
    @pytest.mark.parametrize(
        "statements",
        [
            (
                "CREATE TABLE t (k int, a text)",
                "CREATE PUBLICATION pub FOR TABLES IN SCHEMA public",
            ),
            ("CREATE TABLE t (k int, a text)", "CREATE PUBLICATION pub FOR ALL TABLES"),
            (
                "CREATE TABLE t (k int, a text) PARTITION BY LIST (k)",
                "CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1)",
                "CREATE PUBLICATION pub FOR TABLE t",
            ),
            (
                "CREATE TABLE t (k int, a text) PARTITION BY LIST (k)",
                "CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1)",
                "CREATE PUBLICATION pub FOR TABLE t WITH (publish_via_partition_root)",
            ),
        ],
        ids=["schema", "all tables", "root", "via root"],
    )
    def test_without_identity_are_refused_before_the_run(
        self, world: World, statements: tuple[str, ...]
    ) -> None:
        if "SCHEMA" in statements[-1] and _version(world) < 150_000:
            pytest.skip("publications of a schema came with PostgreSQL 15")
        world.source.run(*statements, "INSERT INTO t VALUES (1, 'x')")

        assert "The publication pub" in previewed(world, "t", "a").blockers[0]
        assert "The publication pub" in ran(world, "t", "a")

    def test_of_another_table_or_without_updates_do_not_matter(self, world: World) -> None:
        world.source.run(
            "CREATE TABLE t (a text)",
            "CREATE TABLE u (a text)",
            "CREATE PUBLICATION other FOR TABLE u",
            "CREATE PUBLICATION inserts FOR TABLE t WITH (publish = 'insert')",
        )

        assert previewed(world, "t", "a").all_blockers == ()


def _version(world: World) -> int:
    return int(world.source.column("SHOW server_version_num")[0])
