"""The Databricks engine: its expressions on a real local Spark, the rest on a scripted client.

Spark needs Java 17 or later, which pip cannot bring. Without any Java the Spark tests are skipped
with a word, in CI too; a Java that is there but cannot run Spark is a fault and fails them in CI.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.core import clock
from backend.core.errors import InvalidInput
from backend.integrations.databricks.client import DatabricksConfig, from_connection
from backend.tokenization import detection, patterns
from backend.tokenization.engines.base import Blocked, NoSuchColumn, Outcome, RewriteResult
from backend.tokenization.engines.databricks import expressions
from backend.tokenization.engines.databricks.engine import DatabricksEngine
from backend.tokenization.schemas import ColumnReport, TableName
from backend.tokenization.tokens import PATTERN, Tokenizer
from tests.backend.tokenization import test_reversible
from tests.backend.tokenization.corpus import NASTY, TEXTS
from tests.backend.tokenization.world import SCHEMES, TOKENIZER, Recorder, choices
from tests.fixtures.processes import missing

CONFIG = DatabricksConfig("host", "/sql/1.0/warehouses/x", "main", "secret-token")
TABLE = TableName("main", "crm", "people")


def require_java() -> None:
    """Skip without Java; `missing` (a failure in CI) with one that Spark cannot use."""
    home = os.environ.get("JAVA_HOME")
    program = os.path.join(home, "bin", "java") if home else shutil.which("java")
    if not program or not os.path.exists(program):
        pytest.skip("Spark needs Java, and there is none on this machine")
    text = subprocess.run([program, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', text)
    if not found or int(found[1]) < 17:
        missing("Java 17 for Spark", f"{program} is another version")


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    require_java()
    from pyspark.sql import SparkSession

    builder = (
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.sql.session.timeZone", "UTC")
    )
    # It runs each plan a few times only: what the second compiler of Java would do to them, and
    # to Spark's own start, costs more than it ever saves.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
        session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


def rewritten(spark: Any, values: Sequence[str | None], tokenizer: Tokenizer) -> list[str | None]:
    """The values as the UPDATE's SET clause would leave them; only rows its WHERE takes change."""
    frame = spark.createDataFrame(list(enumerate(values)), "id int, `the value` string")
    frame.createOrReplaceTempView("corpus")
    column = "the value"
    query = (
        f"SELECT id, CASE WHEN {expressions.any_plain([column])} "
        f"THEN {expressions.rewritten(column, tokenizer.scheme)} ELSE `the value` END AS after "
        "FROM corpus ORDER BY id"
    )
    return [row.after for row in spark.sql(query, expressions.parameters(tokenizer)).collect()]


@pytest.mark.slow
class TestOnSpark:
    @pytest.mark.parametrize("tokenizer", SCHEMES.values(), ids=SCHEMES)
    def test_nasty_corpus_as_python_would(self, spark: Any, tokenizer: Tokenizer) -> None:
        assert rewritten(spark, NASTY, tokenizer) == [tokenizer.token(value) for value in NASTY]

    @pytest.mark.parametrize("tokenizer", SCHEMES.values(), ids=SCHEMES)
    def test_base64_in_lines_as_some_runtimes_write_it(
        self, spark: Any, tokenizer: Tokenizer
    ) -> None:
        spark.conf.set("spark.sql.chunkBase64String.enabled", "true")
        try:
            values = ["x" * size for size in (1, 56, 57, 58, 114, 5000)]
            assert rewritten(spark, values, tokenizer) == [tokenizer.token(v) for v in values]
        finally:
            spark.conf.unset("spark.sql.chunkBase64String.enabled")

    @pytest.mark.parametrize("tokenizer", SCHEMES.values(), ids=SCHEMES)
    def test_any_text(self, spark: Any, tokenizer: Tokenizer) -> None:
        @settings(
            max_examples=5,  # a query costs far more than a text
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example],
        )
        @given(st.lists(TEXTS, min_size=60, max_size=250))
        def check(values: list[str]) -> None:
            assert rewritten(spark, values, tokenizer) == [tokenizer.token(v) for v in values]

        check()

    @pytest.mark.parametrize("tokenizer", SCHEMES.values(), ids=SCHEMES)
    def test_sparks_parser_takes_the_whole_statement(
        self, spark: Any, tokenizer: Tokenizer
    ) -> None:
        statement = expressions.update(
            TableName("main", "crm", "peo`ple; DROP TABLE x"), ["e`mail", "Straße 1"], tokenizer
        )

        plan = spark._jsparkSession.sessionState().sqlParser().parsePlan(statement)

        assert plan.toString().startswith("'UpdateTable")

    def test_preview_counts_on_spark(self, spark: Any) -> None:
        frame = spark.createDataFrame(
            [("anna@x.org", 1), (TOKENIZER.token("b"), 2), (None, 3), ("", 4), ("c@x.org", 5)],
            "email string, id int",
        )
        frame.createOrReplaceTempView("people")

        found = SparkClient.engine(spark).preview(TOKENIZER, 100, detector("email"))

        assert (found.rows_total, found.rows_to_update) == (5, 2)
        email = column(found.columns, "email")
        assert email.samples[0].before == "a•••@•.•••"
        assert email.samples[0].after == TOKENIZER.token("anna@x.org")


