"""What the preview refuses and warns about, each on a real table."""

import pytest

from backend.integrations.postgres.connection import connect
from backend.integrations.postgres.errors import LockNotAvailable
from backend.tokenization.detection import Detection
from backend.tokenization.engines.postgres import catalog, inspect
from backend.tokenization.engines.postgres.catalog import NoSuchTable
from backend.tokenization.schemas import ColumnReport, TableReport
from backend.tokenization.tokens import Tokenizer
from tests.backend.tokenization.world import BASE64, TOKENIZER, Source, customers


def report(
    source: Source,
    table: str,
    *columns: str,
    tokenizer: Tokenizer = TOKENIZER,
    schema: str = "public",
    **login: str,
) -> TableReport:
    settings = {**source.settings, **login}
    with (
        connect(settings, source.secrets, readonly=True, lock_timeout=0.3) as connection,
        connection.cursor() as cursor,
    ):
        there = source.table(table, schema)
        return inspect.report(
            cursor,
            there,
            tokenizer=tokenizer,
            detection=Detection(chosen=dict.fromkeys(columns, "chosen")),
            facts=catalog.read(cursor, there),
        )


def column(found: TableReport, name: str) -> ColumnReport:
    return next(each for each in found.columns if each.name == name)


class TestCounts:
    def test_are_exact_per_column_and_for_rows(self, source: Source) -> None:
        source.run(
            "CREATE TABLE t (a text, b text)",
            "INSERT INTO t VALUES ('x', NULL), ('tok_YQ==_poc', 'y'), ('', ''), (NULL, NULL), "
            "('tok_abc_poc', 'tok_YQ==_poc'), ('z', 'z')",
        )

        found = report(source, "t", "a", "b")

        assert (found.rows_total, found.rows_to_update) == (6, 4)
        assert (column(found, "a").rows_to_update, column(found, "b").rows_to_update) == (3, 2)
        assert found.all_blockers == ()

    def test_an_empty_table_has_none(self, source: Source) -> None:
        source.run("CREATE TABLE t (a text)")

        found = report(source, "t", "a")

        assert (found.rows_total, found.rows_to_update) == (0, 0)

    def test_nothing_chosen_counts_rows_only(self, source: Source) -> None:
        customers(source, rows=7)

        found = report(source, "customers")

        assert (found.rows_total, found.rows_to_update) == (7, 0)
        assert not any(each.selected for each in found.columns)

    def test_nothing_is_written(self, source: Source) -> None:
        customers(source)
        before = source.rows("SELECT *, xmin::text FROM customers ORDER BY id")

        report(source, "customers", "email")

        assert source.rows("SELECT *, xmin::text FROM customers ORDER BY id") == before


class TestSamples:
    def test_values_are_masked_and_tokens_real(self, source: Source) -> None:
        customers(source, rows=1)

        (sample,) = column(report(source, "customers", "email"), "email").samples

        assert sample.before == "p••••••@•••••••.•••"
        assert sample.after == TOKENIZER.token("person1@example.org")

    def test_a_reversible_token_is_hidden_too(self, source: Source) -> None:
        customers(source, rows=1)

        found = report(source, "customers", "email", tokenizer=BASE64)

        assert column(found, "email").samples[0].after == "tok_••••••••_poc (36 characters)"


SIMPLE_BLOCKERS = {
    "not text": ("a int", "its type integer is not text"),
    "json": ("a jsonb", "its type jsonb is not text"),
    "array": ("a text[]", "its type text[] is not text"),
    "name": ("a name", "its type name is not text"),
    "short varchar": ("a varchar(51)", "a token has 52 characters"),
    "short char": ("a char(51)", "a token has 52 characters"),
    "generated": ("b text, a text GENERATED ALWAYS AS (b || 'x') STORED", "generated column"),
    "primary key": ("a text PRIMARY KEY", "is part of the primary key t_pkey"),
    "composite primary key": ("b int, a text, PRIMARY KEY (b, a)", "is part of the primary key"),
    "check": ("a text CHECK (a LIKE '%@%')", "is part of the check constraint t_a_check"),
    "table check": ("a text, b text, CHECK (a <> b)", "is part of the check constraint t_check"),
    "exclusion": (
        "a text, EXCLUDE USING btree (a WITH =)",
        "is part of the exclusion constraint t_a_excl",
    ),
}


