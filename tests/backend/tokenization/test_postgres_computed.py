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


def require_virtual(world: World) -> None:
    """Skip where the server is older than 18."""
    (version,) = world.source.column("SHOW server_version_num")
    if int(version) < 180_000:
        pytest.skip("virtual generated columns came with PostgreSQL 18")


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
        # Nothing of it is written, so the write itself succeeds: nobody could read the row again.
        (
            "the generated column virtual",
            "CREATE TABLE t (phone text, "
            "virtual bigint GENERATED ALWAYS AS (phone::bigint) VIRTUAL)",
        ),
    )

    @pytest.mark.parametrize(("what", "statements"), [(t[0], t[1:]) for t in TABLES])
    def test_is_warned_about_and_named_when_it_fails(
        self, world: World, what: str, statements: tuple[str, ...]
    ) -> None:
        if what.endswith("virtual"):
            require_virtual(world)
        world.source.run(*statements, "INSERT INTO t (phone) VALUES ('12'), ('34')")

        text = warnings(previewed(world, "t", "phone"))

        assert f"{what} is" in text
        assert "the run fails and nothing is changed" in text
        details = ran(world, "t", "phone")
        assert f"a token does not fit {what}" in details
        assert "tok_" not in details
        assert world.source.column("SELECT phone FROM t ORDER BY 1") == ["12", "34"]

    def test_a_virtual_column_of_an_inheriting_table_alone_is_named_too(self, world: World) -> None:
        require_virtual(world)
        world.source.run(
            "CREATE TABLE t (phone text)",
            "CREATE TABLE kid (n bigint GENERATED ALWAYS AS (phone::bigint) VIRTUAL) INHERITS (t)",
            "INSERT INTO kid (phone) VALUES ('12')",
        )
        details = ran(world, "t", "phone")
        assert "a token does not fit the generated column n of public.kid" in details

    def test_one_that_takes_no_null_is_named_where_its_constraint_has_no_name(
        self, world: World
    ) -> None:
        world.source.run(
            "CREATE TABLE t (phone text, n text GENERATED ALWAYS AS (substr(nullif(left(phone, 4), "
            "'tok_'), 1)) STORED NOT NULL)",
            "INSERT INTO t (phone) VALUES ('12')",
        )
        assert "the column n, which takes no NULL, would have become one" in ran(
            world, "t", "phone"
        )


class TestPublications:
    @pytest.mark.parametrize("kind", ["STORED", "VIRTUAL"])
    def test_a_generated_column_of_the_identity_that_is_not_published_is_named(
        self, world: World, kind: str
    ) -> None:
        require_virtual(world)
        world.source.run(
            f"CREATE TABLE t (a text, g text GENERATED ALWAYS AS (upper(a)) {kind})",
            "ALTER TABLE t REPLICA IDENTITY FULL",
            "CREATE PUBLICATION pub FOR ALL TABLES",
            "INSERT INTO t (a) VALUES ('x')",
        )
        (blocker,) = previewed(world, "t", "a").blockers
        assert blocker.startswith(
            "The publication pub of this table has no values of the generated column g,"
        )
        assert blocker in ran(world, "t", "a")

    def test_one_that_is_published_is_in_nobodys_way(self, world: World) -> None:
        require_virtual(world)
        world.source.run(
            "CREATE TABLE t (a text, g text GENERATED ALWAYS AS (upper(a)) STORED)",
            "ALTER TABLE t REPLICA IDENTITY FULL",
            "CREATE PUBLICATION pub FOR ALL TABLES WITH (publish_generated_columns = stored)",
            "INSERT INTO t (a) VALUES ('x')",
        )
        assert world.work(world.start("t", "a")).state is RunState.SUCCEEDED

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


class TestPreparedTransactions:
    def test_one_that_holds_the_table_is_named_with_what_ends_it(self, world: World) -> None:
        if world.source.column("SHOW max_prepared_transactions") == ["0"]:
            pytest.skip("the server takes no prepared transactions")
        customers(world.source)
        with world.source.connection() as other, other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("UPDATE customers SET name = 'x' WHERE id = 1")
            cursor.execute("PREPARE TRANSACTION 'left by ann'")
        try:
            found = " ".join(previewed(world, "customers", "email").warnings)
            details = ran(world, "customers", "email")
        finally:
            world.source.run("ROLLBACK PREPARED 'left by ann'")
        for said in (found, details):
            assert "the prepared transaction 'left by ann' (" in said
            assert "only COMMIT PREPARED or ROLLBACK PREPARED ends it" in said