def detector(*names: str) -> Any:
    rules = patterns.load()
    return lambda values: detection.detect(list(names), None, rules, values)


def column(columns: Sequence[ColumnReport], name: str) -> ColumnReport:
    return next(each for each in columns if each.name == name)


class Scripted:
    """A client that answers Unity Catalog's questions from a script, and records statements."""

    def __init__(self, **more: Any) -> None:
        self.kind = more.get("kind", "MANAGED")
        self.format = more.get("format", "DELTA")
        self.columns = more.get(
            "columns", [("email", "string", None, False), ("id", "int", None, False)]
        )
        self.keys = more.get("keys", [])
        self.properties = more.get("properties", [])
        self.missing = more.get("missing", False)
        self.left = more.get("left", 0)
        self.executed: list[tuple[str, Mapping[str, Any]]] = []

    def rows(self, statement: str, parameters: Mapping[str, Any] | None = None) -> list[Any]:
        if "information_schema.tables" in statement:
            assert parameters == {"schema": "crm", "table": "people"}
            return [] if self.missing else [(self.kind, self.format)]
        if "information_schema.columns" in statement:
            return list(self.columns)
        if "key_column_usage" in statement:
            return list(self.keys)
        if statement.startswith("SHOW TBLPROPERTIES"):
            return list(self.properties)
        return self.data(statement, parameters or {})

    def data(self, statement: str, parameters: Mapping[str, Any]) -> list[Any]:
        if statement.startswith("SELECT count(*), count_if(") and not self.executed:
            return [(7, 3)]
        assert statement.startswith("SELECT count(*) FROM `main`.`crm`.`people`")
        return [(self.left if "WHERE" in statement else 7,)]

    def execute(self, statement: str, parameters: Mapping[str, Any] | None = None) -> int:
        self.executed.append((statement, parameters or {}))
        return 3

    def to_engine(self) -> DatabricksEngine:
        @contextmanager
        def connect(_seconds: float) -> Iterator[Any]:
            yield self

        return DatabricksEngine(CONFIG, TABLE, connect)


class SparkClient(Scripted):
    """Unity Catalog from the script, rows from Spark."""

    def __init__(self, spark: Any) -> None:
        super().__init__()
        self.spark = spark

    @classmethod
    def engine(cls, spark: Any) -> DatabricksEngine:
        return cls(spark).to_engine()

    def data(self, statement: str, parameters: Mapping[str, Any]) -> list[Any]:
        local = statement.replace("`main`.`crm`.`people`", "people")
        return [tuple(row) for row in self.spark.sql(local, dict(parameters)).collect()]


def test_tokens_that_hold_their_value_are_counted(spark: Any) -> None:
    given = test_reversible.columns()
    client = SparkClient(spark)
    client.columns = [(name, "string", None, False) for name in given]
    schema = ", ".join(f"{name} string" for name in given)
    spark.createDataFrame(test_reversible.rows_of(given), schema).createOrReplaceTempView("people")

    found = test_reversible.counted(client.to_engine(), [*given, "gone"])

    assert found == test_reversible.EXPECTED


def run(client: Scripted, *columns: str, tokenizer: Tokenizer = TOKENIZER) -> RewriteResult:
    return client.to_engine().rewrite(choices(*columns), tokenizer, Recorder())


class TestStatement:
    def test_is_one_update_with_the_key_as_a_parameter(self) -> None:
        client = Scripted()

        assert run(client, "email") == RewriteResult(7, 3)
        ((statement, parameters),) = client.executed
        assert statement.startswith("UPDATE `main`.`crm`.`people` SET `email` = CASE WHEN")
        keys = TOKENIZER.padded_keys()
        assert parameters == {
            "token_pattern": PATTERN,
            "inner_block": keys.inner.hex(),
            "outer_block": keys.outer.hex(),
        }
        assert keys.inner.hex() not in statement

    def test_control_characters_in_a_name_are_refused(self) -> None:
        with pytest.raises(InvalidInput, match="cannot be a name"):
            expressions.update(TABLE, ["a\nb"], TOKENIZER)