class TestColumnBlockers:
    @pytest.mark.parametrize("case", SIMPLE_BLOCKERS)
    def test_each_is_named(self, source: Source, case: str) -> None:
        columns, sentence = SIMPLE_BLOCKERS[case]
        source.run(f"CREATE TABLE t ({columns})")

        found = report(source, "t", "a")

        assert any(sentence in blocker for blocker in column(found, "a").blockers)
        assert found.rows_to_update is None

    def test_a_column_that_does_not_exist(self, source: Source) -> None:
        customers(source)

        found = report(source, "customers", "Email")

        assert column(found, "Email").blockers == (
            "the table has no such column (names are case-sensitive)",
        )

    def test_a_dropped_column_does_not_exist(self, source: Source) -> None:
        source.run("CREATE TABLE t (a text, b text)", "ALTER TABLE t DROP COLUMN a")

        assert column(report(source, "t", "a"), "a").blockers

    def test_both_sides_of_a_foreign_key(self, source: Source) -> None:
        source.run(
            "CREATE TABLE parent (code text UNIQUE)",
            "CREATE TABLE child (code text REFERENCES parent (code))",
        )

        child = column(report(source, "child", "code"), "code")
        parent = column(report(source, "parent", "code"), "code")

        assert child.blockers == (
            "is part of the foreign key child_code_fkey; its values must match another table's",
        )
        assert parent.blockers == ("is referred to by the foreign key child_code_fkey of child",)

    def test_a_domain_with_a_check_is_refused_and_one_without_is_not(self, source: Source) -> None:
        source.run(
            "CREATE DOMAIN mail AS text CHECK (VALUE LIKE '%@%')",
            "CREATE DOMAIN work_mail AS mail",
            "CREATE DOMAIN label AS varchar(60)",
            "CREATE DOMAIN short AS varchar(20)",
            "CREATE TABLE t (a work_mail, b label, c short)",
        )

        found = report(source, "t", "a", "b", "c")

        assert "its domain work_mail has a check constraint" in column(found, "a").blockers[0]
        assert column(found, "b").blockers == ()
        assert "holds only 20" in column(found, "c").blockers[0]

    def test_base64_is_measured_on_the_data(self, source: Source) -> None:
        source.run("CREATE TABLE t (a varchar(20))", "INSERT INTO t VALUES ('123456789'), ('1')")

        assert report(source, "t", "a", tokenizer=BASE64).all_blockers == ()

        source.run("INSERT INTO t VALUES ('1234567890')")

        (blocker,) = report(source, "t", "a", tokenizer=BASE64).all_blockers
        assert "a token has 24 characters" in blocker

    def test_wide_enough_columns_pass(self, source: Source) -> None:
        source.run("CREATE TABLE t (a varchar(52), b char(52), c varchar, d text)")

        assert report(source, "t", "a", "b", "c", "d").all_blockers == ()

    def test_partition_keys(self, source: Source) -> None:
        source.run(
            "CREATE TABLE t (a text, b text, c text) PARTITION BY LIST (a)",
            "CREATE TABLE t1 PARTITION OF t FOR VALUES IN ('x') PARTITION BY LIST (lower(b))",
            "CREATE TABLE t11 PARTITION OF t1 FOR VALUES IN ('y')",
        )

        found = report(source, "t", "a", "b", "c")

        assert "is part of the partition key of t;" in column(found, "a").blockers[0]
        assert "is part of the partition key of t1;" in column(found, "b").blockers[0]
        assert not any("partition key" in blocker for blocker in column(found, "c").blockers)

    def test_what_partitions_inherit_is_said_once(self, source: Source) -> None:
        source.run(
            "CREATE TABLE t (a text, b text, PRIMARY KEY (a, b)) PARTITION BY LIST (a)",
            "CREATE INDEX t_b ON t (b)",
            "CREATE TABLE t1 PARTITION OF t FOR VALUES IN ('x') PARTITION BY LIST (b)",
            "CREATE TABLE t11 PARTITION OF t1 FOR VALUES IN ('y')",
            "CREATE UNIQUE INDEX own ON t11 (b)",
            "CREATE TABLE other (a text, b text, FOREIGN KEY (a, b) REFERENCES t)",
        )

        b = column(report(source, "t", "b"), "b")
        assert [blocker.split(";")[0] for blocker in b.blockers] == [
            "is part of the partition key of t1",
            "is part of the primary key t_pkey",
            "is referred to by the foreign key other_a_b_fkey of other",
        ]
        named = " ".join(b.warnings)
        assert [named.count(f"index {name} ") for name in ("t_pkey", "t_b", "own")] == [1, 1, 1]
        assert len(b.warnings) == 3

        alone = column(report(source, "t11", "b"), "b")
        assert alone.blockers[0].startswith("is part of the primary key t11_pkey")
        assert len(alone.warnings) == 3