class TestBlockers:
    @pytest.mark.parametrize(
        ("facts", "sentence"),
        [
            ({"kind": "VIEW"}, "it is a view"),
            ({"format": "CSV"}, "only Delta tables can be updated"),
            ({"columns": [("email", "int", None, False)]}, "its type int is not text; if it is"),
            (
                {"columns": [("email", "array<string>", None, False)]},
                "is not text; keep the personal part in a string column of its own",
            ),
            ({"columns": [("email", "varchar(20)", None, False)]}, "holds only 20"),
            ({"columns": [("email", "string", 0, False)]}, "is a partition column"),
            ({"columns": [("email", "string", None, True)]}, "it is a generated column"),
            ({"columns": [("mail", "string", None, False)]}, "no such column"),
            ({"keys": [("email", "PRIMARY KEY", "pk")]}, "part of the primary key pk"),
            ({"keys": [("email", "FOREIGN KEY", "fk")]}, "part of the foreign key fk"),
            (
                {"properties": [("delta.constraints.valid", "length(email) > 3")]},
                "part of the check constraint valid",
            ),
        ],
    )
    def test_each_stops_the_run_before_the_statement(
        self, facts: dict[str, Any], sentence: str
    ) -> None:
        client = Scripted(**facts)

        with pytest.raises(Blocked, match=re.escape(sentence)):
            run(client, "email")
        assert client.executed == []

    def test_a_check_on_another_column_does_not(self) -> None:
        client = Scripted(properties=[("delta.constraints.valid", "length(work_email) > 3")])

        assert run(client, "email").rows_updated == 3

    def test_no_such_column(self) -> None:
        with pytest.raises(NoSuchColumn, match=r"has no column mail\. Its columns are email, id "):
            Scripted().to_engine().require_columns(["email", "mail"])

    def test_no_such_table(self) -> None:
        with pytest.raises(InvalidInput, match="has no table"):
            Scripted(missing=True).to_engine().require_columns(["email"])


class TestOutcome:
    def test_the_content_is_silent_while_the_statement_may_run(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        control = Recorder()
        engine = Scripted().to_engine()
        engine.rewrite(choices("email"), TOKENIZER, control)

        assert control.result == RewriteResult(7, 3)
        assert engine.outcome(control.transaction_id, patience=0) is Outcome.MAY_BE_RUNNING
        later = clock.now() + timedelta(hours=2, seconds=1)
        monkeypatch.setattr(clock, "now", lambda: later)
        assert engine.outcome(control.transaction_id, patience=0) is Outcome.UNKNOWN


class TestConfiguration:
    def test_from_a_jdbc_url(self) -> None:
        config = from_connection(
            {
                "jdbc_url": "jdbc:databricks://adb-1.azuredatabricks.net:443/default;"
                "transportMode=http;ssl=1;httpPath=/sql/1.0/warehouses/abc;ConnCatalog=main"
            },
            {"access_token": "t"},
        )

        assert config == DatabricksConfig(
            "adb-1.azuredatabricks.net", "/sql/1.0/warehouses/abc", "main", "t"
        )

    def test_incomplete_is_not_configured(self) -> None:
        assert from_connection({"server_hostname": "h", "http_path": "/p"}, {}) is None
        assert from_connection({}, {"access_token": "t"}) is None

    def test_a_wrong_jdbc_url_is_refused(self) -> None:
        with pytest.raises(InvalidInput, match="JDBC URL"):
            from_connection({"jdbc_url": "jdbc:mysql://x"}, {"access_token": "t"})

    def test_the_token_is_not_shown(self) -> None:
        assert "secret-token" not in repr(CONFIG)


def test_every_error_of_the_connector_is_translated() -> None:
    from databricks.sql import exc

    from backend.core.errors import UpstreamError
    from backend.integrations.databricks.errors import translated

    classes = [
        found
        for found in vars(exc).values()
        if isinstance(found, type) and issubclass(found, exc.Error)
    ]

    assert len(classes) > 10
    for found in classes:
        with pytest.raises(UpstreamError) as raised, translated():
            raise found("[SOME_CLASS] value secret-person@example.org")
        assert "secret-person" not in raised.value.message


def test_the_class_counts_and_no_word_of_the_message() -> None:
    from databricks.sql import exc
    from urllib3.exceptions import MaxRetryError, ResponseError

    from backend.core.errors import UpstreamError, UpstreamUnavailable
    from backend.integrations.databricks.errors import translated

    busy = MaxRetryError(None, "/", ResponseError("too many 503 error responses"))  # type: ignore[arg-type]
    for raised, kind, words in (
        (exc.ServerOperationError("[PARSE_SYNTAX_ERROR] near 'too many PERMISSION_DENIED'"),
         UpstreamError, "refused the statement (PARSE_SYNTAX_ERROR)"),
        (exc.ServerOperationError("[UNRESOLVED_COLUMN.WITH_SUGGESTION] x"),
         UpstreamError, "there is no such column"),
        (exc.ServerOperationError("PERMISSION_DENIED: no MODIFY on main.a.b"),
         UpstreamError, "lacks a right"),
        (exc.MaxRetryDurationError("in whatever words"), UpstreamUnavailable, "asked later"),
        (busy, UpstreamUnavailable, "asked later"),
    ):  # fmt: skip
        with pytest.raises(kind, match=re.escape(words)), translated():
            raise raised


def test_what_the_connector_passes_on_from_its_http_library_is_translated() -> None:
    from urllib3.exceptions import MaxRetryError, ProtocolError

    from backend.core.errors import UpstreamUnavailable
    from backend.integrations.databricks.errors import translated

    refused = MaxRetryError(None, "/sql/1.0/x", ConnectionRefusedError(111, "refused"))  # type: ignore[arg-type]
    broken = ProtocolError("Connection aborted.", ConnectionResetError(104, "reset"))
    for passed_on, words in ((refused, "nothing listens"), (broken, "closed the connection")):
        with pytest.raises(UpstreamUnavailable, match=words), translated():
            raise passed_on