class TestTableBlockers:
    def test_no_such_table_is_said_at_once(self, source: Source) -> None:
        with pytest.raises(NoSuchTable, match=r"has no table public\.nowhere"):
            report(source, "nowhere", "a")

    @pytest.mark.parametrize(
        ("statement", "sentence"),
        [
            ("CREATE VIEW v AS SELECT 'x'::text AS a", "it is a view"),
            ("CREATE MATERIALIZED VIEW v AS SELECT 'x'::text AS a", "it is a materialized view"),
            ("CREATE SEQUENCE v", "it is a sequence"),
        ],
    )
    def test_only_tables(self, source: Source, statement: str, sentence: str) -> None:
        source.run(statement)

        assert sentence in report(source, "v", "a").blockers[0]

    def test_the_servers_own_tables(self, source: Source) -> None:
        found = report(source, "sql_features", "feature_name", schema="information_schema")

        assert "belongs to PostgreSQL itself" in found.blockers[0]

    def test_missing_rights_are_named(self, source: Source) -> None:
        customers(source)
        source.run(
            "DROP ROLE IF EXISTS reader_only",
            f"CREATE ROLE reader_only LOGIN PASSWORD '{source.secrets['password']}'",
            "GRANT SELECT ON customers TO reader_only",
            f'REVOKE TEMP ON DATABASE "{source.database}" FROM PUBLIC',
        )
        try:
            found = report(source, "customers", "email", user="reader_only")
        finally:
            source.run("REVOKE ALL ON customers FROM reader_only", "DROP ROLE reader_only")

        assert any("lacks UPDATE on the table public.customers" in b for b in found.blockers)
        assert any("may not make temporary tables" in b for b in found.blockers)

    def test_a_right_missing_on_one_partition(self, source: Source) -> None:
        source.run(
            "CREATE TABLE t (k int, a text) PARTITION BY LIST (k)",
            "CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1)",
            "DROP ROLE IF EXISTS half",
            f"CREATE ROLE half LOGIN PASSWORD '{source.secrets['password']}'",
            "GRANT SELECT, UPDATE ON t TO half",
        )
        try:
            found = report(source, "t", "a", user="half")
        finally:
            source.run("REVOKE ALL ON t FROM half", "DROP ROLE half")

        assert found.blockers == ("The login half lacks SELECT and UPDATE on the table public.t1.",)

    def test_row_security_that_hides_rows(self, source: Source) -> None:
        source.run(
            "CREATE TABLE t (a text)",
            "INSERT INTO t VALUES ('x')",
            "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
            "DROP ROLE IF EXISTS tenant",
            f"CREATE ROLE tenant LOGIN PASSWORD '{source.secrets['password']}'",
            "GRANT SELECT, UPDATE ON t TO tenant",
        )
        try:
            hidden = report(source, "t", "a", user="tenant")
            owner = report(source, "t", "a")
        finally:
            source.run("REVOKE ALL ON t FROM tenant", "DROP ROLE tenant")

        assert any("Row security on public.t hides rows" in b for b in hidden.blockers)
        assert owner.all_blockers == ()

    def test_a_rule_that_replaces_update(self, source: Source) -> None:
        source.run(
            "CREATE TABLE t (a text)", "CREATE RULE no_update AS ON UPDATE TO t DO INSTEAD NOTHING"
        )

        assert "The rule no_update replaces UPDATE" in report(source, "t", "a").blockers[0]

    def test_a_publication_without_identity(self, source: Source) -> None:
        source.run("CREATE TABLE t (a text)", "CREATE PUBLICATION everything FOR TABLE t")

        assert "The publication everything" in report(source, "t", "a").blockers[0]

    def test_a_foreign_partition(self, source: Source) -> None:
        if not source.rows("SELECT 1 FROM pg_available_extensions WHERE name = 'postgres_fdw'"):
            source.run(
                "CREATE FOREIGN DATA WRAPPER nothing",
                "CREATE SERVER s FOREIGN DATA WRAPPER nothing",
            )
        else:
            source.run(
                "CREATE EXTENSION postgres_fdw", "CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw"
            )
        source.run(
            "CREATE TABLE t (k int, a text) PARTITION BY LIST (k)",
            "CREATE FOREIGN TABLE far PARTITION OF t FOR VALUES IN (2) SERVER s",
        )

        assert "The partition public.far is a foreign table" in report(source, "t", "a").blockers[0]


class TestWarnings:
    def test_indexes_unique_and_not(self, source: Source) -> None:
        source.run(
            "CREATE TABLE t (a text UNIQUE, b text)",
            "CREATE INDEX by_b ON t (lower(b))",
            "CREATE INDEX where_b ON t (a) WHERE b IS NOT NULL",
            "CREATE UNIQUE INDEX with_b ON t (a) INCLUDE (b)",
        )

        found = report(source, "t", "a", "b")

        assert any("unique index t_a_key stays valid" in w for w in column(found, "a").warnings)
        assert any("the index by_b is rewritten" in w for w in column(found, "b").warnings)
        assert any("the index where_b is rewritten" in w for w in column(found, "b").warnings)
        assert any("unique index with_b stays valid" in w for w in column(found, "a").warnings)
        assert not any("with_b" in w for w in column(found, "b").warnings)

    def test_triggers_that_fire_on_these_columns(self, source: Source) -> None:
        source.run(
            "CREATE TABLE t (a text, b text)",
            "CREATE FUNCTION noop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
            "CREATE TRIGGER on_a BEFORE UPDATE OF a ON t FOR EACH ROW EXECUTE FUNCTION noop()",
            "CREATE TRIGGER on_b BEFORE UPDATE OF b ON t FOR EACH ROW EXECUTE FUNCTION noop()",
            "CREATE TRIGGER on_insert BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION noop()",
        )

        text = " ".join(report(source, "t", "a").warnings)

        assert "trigger on_a on t fires" in text
        assert "trigger on_b on t fires" not in text
        assert "on_insert" not in text

    def test_copies_elsewhere(self, source: Source) -> None:
        source.run(
            "CREATE TABLE t (a text, shout text GENERATED ALWAYS AS (upper(a)) STORED)",
            "CREATE MATERIALIZED VIEW copy_of_t AS SELECT a FROM t",
        )

        text = " ".join(column(report(source, "t", "a"), "a").warnings)

        assert "materialized view copy_of_t keeps the plain values" in text
        assert "generated column shout is computed anew" in text

    def test_locks_that_a_run_would_wait_for(self, source: Source) -> None:
        customers(source)
        with source.connection(application_name="nightly load") as other:
            other.autocommit = False
            other.cursor().execute("UPDATE customers SET name = name")

            text = " ".join(report(source, "customers", "email").warnings)

        assert "(nightly load, for 0 s" in text

    def test_a_table_locked_against_reading_is_said_not_waited_for(self, source: Source) -> None:
        customers(source)
        with source.connection() as other:
            other.autocommit = False
            other.cursor().execute("LOCK TABLE customers IN ACCESS EXCLUSIVE MODE")

            with pytest.raises(LockNotAvailable, match="another session holds a lock"):
                report(source, "customers", "email")

    def test_long_values_and_an_index_under_base64(self, source: Source) -> None:
        source.run("CREATE TABLE t (a text)", "CREATE INDEX by_a ON t (a)")

        text = " ".join(column(report(source, "t", "a", tokenizer=BASE64), "a").warnings)

        assert "by_a refuses entries of more than" in text
